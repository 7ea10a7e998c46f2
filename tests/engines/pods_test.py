#!/usr/bin/env python3
"""What containers of one pod have in common under containerd's CRI, and what a kubelet does to them: processes, directories
of volumes, attach, restarts; the pod's size and control group, and a guest that hangs.

    pods_test.py [--suite SUITE] [--sandboxer podsandbox|shim] [TEST...]    SUITE: of tests/newer_containerd"""
import argparse, json, os, pathlib, signal, subprocess

from node import GIVEN_FILES, GROUP, IMAGE, PAUSE, Node, allowed, enter_namespaces, file, run_tests, vms_of

OTHER = "docker.io/library/other:latest"
enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has
from pods import connect, refused, remove_pod, start_container, start_pod, wait_for_log  # noqa: E402

SH = ["/bin/sh", "-c"]
BUSY = "while :; do /bin/busybox usleep 100000; done"
HEARS = SH + [f"trap 'echo heard; exit 5' TERM; echo up; {BUSY}"]
PARENT = SH + ["sleep 100000 & echo child; wait"]
LOOKS = SH + [f"echo up; {BUSY}"]
FIRST, SLEEPERS, TELL = (SH + [s] for s in (
    "/bin/busybox tr '\\0' ' ' < /proc/1/cmdline; ls /proc/1/root /proc/1/cwd 2>&1 | head -n 1; kill -KILL 1; cat /proc/1/environ 2>&1",
    "/bin/busybox pidof sleep || echo none",
    "for p in /proc/[0-9]*; do cat $p/cmdline 2>/dev/null | /bin/busybox grep -q hear[d] && kill -TERM ${p#/proc/}; done; echo told"))
EXIT = SH + ["exit 7"]


def check_processes(node, pod, config, logs):
    def start(name, argv, processes=cri.OF_POD):
        return start_container(node, pod, config, name, argv, processes=processes)
    refused(lambda: start("denied", EXIT), "policy allows no container with this sharing of processes")
    refused(lambda: start("alone", LOOKS, cri.OF_CONTAINER), "policy allows no container with this sharing of processes")
    hears, parent, looks = start("hears", HEARS), start("parent", PARENT), start("looks", LOOKS)
    for name in "hears", "looks":
        wait_for_log(logs / f"{name}.log", "stdout F up\n")
    wait_for_log(logs / "parent.log", "stdout F child\n")
    output, _, _ = node.cri.exec_sync(looks, FIRST)
    assert output.startswith("pod-init ") and "Permission denied" in output and "PATH" not in output, output
    sleepers, _, code = node.cri.exec_sync(looks, SLEEPERS)
    assert code == 0 and sleepers.strip().isdigit(), sleepers
    # A signal from one container to another, which ends with the code it chose; the rest of the pod lives.
    assert node.cri.exec_sync(looks, TELL)[0] == "told\n"
    assert node.cri.wait_exited(hears)[0] == 5
    wait_for_log(logs / "hears.log", "stdout F heard\n")
    # With a container's first process goes what it left behind, and nothing of the others.
    node.cri.call("StopContainer", {1: parent, 2: 60})
    assert node.cri.wait_exited(parent)[0] == 143, "in a shared namespace it is not PID 1, which SIGTERM would not end"
    assert node.cri.exec_sync(looks, SLEEPERS)[0] == "none\n"
    assert node.cri.status(looks)[0] == cri.RUNNING
    node.cri.call("StopContainer", {1: looks, 2: 0})
    assert node.cri.wait_exited(looks)[0] == 137
    for container in hears, parent, looks:
        node.cri.call("RemoveContainer", {1: container})

WRITES = SH + [f"echo mine > /data/mark; cat /part/x; [ -e /part/key ] || echo part; echo up; {BUSY}"]
READ, SWAP, STILL = (SH + [s] for s in (
    "cat /cache/a/b/mark; ls /cache/a", "mv /cache/a/b /cache/a/kept && ln -s /etc /cache/a/b; echo swapped", "cat /data/mark; ls /data"))
KEPT = SH + ["cat /cache/a/kept/mark"]
WHOLE, LATE = SH + [f"echo whole; {BUSY}"], SH + ["exit 8"]


