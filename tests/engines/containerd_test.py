#!/usr/bin/env python3
"""Pods under containerd's CRI: two containers in one VM, exec, streams, logs, statistics, limits, and a containerd that is
killed in between.

    containerd_test.py [--suite SUITE] [--sandboxer podsandbox|shim] [TEST...]    SUITE: of tests/newer_containerd"""
import argparse, os, pathlib, re, signal, time

from node import GIVEN_FILES, IMAGE, PAUSE, Node, allowed, annotation_of, enter_namespaces, run_tests, shims_of, vms_of

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has
from pods import connect, refused, remove_pod, start_container, start_pod, wait_for_log  # noqa: E402

SH = ["/bin/sh", "-c"]
MAIN = SH + ["echo started $FOO; echo to-stderr >&2; while :; do sleep 0.2; done"]
ECHO, FAIL, SLEEP, READ = (SH + [s] for s in ("echo $FOO; echo e >&2", "exit 42", "sleep 30", "read l; echo got $l; exit 3"))
TERMINAL = SH + ["[ -t 0 ] && echo IS-TTY; /bin/busybox stty size"]


VOLUMES = SH + ["cat /etc/config/key /etc/config/sub/deep; [ -s /etc/hosts ] && [ -s /etc/resolv.conf ] && echo files; "
                "echo x > /etc/config/key || echo read-only; cat /shared/mark || echo kept > /shared/mark; "
                "/bin/busybox dd if=/dev/zero of=/shared/big bs=1k count=200 2>/dev/null || echo full; /bin/busybox rm /shared/big"]
CHANGED = SH + ["echo x > /shared/y || echo fixed; until [ \"$(cat /etc/config/key)\" = changed ]; do sleep 0.1; done; cat /etc/config/added; "
                "[ -e /etc/config/sub ] || echo gone; echo last words > /dev/termination-log; exit 9"]
RIGHTS = SH + ["echo groups $(/bin/busybox id -G); /bin/busybox grep CapBnd /proc/self/status; cat /etc/passwd /etc/group /proc/version; echo x > /tmp/x || echo fixed; "
               "cd /proc/sys; echo set $(cat net/core/somaxconn net/ipv4/ip_unprivileged_port_start kernel/shm_rmid_forced fs/mqueue/msg_max)"]
NOT_ROOT = SH + ["exit 8"]
SYSCTLS = {"net.core.somaxconn": "1025", "kernel.shm_rmid_forced": "1"}
USUAL = {"net.ipv4.ip_unprivileged_port_start": "0"}
LATE = SH + ["sleep 3; trap 'exit 9' TERM; while :; do sleep 0.2; done"]
EATER = SH + ["exec /bin/busybox dd if=/dev/zero of=/dev/null bs=64M count=1"]


def policy_of(node):
    may = {"env_names": ["HOSTNAME"], "input": True, "terminal": True, "update": True, "sysctls": SYSCTLS}
    rights = {**may, "masked_paths": ["/etc/passwd", "/etc/group"], "readonly_paths": ["/tmp"], "sysctls": {**SYSCTLS, "fs.mqueue.msg_max": "77"}}
    return [allowed(node.image_digest, MAIN, env=["FOO=bar"], exec=[ECHO, FAIL, SLEEP, READ, TERMINAL], **may),
            allowed(node.image_digest, SH + ["exit 7"], **may), allowed(node.image_digest, LATE, **may),
            allowed(node.image_digest, RIGHTS, groups=[4242, 0], capabilities=["CAP_CHOWN"], **rights),
            allowed(node.image_digest, NOT_ROOT, not_root=True, **may)]


def check_execs(node, main):
    assert node.cri.exec_sync(main, ECHO) == ("bar\n", "e\n", 0)
    assert node.cri.exec_sync(main, FAIL)[2] == 42
    assert node.cri.exec_stream(main, READ, b"line\n") == ("got line\n", 3)
    output, _ = node.cri.exec_stream(main, TERMINAL, tty=True, size=b'{"Width":91,"Height":37}')
    assert "IS-TTY" in output, output


