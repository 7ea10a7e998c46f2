#!/usr/bin/env python3
"""cloister run --tee tpm, end to end: a software TPM beside the VM, PCRs computed in advance, keys for exactly that boot."""
import json, os, pathlib, shutil, signal, subprocess

from world import CLOISTER, GUEST, World, run_tests, skip

SCRIPT = ["/bin/sh", "-c"]


def append(tee="tpm"):
    return f"cloister.tee={tee} " + (GUEST / "cmdline").read_text().strip()


def register(world, image, *args):
    """What `cloister measure tpm` says of this boot and this TPM, and the initdata of exactly this run."""
    values = json.loads(world.cloister("measure", "tpm", "--key", "--firmware", GUEST / "firmware", "--kernel", GUEST / "kernel",
                                       "--initrd", GUEST / "initrd", "--append", append()).stdout)
    assert set(values) == {"tpm_pcr00", "tpm_pcr04", "tpm_pcr09", "tpm_pcr12", "trusted_aks"}, values
    for name, value in values.items():
        world.cloister("reference", "add", "--name", name, "--value", value, *world.admin)
    expect(world, image, *args)


def expect(world, image, *args):
    digest = world.cloister("initdata", "--digest", "--broker", world.url, "--broker-ca", world.ca, image, *args).stdout.strip()
    world.cloister("reference", "add", "--tee", "tpm", "--initdata", digest, *world.admin)


def refused(world, phrase, *words):
    return world.refused(phrase, "--tee", "tpm", *words)


def a_tpm_that_nobody_registered_gets_no_key(world):
    world.image_ = world.image("tpm", SCRIPT + ["echo measured; cat /etc/hostname 2>/dev/null; exit 5"])
    world.put_key()
    expect(world, world.image_)
    refused(world, "(attest|key): .*(policy|affirm)", world.image_)


def the_registered_boot_gets_it_also_twice_at_once(world):
    register(world, world.image_)
    words = [CLOISTER, *map(str, world.run_words("--tee", "tpm", world.image_))]
    both = [subprocess.Popen(words, cwd=world.folder, env=world.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=240)
        assert one.returncode == 5 and out.startswith("measured\n"), err
        assert "HIDES NOTHING" in err, err


def another_command_line_is_another_boot(world):
    other = append().replace("loglevel=3", "loglevel=7")
    assert other != append()
    refused(world, "(attest|key): .*(policy|affirm)", "--append", other, world.image_)


def other_initdata_is_another_guest(world):
    refused(world, "(attest|key): .*initdata", world.image_, "/bin/true")


def ovmf_boots_the_same_guest_to_other_registers(world):
    """It attests as well, so the guest takes the command line as OVMF leaves it; but nobody registered such a boot."""
    if pathlib.Path("/usr/share/ovmf/OVMF.fd").exists():
        refused(world, "(attest|key): .*(policy|affirm)", "--firmware", "ovmf", world.image_)


def swtpm_is_jailed_and_leaves_nothing(world):
    image = world.image("sleeps", SCRIPT + ["echo ready; while :; do sleep 0.1; done"])
    expect(world, image)
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words("--tee", "tpm", image))], cwd=world.folder, env=world.environment,
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline() == "ready\n", run.communicate()
    seen = {}
    for child in pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split():
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{child}/status").read_text().splitlines() if ":\t" in line)
        seen[status["Name"]] = status
    assert set(seen) == {"swtpm", "qemu-system-x86"}, set(seen)
    for status in seen.values():
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0, status
        assert os.geteuid() != 0 or status["Uid"].split() == ["65534"] * 4, status
    run.send_signal(signal.SIGKILL)
    run.communicate()


if not shutil.which("swtpm"):
    skip("no swtpm")
with World() as world:
    world.start_broker()
    run_tests([a_tpm_that_nobody_registered_gets_no_key, the_registered_boot_gets_it_also_twice_at_once,
               another_command_line_is_another_boot, other_initdata_is_another_guest, ovmf_boots_the_same_guest_to_other_registers,
               swtpm_is_jailed_and_leaves_nothing], world)