class Volumes:
    """An emptyDir and a ConfigMap of a pod as the kubelet prepares them, and its bind mounts for subPath."""

    def __init__(self, node):
        self.pod = node.path("pods/3f")
        self.cache, self.map = (self.pod / f"volumes/kubernetes.io~{name}" for name in ("empty-dir/cache", "configmap/map"))
        (self.cache / "a/b").mkdir(parents=True)
        (self.map / "..2026/sub").mkdir(parents=True)
        (self.map / "..2026/sub/x").write_text("below\n")
        (self.map / "..2026/key").write_text("value\n")
        (self.map / "..data").symlink_to("..2026")
        self.mounts = []

    def part(self, volume, source, container, index):
        place = self.pod / "volume-subpaths" / volume / container / str(index)
        place.mkdir(parents=True)
        subprocess.run(["mount", "--bind", source, place], check=True)
        self.mounts.append(place)
        return place

    def unmount(self):
        for place in self.mounts:
            subprocess.run(["umount", place], check=True)


def check_parts(node, pod, config, logs, volumes):
    def start(name, argv, **mounts):
        return start_container(node, pod, config, name, argv, mounts={f"/{k}": v for k, v in mounts.items()}, processes=cri.OF_POD)
    writes = start("writes", WRITES, data=volumes.part("cache", volumes.cache / "a/b", "writes", 0),
                   part=volumes.part("map", volumes.map / "..2026/sub", "writes", 1))
    wait_for_log(logs / "writes.log", "stdout F below\n", "stdout F part\n", "stdout F up\n")
    whole = start("whole", WHOLE, cache=volumes.cache)
    assert node.cri.exec_sync(whole, READ) == ("mine\nb\n", "", 0)
    # Another place in the volume than policy has is refused, and so is the volume whole.
    other = volumes.part("cache", volumes.cache / "a", "other", 0)
    refused(lambda: start("other", LATE, data=other), "policy does not list the empty directory /data")
    refused(lambda: start("all", LATE, data=volumes.cache), "policy does not list the empty directory /data")
    # A link that a container puts in its place leads nowhere; who has the directory keeps it.
    assert node.cri.exec_sync(whole, SWAP) == ("swapped\n", "", 0)
    late = volumes.part("cache", volumes.cache / "a/b", "late", 0)
    refused(lambda: start("late", LATE, data=late), "a/b in a volume: b is no directory of the volume")
    assert node.cri.exec_sync(writes, STILL) == ("mine\nmark\n", "", 0)
    assert not list((volumes.cache / "a/b").iterdir()), "the host has what the guest wrote"
    node.cri.call("StopContainer", {1: writes, 2: 0})
    node.cri.call("RemoveContainer", {1: writes})
    assert node.cri.exec_sync(whole, KEPT) == ("mine\n", "", 0)
    return whole


# An image whose lower two layers are those of the one that runs already.
SEES = SH + [f"cat /etc/mine; [ -e /etc/gone ] || echo hidden; echo changed > /etc/group; rm /etc/passwd; mv /bin/id /bin/me; ls -ld /etc /bin; echo up; {BUSY}"]
UNCHANGED = SH + ["cat /etc/group /etc/passwd; ls /bin/id /bin/me /etc/mine 2>&1; [ -e /etc/gone ] || echo hidden"]


class Hidden:
    """Blobs of an image that containerd's store no longer has."""

    def __init__(self, node, digest, which):
        blobs = node.path("c/root/io.containerd.content.v1.content/blobs/sha256")
        manifest = json.loads((blobs / digest[7:]).read_text())
        self.paths = [blobs / layer["digest"][7:] for layer in manifest["layers"][which]]

    def __enter__(self):
        for path in self.paths:
            path.rename(path.with_suffix(".hidden"))

    def __exit__(self, *_):
        for path in self.paths:
            path.with_suffix(".hidden").rename(path)