def reads_of(pid):
    """Bytes that a process has read so far. Of a shim: blobs for its guest, and next to nothing else."""
    return int(re.search(r"rchar: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text())[1])


def a_pod_of_two_containers_lives_and_ends(node):
    node.development_initdata(*policy_of(node), network=True)
    refused(lambda: start_pod(node, "whole", sysctls={"vm.swappiness": "1"}), "sysctl vm.swappiness: it is the whole kernel's")
    pod, config, logs = start_pod(node, "rt", sysctls={**SYSCTLS, **USUAL}, privileged=True)
    assert cri.at(node.cri.call("PodSandboxStatus", {1: pod}), 1, 3) == 0, "not READY"
    main = start_container(node, pod, config, "main", MAIN, env={"FOO": "bar"})
    assert node.cri.status(main)[0] == cri.RUNNING
    assert len(shims_of(node)) == 1
    check_execs(node, main)
    refused(lambda: node.cri.exec_sync(main, SH + ["echo evil"]), "policy does not allow this argv")
    refused(lambda: node.cri.exec_sync(main, SLEEP, seconds=1), "timeout")
    wait_for_log(logs / "main.log", " stdout F started bar\n", " stderr F to-stderr\n")
    stats = cri.at(node.cri.call("ContainerStats", {1: main}), 1)
    assert cri.at(stats, 3, 2, 1) > 0 and cri.at(stats, 2, 2, 1) > 0, stats
    node.cri.call("UpdateContainerResources", {1: main, 2: {4: 64 << 20}})
    before = reads_of(shims_of(node)[0])
    two = start_container(node, pod, config, "two", SH + ["exit 7"])
    assert node.cri.wait_exited(two)[0] == 7
    read = reads_of(shims_of(node)[0]) - before
    assert read < os.path.getsize("/bin/busybox") // 4, f"{read} bytes were read for an image that the pod has"  # gzip makes half of it
    node.cri.call("RemoveContainer", {1: two})
    node.cri.call("StopContainer", {1: main, 2: 2})
    assert node.cri.wait_exited(main)[0] == 137  # a first process without a handler does not hear SIGTERM
    node.cri.call("RemoveContainer", {1: main})
    refused(lambda: start_container(node, pod, config, "all", RIGHTS, privileged=True), "a guest runs no privileged containers")
    refused(lambda: start_container(node, pod, config, "more", RIGHTS, add=["NET_ADMIN"], masked=["/proc/kcore"]), "CAP_NET_ADMIN: no container of a guest has it")
    refused(lambda: start_container(node, pod, config, "hides", RIGHTS, masked=["/bin/busybox"]), "policy does not list the masked path /bin/busybox")
    rights = start_container(node, pod, config, "rights", RIGHTS, masked=["/etc/group", "/proc/version"], fixed=["/tmp"])
    assert node.cri.wait_exited(rights)[0] == 0
    wait_for_log(logs / "rights.log", " stdout F groups 0 4242\n", " stdout F CapBnd:\t0000000000000001\n", " stdout F fixed\n", " stdout F set 1025 0 1 77\n")
    assert "root:x" not in (logs / "rights.log").read_text() and "Linux" not in (logs / "rights.log").read_text()
    refused(lambda: start_container(node, pod, config, "root", NOT_ROOT), "policy wants a user other than root in this container")
    late = start_container(node, pod, config, "late", LATE)
    node.cri.call("StopContainer", {1: late, 2: 200})  # before it could have said that it hears SIGTERM
    assert node.cri.wait_exited(late)[0] == 9
    remove_pod(node, pod)


def a_pod_outlives_a_containerd_that_was_killed(node):
    node.development_initdata(*policy_of(node), network=True)
    pod, config, logs = start_pod(node, "restart")
    main = start_container(node, pod, config, "main", MAIN, env={"FOO": "bar"})
    node.restart_containerd(signal.SIGKILL)
    connect(node)
    assert node.cri.status(main)[0] == cri.RUNNING
    assert node.cri.exec_sync(main, ECHO) == ("bar\n", "e\n", 0)
    remove_pod(node, pod)


def volume_of(node):
    """A ConfigMap and an emptyDir as the kubelet prepares them."""
    volume, empty = node.path("map"), node.path("volumes/kubernetes.io~empty-dir/cache")
    (volume / "..2026/sub").mkdir(parents=True)
    (volume / "..2026/key").write_text("value\n")
    (volume / "..2026/sub/deep").write_text("below\n")
    (volume / "..data").symlink_to("..2026")
    (volume / "key").symlink_to("..data/key")
    empty.mkdir(parents=True)
    return {"/etc/config": volume, "/shared": empty}


def change(volume):
    """As the kubelet does when a ConfigMap has changed."""
    (volume / "..2027").mkdir()
    (volume / "..2027/key").write_text("changed\n")
    (volume / "..2027/added").write_text("new\n")
    (volume / "..data_tmp").symlink_to("..2027")
    (volume / "..data_tmp").rename(volume / "..data")


def volumes_are_files_and_directories_of_the_guest(node):
    def files(**more):
        return {"env_names": ["HOSTNAME"], "termination_log": "/dev/termination-log",
                "files": GIVEN_FILES + [{"directory": "/etc/config", "update": True}],
                "empty_directories": [{"path": "/shared", "volume": "cache", "size": 1 << 16, **more}]}
    bare = {"env_names": ["HOSTNAME"]}
    node.development_initdata(allowed(node.image_digest, VOLUMES, **files()), allowed(node.image_digest, CHANGED, **files(read_only=True)),
                              allowed(node.image_digest, EATER, **bare), allowed(node.image_digest, SH + ["exit 7"], **bare), network=True)
    mounts, log = volume_of(node), node.path("termination-log")
    log.write_text("")
    pod, config, logs = start_pod(node, "volumes")
    for name, mark in ("one", "read-only\n"), ("two", "stdout F kept\n"):  # the second finds what the first left
        container = start_container(node, pod, config, name, VOLUMES, mounts=mounts)
        assert node.cri.wait_exited(container)[0] == 0
        wait_for_log(logs / f"{name}.log", "stdout F value\n", "stdout F below\n", "stdout F files\n", "stdout F read-only\n", "stdout F full\n", mark)
    assert not list(mounts["/shared"].iterdir()), "the host has what the guest wrote"
    refused(lambda: start_container(node, pod, config, "three", SH + ["exit 7"], mounts=mounts),
            "policy does not list the volume of files /etc/config")
    refused(lambda: start_container(node, pod, config, "four", VOLUMES), "policy wants the empty directory /shared")
    refused(lambda: start_container(node, pod, config, "five", CHANGED, mounts=mounts), "policy does not list the empty directory /shared")
    refused(lambda: start_container(node, pod, config, "folder", SH + ["exit 7"], mounts={"/data": "/srv"}),
            "volume at /data: no folder of the host reaches into a guest: use an emptyDir")
    container = start_container(node, pod, config, "six", CHANGED, mounts={**mounts, "/dev/termination-log": log}, read_only=["/shared"])
    change(mounts["/etc/config"])
    assert node.cri.wait_exited(container)[0] == 9
    wait_for_log(logs / "six.log", "stdout F fixed\n", "stdout F new\n", "stdout F gone\n")
    assert log.read_text() == "last words\n"
    container = start_container(node, pod, config, "seven", EATER, memory=16 << 20)
    assert node.cri.wait_exited(container) == (137, "OOMKilled")
    remove_pod(node, pod)


def initdata_comes_with_the_pod_or_it_does_not_start(node):
    refused(lambda: start_pod(node, "bare", "cloister"), "io.cloister.initdata", "not for development")
    refused(lambda: start_pod(node, "host", "cloister-dev", host_network=True), "the pod wants the node's network (hostNetwork)")
    refused(lambda: start_pod(node, "broken", "cloister", annotations={"io.cloister.initdata": "AAAA"}), "initdata")
    text = node.initdata_for(*policy_of(node), network=True)
    for name in ("io.cloister.initdata", "io.katacontainers.config.hypervisor.cc_init_data"):
        pod, config, logs = start_pod(node, "own" + name[3:5], "cloister", annotations={name: annotation_of(text)})
        two = start_container(node, pod, config, "two", SH + ["exit 7"])
        assert node.cri.wait_exited(two)[0] == 7
        remove_pod(node, pod)


def after_its_vm_was_killed_a_pod_can_be_removed(node):
    node.development_initdata(*policy_of(node), network=True)
    pod, config, logs = start_pod(node, "killed")
    main = start_container(node, pod, config, "main", MAIN, env={"FOO": "bar"})
    (vm,) = vms_of(node)
    os.kill(vm, signal.SIGKILL)
    assert node.cri.wait_exited(main)[0] in (137, 255)
    remove_pod(node, pod)


TESTS = [a_pod_of_two_containers_lives_and_ends, a_pod_outlives_a_containerd_that_was_killed,
         initdata_comes_with_the_pod_or_it_does_not_start, after_its_vm_was_killed_a_pod_can_be_removed,
         volumes_are_files_and_directories_of_the_guest]
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
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    run_tests(TESTS, node, options.tests)
