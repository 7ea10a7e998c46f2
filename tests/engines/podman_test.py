#!/usr/bin/env python3
"""cloister-runtime under Debian's podman: run, exec, logs, terminals, signals, and what is left afterwards."""
import base64, fcntl, gzip, hashlib, json, os, pathlib, pty, re, struct, subprocess, sys, termios, time

from containerd import own_namespaces
from oci_image import file, manifest_digest
from world import BUILD, SOURCE, World, descendants

own_namespaces("podman", "conmon")
SECRET = b"what the host must not see"


class Podman:
    def __init__(self, world):
        # podman takes no path over 50 characters; what is mounted here ends with this test's mount namespace
        self.world, self.folder = world, pathlib.Path("/mnt")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.folder], check=True)
        self.state = self.folder / "state"
        (self.folder / "cloister").write_text(
            f"#!/bin/sh\nexport CLOISTER_DEVELOPMENT_ROOT={world.environment['CLOISTER_DEVELOPMENT_ROOT']}\n"
            f"exec {BUILD}/cloister-runtime --root {self.state} --settings {self.folder}/runtime.toml \"$@\"\n")
        (self.folder / "cloister").chmod(0o755)
        (self.folder / "containers.conf").write_text(f"""
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_nocgroups = ["cloister"]
[network]
cni_plugin_dirs = ["/usr/lib/cni"]
[engine.runtimes]
cloister = ["{self.folder}/cloister"]
""")
        self.development = self.initdata("development", {"policy.rego": self.rules_that_allow_all()})
        (self.folder / "runtime.toml").write_text(f'development = true\ninitdata = "{self.folder}/development.toml"\ntee = "sim"\nmemory = 384\n')
        self.rootfs = self.folder / "rootfs"
        self.unpack()

    @staticmethod
    def rules_that_allow_all():
        names = re.findall(r"^  rpc (\w+)\(", (SOURCE / "guest/api/agent.proto").read_text(), re.M)
        return "package agent_policy\n\n" + "".join(f"{name}Request := true\n\n" for name in names + ["ExecProcessAs"])

    def unpack(self):
        for part in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            (self.rootfs / part).mkdir(parents=True)
        (self.rootfs / "bin/busybox").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
        (self.rootfs / "bin/busybox").chmod(0o755)
        for name in ("sh", "cat", "echo", "sleep", "id", "stty", "kill", "tty", "hostname"):
            (self.rootfs / "bin" / name).symlink_to("busybox")

    def initdata(self, name, entries):
        """Writes initdata for this broker, lets the broker know, and gives what an annotation holds."""
        w = self.world
        broker = f'[token_configs.kbs]\nurl = "{w.url}"\ncert = """\n{w.ca.read_text()}"""\n'
        text = 'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n' + "".join(
            f"\"{key}\" = '''\n{value}'''\n" for key, value in {"aa.toml": broker, **entries}.items())
        (self.folder / f"{name}.toml").write_text(text)
        w.cloister("reference", "add", "--measurement", w.measure(), "--initdata", hashlib.sha256(text.encode()).hexdigest(), *w.admin)
        return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()

    def words(self, *words):
        return ["podman", "--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp",
                "--runtime", "cloister", *words]

    def __call__(self, *words, wanted=0, **options):
        done = subprocess.run(list(map(str, self.words(*words))), capture_output=True, text=True, timeout=300,
                              env=dict(self.world.environment, CONTAINERS_CONF=str(self.folder / "containers.conf")), **options)
        assert wanted is None or done.returncode == wanted, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def run(self, *words, **options):
        return self("run", "--network", "none", *words, **options)

    def runtime(self, *words, wanted=0):
        """cloister-runtime by hand, on podman's containers."""
        done = subprocess.run([self.folder / "cloister", *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        assert done.returncode == wanted, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def left(self):
        return [str(p) for p in self.state.glob("*")] + [d for d in descendants() if "qemu" in d[1] or "conmon" in d[1] or "cloister-runtime" in d[1]]


def output_input_and_exit_codes_pass(pm):
    done = pm.run("--rm", "-i", "--rootfs", pm.rootfs, "/bin/sh", "-c", "cat; echo err >&2; id -u; exit 7", input="from outside\n", wanted=7)
    assert done.stdout == "from outside\n0\n" and "err\n" in done.stderr, (done.stdout, done.stderr)
    assert not pm.left(), pm.left()


def a_program_that_is_not_there_is_127(pm):
    done = pm.run("--rm", "--rootfs", pm.rootfs, "/bin/nothing", wanted=127)
    assert "no such file or directory" in done.stderr.lower(), done.stderr


def one_container_runs_is_looked_into_and_ends(pm):
    pm.run("-d", "--name", "one", "--rootfs", pm.rootfs, "/bin/sh", "-c", "trap 'echo usr1' USR1; echo begun; while :; do sleep 0.2; done")
    assert pm("ps", "--format", "{{.Names}} {{.Status}}").stdout.startswith("one Up")
    for _ in range(900):
        if pm("logs", "one").stdout == "begun\n":
            break
        time.sleep(0.1)
    assert pm("exec", "one", "/bin/sh", "-c", "echo in exec; exit 6", wanted=6).stdout == "in exec\n"
    assert pm("exec", "-i", "one", "/bin/cat", input="through exec\n").stdout == "through exec\n"
    assert pm("exec", "one", "/bin/nothing", wanted=127)
    done = pm("exec", "-u", "7:8", "-w", "/tmp", "-e", "A=b", "one", "/bin/sh", "-c", "echo $A $PWD $(/bin/busybox id -u) $(/bin/busybox id -g)")
    assert done.stdout == "b /tmp 7 8\n", done.stdout
    refused = pm("exec", "--privileged", "one", "/bin/true", wanted=None)
    assert refused.returncode != 0 and "a guest runs no privileged containers" in refused.stderr, refused.stderr
    pm("kill", "--signal", "USR1", "one")
    pm("pause", "one")
    assert "Paused" in pm("ps", "--format", "{{.Status}}").stdout or "paused" in pm("inspect", "one", "--format", "{{.State.Status}}").stdout
    pm("unpause", "one")
    for _ in range(900):
        if "usr1" in pm("logs", "one").stdout:
            break
        time.sleep(0.1)
    listed = json.loads(subprocess.run([pm.folder / "cloister", "list", "--format", "json"], capture_output=True, text=True, check=True).stdout)
    assert [c["status"] for c in listed] == ["running"], listed
    events = json.loads(subprocess.run([pm.folder / "cloister", "events", "--stats", listed[0]["id"]], capture_output=True, text=True, check=True).stdout)
    assert events["data"]["memory"]["usage"]["usage"] > 0 and events["data"]["pids"]["current"] >= 1, events
    pm("cp", pm.rootfs / "bin/busybox", "one:/root/stolen", wanted=None)
    assert not pathlib.Path("/root/stolen").exists(), "podman cp wrote to the host"
    pm("stop", "--time", "1", "one", wanted=None)
    assert pm("inspect", "one", "--format", "{{.State.ExitCode}}").stdout == "137\n"
    assert pm("logs", "one").stdout.startswith("begun\nusr1\n")
    pm("rm", "one")
    assert not pm.left(), pm.left()


def the_runtime_by_hand_keeps_to_the_states(pm):
    """What runc's users try: each verb in each state, exit codes, one line that says why."""
    pm("create", "--name", "hand", "--network", "none", "--rootfs", pm.rootfs, "/bin/sh", "-c", "echo begun; while :; do sleep 0.2; done")
    pm("init", "hand")  # podman's word for the runtime's create
    (container,) = json.loads(pm.runtime("list", "--format", "json").stdout)
    name = container["id"]
    assert json.loads(pm.runtime("state", name).stdout)["status"] == "created"
    for words, why in (("exec", name, "/bin/true"), "not running"), (("pause", name), "not running"), (("resume", name), "not paused"):
        assert why in pm.runtime(*words, wanted=1).stderr
    pm("start", "hand")
    assert "cannot start a container that is running" in pm.runtime("start", name, wanted=1).stderr
    assert "is running; stop it first, or --force" in pm.runtime("delete", name, wanted=1).stderr
    assert "already exists" in pm.runtime("create", "--bundle", container["bundle"], name, wanted=1).stderr
    state = json.loads(pm.runtime("state", name).stdout)
    assert state["status"] == "running" and pathlib.Path(f"/proc/{state['pid']}").exists() and state["bundle"] == container["bundle"], state
    assert json.loads(pm.runtime("ps", "--format", "json", name).stdout) == [state["pid"]]
    assert pm.runtime("exec", "-u", "5", "-e", "A=b", "--cwd", "/tmp", name, "/bin/sh", "-c", "echo by hand $A $PWD $(id -u) -u; exit 6", wanted=6).stdout == "by hand b /tmp 5 -u\n"
    for words, why in (("-u", "root", name, "/bin/true"), "--user root: UID[:GID] is wanted"), (("--preserve-fds", "1", name, "/bin/true"), "no descriptor"), \
            (("--cgroup", "x", name, "/bin/true"), "--cgroup"), (("--cap", "CAP_KILL", name, "/bin/true"), "--cap"):
        assert why in pm.runtime("exec", *words, wanted=1).stderr
    pm.runtime("pause", name)
    assert json.loads(pm.runtime("state", name).stdout)["status"] == "paused"
    assert "not running" in pm.runtime("exec", name, "/bin/true", wanted=1).stderr
    pm.runtime("kill", name, "KILL")  # reaches a VM that stands still
    for _ in range(1200):
        if pm("inspect", "hand", "--format", "{{.State.Status}} {{.State.ExitCode}}").stdout == "exited 137\n":
            break
        time.sleep(0.1)
    else:
        raise AssertionError(pm("inspect", "hand").stdout)
    pm("rm", "-f", "hand")
    assert not pm.left(), pm.left()


def a_network_of_podmans_is_the_guests(pm):
    """The default bridge, made by CNI's plugins in this test's network namespace, and the names that podman writes. What a VM
    cannot have is said, in the log if nobody is attached yet."""
    pm("run", "--name", "net", "--hostname", "box", "--dns", "192.0.2.7", "--add-host", "other:192.0.2.8", "-v", f"{pm.rootfs}/bin/busybox:/data", "--read-only", "-e", "A=b",
       "-w", "/tmp", "-u", "7:8", "--rootfs", pm.rootfs, "/bin/sh", "-c",
       "/bin/busybox ip -o addr; cat /etc/resolv.conf /etc/hosts; hostname; echo $A $PWD $(/bin/busybox id -u) $(/bin/busybox id -g); [ -e /data ] || echo none", wanted=0)
    log = pm("logs", "net")
    assert re.search(r"eth0 +inet 10\.88\.\d+\.\d+/16", log.stdout), log.stdout
    for wanted in "nameserver 192.0.2.7\n", "192.0.2.8\tother\n", "\nbox\n", "b /tmp 7 8\n", "\nnone\n":
        assert wanted in log.stdout, (wanted, log.stdout)
    for wanted in "NOT CONFIDENTIAL", "/data is not mounted: no file system of this host reaches into a VM", "the root file system can be written":
        assert wanted in log.stderr, (wanted, log.stderr)
    pm("rm", "net")
    refused = pm.run("--rm", "-v", "/tmp:/data", "--rootfs", pm.rootfs, "/bin/sh", "-c", "exit 0", wanted=126)
    assert "volume at /data: no folder of this host reaches into a VM; leave it out" in refused.stderr, refused.stderr
    for option, why in (("--privileged", "a guest runs no privileged containers"), ("--cap-add=NET_ADMIN", "CAP_NET_ADMIN: no container of a guest has it"),
                        ("--sysctl=kernel.domainname=x", "sysctl")):
        refused = pm.run("--rm", option, "--rootfs", pm.rootfs, "/bin/sh", "-c", "exit 0", wanted=None)
        assert refused.returncode != 0 and why in refused.stderr, (option, refused.stderr)


def a_terminal_is_one(pm):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    run = subprocess.Popen(list(map(str, pm.words("run", "--rm", "-it", "--network", "none", "--rootfs", pm.rootfs, "/bin/sh", "-c",
                                                  "read line; echo got $line; tty; stty size; exit 5"))),
                           env=dict(pm.world.environment, CONTAINERS_CONF=str(pm.folder / "containers.conf")), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"typed\n")
    seen = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    assert run.wait(120) == 5, seen
    assert b"got typed\r\n" in seen and b"/dev/pts/" in seen, seen


class Conmon:
    """Calls conmon as CRI-O 1.33 does for its runtime type `oci`: byte for go on one pipe, lines of JSON on another."""

    def __init__(self, pm, name):
        self.pm, self.name, self.folder = pm, name, pm.folder / "crio"
        for part in ("exits", "bundle", "sockets"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)

    def write_bundle(self, args):
        config = json.loads((SOURCE / "tests/engines/crio-1.33/container-config.json").read_text())
        config["root"] = {"path": str(self.pm.rootfs)}
        config["process"]["args"] = args
        config["linux"]["namespaces"] = [{"type": "pid"}]
        (self.folder / "bundle/config.json").write_text(json.dumps(config))

    def begin(self, *more, pid_file):
        """Returns conmon's process and the end of the pipe on which it tells what happened."""
        told, tells = os.pipe()
        go, begins = os.pipe()
        words = ["conmon", "-b", self.folder / "bundle", "-c", self.name, "-u", self.name, "-n", "k8s_main", "-r", self.pm.folder / "cloister",
                 "-p", pid_file, "-l", self.folder / "log", "--exit-dir", self.folder / "exits", "--socket-dir-path", self.folder / "sockets",
                 "--runtime-arg", f"--root={self.pm.state}", *more]
        conmon = subprocess.Popen(list(map(str, words)), pass_fds=(tells, go), stdin=subprocess.DEVNULL,
                                  env=dict(os.environ, _OCI_SYNCPIPE=str(tells), _OCI_STARTPIPE=str(go)))
        os.close(tells), os.close(go)
        os.write(begins, b"x"), os.close(begins)
        return conmon, os.fdopen(told)

    def runtime(self, *words, **more):
        return self.pm.runtime("--root", self.pm.state, *words, **more)

    def exec_sync(self, args, *more):
        spec = self.folder / "process.json"
        spec.write_text(json.dumps({"args": args, "cwd": "/", "env": [], "terminal": False, "user": {"uid": 0, "gid": 0}}))
        (self.folder / "exec.log").unlink(missing_ok=True)
        conmon, told = self.begin("-e", "--exec-process-spec", spec, "-l", self.folder / "exec.log", *more, pid_file=self.folder / "exec.pid")
        lines = [json.loads(line) for line in told]
        assert conmon.wait(120) == 0
        return lines, (self.folder / "exec.log").read_text() if (self.folder / "exec.log").exists() else ""


def conmon_drives_it_as_cri_o_does(pm):
    crio = Conmon(pm, "43a5ca8f6fe18a931ba7a4b65cefcd045a9c84de42356d530606d70bb7104715")
    crio.write_bundle(["/bin/sh", "-c", "trap 'echo term; exit 9' TERM; echo begun; while :; do sleep 0.2; done"])
    conmon, told = crio.begin("-P", crio.folder / "conmon.pid", pid_file=crio.folder / "pid")
    made = json.loads(told.readline())
    assert made.get("pid", -1) == int((crio.folder / "pid").read_text()), made
    assert json.loads(crio.runtime("state", crio.name).stdout)["status"] == "created"
    crio.runtime("start", crio.name)
    wait_for_text(crio.folder / "log", " stdout F begun\n")
    lines, log = crio.exec_sync(["/bin/sh", "-c", "echo in exec; exit 6"])
    assert lines[-1]["exit_code"] == 6 and " stdout F in exec\n" in log, (lines, log)
    lines, log = crio.exec_sync(["/bin/sleep", "1000"], "-T", "1")
    assert lines[-1]["exit_code"] == -1 and "timed out" in lines[-1]["message"], lines
    lines, log = crio.exec_sync(["/bin/nothing"])
    assert lines[-1].get("exit_code", lines[-1].get("pid")) != 0, lines
    crio.runtime("kill", crio.name, "15")
    wait_for_text(crio.folder / "exits" / crio.name, "9")
    assert " stdout F term\n" in (crio.folder / "log").read_text()
    assert json.loads(crio.runtime("state", crio.name).stdout)["status"] == "stopped"
    crio.runtime("kill", crio.name, "KILL", wanted=1)
    crio.runtime("delete", "--force", crio.name)
    crio.runtime("delete", "--force", crio.name)
    assert conmon.wait(60) == 0
    (crio.folder / "bundle/config.json").write_text("{}")
    conmon, told = crio.begin("-P", crio.folder / "conmon.pid", pid_file=crio.folder / "pid")
    made = json.loads(told.readline())
    assert made["pid"] == -1 and "config.json" in made["message"], made
    conmon.wait(60)
    assert not pm.left(), pm.left()


def wait_for_text(path, text):
    for _ in range(1200):
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"no {text!r} in {path}: {path.read_text() if path.exists() else 'not there'}")


def the_death_of_any_process_ends_all(pm):
    pm.run("-d", "--name", "two", "--rootfs", pm.rootfs, "/bin/sleep", "1000")
    listed = json.loads(subprocess.run([pm.folder / "cloister", "list", "--format", "json"], capture_output=True, text=True, check=True).stdout)
    os.kill(listed[0]["pid"], 9)
    for _ in range(900):
        if pm("inspect", "two", "--format", "{{.State.Status}} {{.State.ExitCode}}").stdout == "exited 137\n":
            break
        time.sleep(0.1)
    else:
        raise AssertionError(pm("inspect", "two").stdout)
    pm("rm", "-f", "two")
    assert not pm.left(), pm.left()


def a_confidential_image_runs_and_only_as_its_owner_said(pm):
    w = pm.world
    image = w.image("secret", ["/bin/cat", "/etc/secret"], [file("etc/secret", SECRET + b"\n")])
    w.put_key()
    digest = manifest_digest(image.removeprefix("oci:"))
    policy = {"containers": [{"image": digest, "args": ["/bin/cat", "/etc/secret"], "env": [], "output": True,
                              "env_names": ["PATH", "TERM", "container", "HOME", "HOSTNAME", "FROM_IMAGE"]}]}
    annotation = pm.initdata("confidential", {"policy.json": json.dumps(policy), "policy.rego": (SOURCE / "policy/agent/pod.rego").read_text()})
    empty = pm.folder / "empty"
    empty.mkdir()
    words = ["--rm", "--annotation", f"io.cloister.image={image}", "--annotation", f"io.cloister.initdata={annotation}", "--rootfs", empty]
    done = pm.run(*words, "/bin/cat", "/etc/secret")
    assert done.stdout.encode() == SECRET + b"\n", (done.stdout, done.stderr)
    assert "NOT CONFIDENTIAL" not in done.stderr
    refused = pm.run(*words, "/bin/cat", "/etc/passwd", wanted=None)
    assert refused.returncode != 0 and "policy allows no container with this args" in refused.stderr, refused.stderr


with World() as world:
    world.start_broker()
    pm = Podman(world)
    try:
        tests = (a_network_of_podmans_is_the_guests, output_input_and_exit_codes_pass, a_program_that_is_not_there_is_127, one_container_runs_is_looked_into_and_ends,
                 the_runtime_by_hand_keeps_to_the_states, conmon_drives_it_as_cri_o_does,
                 a_terminal_is_one, the_death_of_any_process_ends_all, a_confidential_image_runs_and_only_as_its_owner_said)
        for test in [t for t in tests if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]]:
            began = time.monotonic()
            test(pm)
            print(f"ok   {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    finally:
        pm("rm", "--all", "--force", wanted=None)