def check_layers(node, pod, config, logs, whole):
    def start(name):
        return start_container(node, pod, config, name, SEES, image=OTHER, processes=cri.OF_POD)
    with Hidden(node, node.other_digest, slice(2, 3)):  # what is its own it needs
        refused(lambda: start("lacks"), "pull: layer 3 of 3: ")
    with Hidden(node, node.other_digest, slice(0, 2)):  # and not a byte of what is there
        derived = start("derived")
    wait_for_log(logs / "derived.log", "stdout F other\n", "stdout F hidden\n", "stdout F up\n")
    assert (logs / "derived.log").read_text().count("F drwxr-xr-x") == 2, (logs / "derived.log").read_text()
    said, _, code = node.cri.exec_sync(whole, UNCHANGED)
    assert code == 0 and said.startswith("root:x:0:") and "changed" not in said and "nobody:" in said, said
    assert "\n/bin/id\n" in said and said.endswith("hidden\n") and "/bin/me: No such" in said and "/etc/mine: No such" in said, said
    node.cri.call("StopContainer", {1: derived, 2: 0})
    node.cri.call("RemoveContainer", {1: derived})
    assert node.cri.exec_sync(whole, UNCHANGED)[0] == said


def containers_share_processes_and_volumes(node):
    may = {"env_names": ["HOSTNAME"], "share_processes": True, "exec": [FIRST, SLEEPERS, TELL, READ, SWAP, STILL, KEPT, UNCHANGED]}
    data = [{"path": "/data", "volume": "cache", "sub_path": "a/b"}]
    node.development_initdata(*(allowed(node.image_digest, argv, **{**may, **more}) for argv, more in (
        (HEARS, {}), (PARENT, {}), (LOOKS, {}), (EXIT, {"share_processes": False}), (LATE, {"empty_directories": data}),
        (WRITES, {"files": GIVEN_FILES + [{"directory": "/part"}], "empty_directories": data}),
        (WHOLE, {"empty_directories": [{"path": "/cache", "volume": "cache"}]}))),
        allowed(node.other_digest, SEES, **may), network=True)
    refused(lambda: start_pod(node, "host", processes=cri.OF_NODE), "hostPID", "does not see the host's processes")
    volumes = Volumes(node)
    pod, config, logs = start_pod(node, "shared", processes=cri.OF_POD)
    check_processes(node, pod, config, logs)
    whole = check_parts(node, pod, config, logs, volumes)
    check_layers(node, pod, config, logs, whole)
    remove_pod(node, pod)
    volumes.unmount()


ANSWERS = SH + ["while read l; do echo got $l; done; echo over; exit 4"]
SIZES = SH + ["while read l; do echo $l; /bin/busybox stty size; done"]
ONCE = SH + ["echo ready; cat; echo over; exit 6"]


def check_attach(node, pod, config, logs):
    answers = start_container(node, pod, config, "answers", ANSWERS, stdin=True)
    with node.cri.attach(answers) as first:
        first.send(cri.STDIN, b"one\n")
        first.until(b"got one\n")
    with node.cri.attach(answers) as second, node.cri.attach(answers) as third:
        second.send(cri.STDIN, b"two\n")
        second.until(b"got two\n")
        third.until(b"got two\n")  # both see what comes while they are there
    wait_for_log(logs / "answers.log", "stdout F got one\n", "stdout F got two\n")
    assert node.cri.status(answers)[0] == cri.RUNNING, "an input that is not for once stays open"

    sizes = start_container(node, pod, config, "sizes", SIZES, stdin=True, tty=True)
    for columns, rows in (91, 37), (80, 24):
        with node.cri.attach(sizes, tty=True) as terminal:
            terminal.send(cri.RESIZE, b'{"Width":%d,"Height":%d}' % (columns, rows))
            wanted = b"%d %d" % (rows, columns)
            for _ in range(200):  # the size and the lines go separate ways
                terminal.send(cri.STDIN, b"line\n")
                assert terminal.receive()
                if wanted in terminal.output:
                    break
            assert wanted in terminal.output, terminal.output

    once = start_container(node, pod, config, "once", ONCE, stdin=True, stdin_once=True)
    with node.cri.attach(once) as first:
        first.send(cri.STDIN, b"all\n")
        first.until(b"all\n")
    assert node.cri.wait_exited(once)[0] == 6
    wait_for_log(logs / "once.log", "stdout F ready\n", "stdout F all\n", "stdout F over\n")


