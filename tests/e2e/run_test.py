#!/usr/bin/env python3
"""cloister run, end to end, under real QEMU: what a workload sees and gives back."""
import os, pathlib, signal, subprocess

from oci_image import busybox, file, get_json, manifest_digest
from world import CLOISTER, KEY_ID, World, descendants, run_tests, wait_for

SCRIPT = ["/bin/sh", "-c"]


def output_and_exit_code_are_the_workloads_own(world):
    image = world.image("out", SCRIPT + ["echo to-out; echo to-err >&2; cat /etc/secret; exit 7"],
                        [file("etc/secret", "tea at five\n")])
    world.put_key()
    world.expect(image)
    done = world.run("--timeline", image, wanted=7)
    assert done.stdout == "to-out\ntea at five\n", done.stdout
    assert "to-err" in done.stderr and "PROTECTS NOTHING" in done.stderr, done.stderr
    for phase in ("launch", "boot", "attest", "key", "pull", "verify", "unpack", "start"):
        assert f"  {phase} " in done.stderr, done.stderr


def arguments_and_environment_are_allowed_exactly(world):
    image = world.image("args", SCRIPT + ["true"])
    words = ["/bin/sh", "-c", 'echo "$0 $1 $ADDED $FROM_IMAGE"', "zero", "one two"]
    world.expect(image, *words, env=["ADDED=x y"])
    done = world.run("--env", "ADDED=x y", image, *words)
    assert done.stdout == "zero one two x y yes\n", done.stdout
    # The same workload with another argument has another initdata digest, which no one registered.
    world.refused("(attest|key): .*initdata", "--env", "ADDED=x y", image, *words[:-1], "other")


def the_payload_is_confined(world):
    image = world.image("confined", SCRIPT + ["echo pid $$; id -u; ls /proc/self/fd; cat /proc/self/status; mount -t tmpfs x /tmp && echo MOUNTED; "
                                              "cat /proc/1/environ 2>/dev/null | head -c 200; ls /dev"])
    world.expect(image)
    done = world.run(image, wanted=None)
    assert "pid 1\n" in done.stdout, done.stdout
    assert "Seccomp:\t2" in done.stdout and "NoNewPrivs:\t1" in done.stdout, done.stdout
    assert "MOUNTED" not in done.stdout, done.stdout
    assert "vport" not in done.stdout and "vda" not in done.stdout, done.stdout


def the_hosts_processes_are_jailed(world):
    image = world.image("jail", SCRIPT + ["echo ready; while :; do sleep 0.1; done"])
    world.expect(image)
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words(image))], cwd=world.folder, env=world.environment, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline() == "ready\n", run.communicate()
    children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    seen = set()
    for child in children:
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{child}/status").read_text().splitlines() if ":\t" in line)
        seen.add(status["Name"])
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", status
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, status
        if os.geteuid() == 0:
            assert int(status["CapBnd"], 16) == 0 and status["Uid"].split() == ["65534"] * 4, status
        limits = {line[:26].strip(): line[26:].split()[:2] for line in pathlib.Path(f"/proc/{child}/limits").read_text().splitlines()}
        assert limits["Max core file size"] == ["0", "0"] and int(limits["Max open files"][1]) <= 1024, limits
    assert seen == {"cloister", "qemu-system-x86"}, seen  # the simulated platform is a fork of cloister
    run.send_signal(signal.SIGKILL)
    run.communicate()


def a_signal_reaches_the_workload(world):
    image = world.image("signal", SCRIPT + ["trap 'echo got it; exit 42' TERM; echo ready; while :; do sleep 0.1; done"])
    world.expect(image)
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words(image))], cwd=world.folder, env=world.environment, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline() == "ready\n", run.communicate()
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (42, "got it\n"), (run.returncode, out, err)


def a_signal_before_the_workload_ends_the_run(world):
    image = f"oci:{world.path('signal')}"
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words(image))], cwd=world.folder, env=world.environment, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: any("qemu-system" in words for _, words in descendants()), "QEMU has started")  # seconds before the workload can
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=120)
    assert run.returncode == 128 + signal.SIGTERM, run.returncode


def much_output_arrives_whole(world):
    image = world.image("much", SCRIPT + ["head -c 4000000 /dev/zero | /bin/busybox tr '\\0' x; echo; echo end >&2"])
    world.expect(image)
    done = world.run(image)
    assert len(done.stdout) == 4000001 and done.stderr.endswith("end\n")


def an_image_that_skopeo_encrypted_runs(world):
    """Debian's skopeo knows public keys as recipients; the owner adds the broker's key and leaves the ciphertext alone."""
    private, public = world.path("owner.key"), world.path("owner.pem")
    plain, theirs, adopted = world.path("skopeo-plain"), world.path("skopeo-theirs"), world.path("skopeo-adopted")
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    busybox(str(plain), [file("etc/secret", "by skopeo\n")], run={"Env": ["PATH=/bin"], "Cmd": ["/bin/cat", "/etc/secret"]})
    subprocess.run(["skopeo", "copy", "-q", "--encryption-key", f"jwe:{public}", f"oci:{plain}:latest", f"oci:{theirs}:x"], check=True)
    world.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", world.path("image.key"), "--opener", private, f"oci:{theirs}:x", f"oci:{adopted}")
    layers = [{l["digest"] for l in get_json(str(at), manifest_digest(str(at)))["layers"]} for at in (theirs, adopted)]
    assert layers[0] == layers[1], layers
    image = f"oci:{adopted}"
    world.expect(image)
    assert world.run(image).stdout == "by skopeo\n"


def a_guest_of_96_mib_is_enough_for_a_small_image(world):
    image = f"oci:{world.path('args')}"
    words = ["/bin/sh", "-c", "grep -c MemTotal /proc/meminfo"]
    world.expect(image, *words)
    assert world.run("--memory", "96", image, *words).stdout == "1\n"


def two_cpus_have_another_digest(world):
    image = f"oci:{world.path('args')}"
    words = ["/bin/sh", "-c", "echo cpus"]
    world.expect(image, *words)
    world.refused("(attest|key): .*measurement", "--cpus", "2", image, *words)
    world.expect(image, *words, cpus=2)
    assert world.run("--cpus", "2", image, *words).stdout == "cpus\n"


with World() as world:
    world.start_broker()
    run_tests([output_and_exit_code_are_the_workloads_own, arguments_and_environment_are_allowed_exactly, the_payload_is_confined, the_hosts_processes_are_jailed,
               a_signal_reaches_the_workload, a_signal_before_the_workload_ends_the_run, much_output_arrives_whole,
               an_image_that_skopeo_encrypted_runs, a_guest_of_96_mib_is_enough_for_a_small_image, two_cpus_have_another_digest], world)