MUTE = SH + ["/bin/busybox dd if=/dev/zero bs=64k count=64 2>&1; echo over >&2; read l; echo $l; exit 9"]


def check_denied_output(node, pod, config, logs):
    """kata#10680: what nobody may read holds nobody up, not with someone attached either."""
    mute = start_container(node, pod, config, "mute", MUTE, stdin=True)
    with node.cri.attach(mute) as stream:
        stream.send(cri.STDIN, b"go\n")
        assert node.cri.wait_exited(mute)[0] == 9
        stream.rest()
        assert stream.output == b"", stream.output
    assert (logs / "mute.log").read_text() == ""


RUNS = SH + ["cat /shared/mark 2>/dev/null || { echo first > /shared/mark; echo began; }; echo last of $(cat /shared/mark) > /dev/termination-log; exit 3"]


def check_restarts(node, pod, config, logs):
    shared = node.path("pods/4a/volumes/kubernetes.io~empty-dir/kept")
    shared.mkdir(parents=True)
    words = []
    for attempt, wanted in enumerate(("stdout F began\n", "stdout F first\n", "stdout F first\n")):
        words.append(node.path(f"words-{attempt}"))
        words[-1].write_text("")
        last = start_container(node, pod, config, "runs", RUNS, mounts={"/shared": shared, "/dev/termination-log": words[-1]}, attempt=attempt)
        assert node.cri.wait_exited(last)[0] == 3
        wait_for_log(logs / ("runs.log" if attempt == 0 else f"runs-{attempt}.log"), wanted)
        if attempt == 1:  # the kubelet keeps the last that ended, and removes those before it
            node.cri.call("RemoveContainer", {1: first})
        first = last
    assert [w.read_text() for w in words] == ["last of first\n"] * 3


SECRETS = "kbs:///default/app/steady", "kbs:///default/app/greedy"
# One connection, kept and used; and far more of them than a container's share, at the same time. Were the share the pod's,
# the kept one would be the oldest, which is what has to go for another.
STEADY = SH + ["mkfifo /tmp/in; exec 9<>/tmp/in; (/bin/busybox nc 127.0.0.1 8006 <&9 >/tmp/out; echo >/tmp/closed) & n=0; "
               "ask() { n=$((n+1)); printf 'GET /cdh/resource/default/app/steady HTTP/1.1\\r\\nHost: pod\\r\\n\\r\\n' >&9; "
               "until [ $(grep -c 'of steady' /tmp/out) -ge $n ]; do [ ! -e /tmp/closed ] || { echo closed; exit 1; }; sleep 0.1; done; }; "
               "ask; echo >/shared/served; until [ -e /shared/full ]; do ask; done; ask; echo served; exit 0"]
GREEDY = SH + ["until [ -e /shared/served ]; do sleep 0.1; done; mkfifo /tmp/quiet; exec 9<>/tmp/quiet; n=0; "
               "while [ $n -lt 40 ]; do (/bin/busybox nc 127.0.0.1 8006 <&9; echo >>/tmp/closed) & n=$((n+1)); done; "
               "until [ $(cat /tmp/closed 2>/dev/null | wc -l) -ge 24 ]; do sleep 0.1; done; echo >/shared/full; "
               "for of in greedy steady; do /bin/busybox wget -q -O- http://127.0.0.1:8006/cdh/resource/default/app/$of || echo refused; done; exit 0"]


def check_shares_of_the_endpoints(node, pod, config, logs):
    shared = node.path("pods/4a/volumes/kubernetes.io~empty-dir/shares")
    shared.mkdir(parents=True)
    both = [start_container(node, pod, config, name, argv, mounts={"/shared": shared}) for name, argv in (("steady", STEADY), ("greedy", GREEDY))]
    ends = [node.cri.wait_exited(one)[0] for one in both]
    assert ends == [0, 0], (ends, [(logs / f"{name}.log").read_text() for name in ("steady", "greedy")])
    wait_for_log(logs / "steady.log", "stdout F served\n")
    wait_for_log(logs / "greedy.log", "of greedyrefused\n", "403 Forbidden")


def containers_are_attached_to_and_made_again(node):
    may = {"env_names": ["HOSTNAME"], "input": True, "terminal": True}
    node.development_initdata(*(allowed(node.image_digest, argv, **may) for argv in (ANSWERS, SIZES, ONCE)),
                              allowed(node.image_digest, MUTE, **{**may, "output": False}), allowed(
        node.image_digest, RUNS, env_names=["HOSTNAME"], termination_log="/dev/termination-log",
        empty_directories=[{"path": "/shared", "volume": "kept"}]), *(allowed(
            node.image_digest, argv, env_names=["HOSTNAME"], resources=[secret], empty_directories=[{"path": "/shared", "volume": "shares"}])
            for argv, secret in zip((STEADY, GREEDY), SECRETS)), network=True)
    for secret in SECRETS:
        node.path("secret").write_text("of " + secret.rpartition("/")[2])
        node.cloister("key", "put", secret, node.path("secret"), *node.admin)
    pod, config, logs = start_pod(node, "attach")
    check_attach(node, pod, config, logs)
    check_denied_output(node, pod, config, logs)
    check_restarts(node, pod, config, logs)
    check_shares_of_the_endpoints(node, pod, config, logs)
    remove_pod(node, pod)


SIZE = SH + ["/bin/busybox nproc; /bin/busybox awk '/MemTotal/ {print $2}' /proc/meminfo"]
MIB = 1 << 20


def groups_of(pid):
    """Control groups of a process, by hierarchy."""
    return {line.split(":")[1] or "unified": line.split(":", 2)[2] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()}


def a_pod_has_its_size_and_ends_when_its_guest_hangs(node):
    node.development_initdata(allowed(node.image_digest, LOOKS, env_names=["HOSTNAME"], update=True, exec=[SIZE]), network=True)
    settings = node.path("development.toml")
    settings.write_text(settings.read_text() + "kill_timeout = 5\n")
    pod, config, logs = start_pod(node, "sized", memory=128 * MIB, cpus=1.5)
    looks = start_container(node, pod, config, "looks", LOOKS)
    output, _, code = node.cri.exec_sync(looks, SIZE)
    cpus, kib = map(int, output.split())
    assert code == 0 and cpus == 2 and (256 + 128) * 1024 * 0.8 < kib < (256 + 128) * 1024, output
    node.cri.call("UpdateContainerResources", {1: looks, 2: {1: 100000, 2: 200000, 4: (256 + 128) * MIB}})
    refused(lambda: node.cri.call("UpdateContainerResources", {1: looks, 2: {4: (256 + 129) * MIB}}), "385 MiB are more than the VM has, 384 MiB")
    refused(lambda: node.cri.call("UpdateContainerResources", {1: looks, 2: {1: 100000, 2: 200001}}), "more than the VM has, 2 CPUs")
    (vm,) = vms_of(node)
    groups = groups_of(vm)
    for hierarchy in {"memory", "cpu", "cpuacct", "pids", "unified"} & set(groups):
        assert groups[hierarchy].endswith(f"/{GROUP}/kubepods/besteffort/podsized/{pod}"), groups
    os.kill(vm, signal.SIGSTOP)
    node.cri.call("StopContainer", {1: looks, 2: 1})  # SIGTERM, which counts as sent; then SIGKILL, and the end of the VM
    assert node.cri.wait_exited(looks)[0] == 137
    assert not vms_of(node)
    remove_pod(node, pod)  # and of the group nothing is left, which run_tests looks at


TESTS = [containers_share_processes_and_volumes, containers_are_attached_to_and_made_again, a_pod_has_its_size_and_ends_when_its_guest_hangs]
options = argparse.ArgumentParser()
options.add_argument("--suite")
options.add_argument("--sandboxer", default="podsandbox")
options.add_argument("tests", nargs="*", metavar="TEST", choices=[[], *(t.__name__ for t in TESTS)])
options = options.parse_args()
with Node(options.suite, options.sandboxer) as node:
    node.start_broker()
    node.start_containerd()
    connect(node)
    node.image_digest = node.make_image("workload", IMAGE, namespaces=["k8s.io"])
    node.other_digest = node.make_image("other", OTHER, namespaces=["k8s.io"], files=[file("etc/mine", "other\n")])
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    run_tests(TESTS, node, options.tests)
