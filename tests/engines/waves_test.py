#!/usr/bin/env python3
"""Pods started and deleted in waves under containerd's CRI: all of a wave at once, with one container each, which fetches a
line from the node over the pod's network. After each wave nothing is there that was not there before. Argument: how many
pods (4); waves are of 4."""
import pathlib, socket, sys, threading, time

from node import IMAGE, PAUSE, Node, allowed, assert_nothing_left, enter_namespaces, node_inventory, shims_of

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has

WAVE, HELLO = 4, "through the network"
BRIDGE = "10.88.77.1"  # of the CNI configuration in node.py


def serve_hello():
    """On every address of this test's namespace, the bridge's among them. Returns the port."""
    listener = socket.create_server(("0.0.0.0", 0), backlog=64)

    def serve():
        while True:
            with listener.accept()[0] as connection:
                connection.sendall(f"{HELLO}\n".encode())
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def wait_for(what, probe, seconds=300):
    for _ in range(seconds * 20):
        if probe():
            return
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {seconds} s")


def connect(node):
    def answers():
        node.cri = cri.Cri(node.socket)
        try:
            return node.cri.call("ListPodSandbox", {}) is not None
        except cri.grpc.RpcError:
            return False
    wait_for("answer of CRI", answers)


def of_each(begin, *lists):
    """The same call for each, all under way at once."""
    return [call.result() for call in [begin(*items) for items in zip(*lists)]]


def proportional_kib(pid):
    """Memory of a process, what is shared counted by its share."""
    return int(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])


def beside_vm_kib(shim):
    """Of a pod's processes but the hypervisor: the shim, and where the platform is simulated, who plays it."""
    children = [int(pid) for pid in pathlib.Path(f"/proc/{shim}/task/{shim}/children").read_text().split()]
    return sum(proportional_kib(pid) for pid in [shim, *children] if b"qemu" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())


def one_wave(node, names, args):
    """Seconds until the last pod is ready, until each container's first line, and of the removal; KiB of each shim."""
    began = time.monotonic()
    logs = [node.path(f"logs-{name}") for name in names]
    for log in logs:
        log.mkdir()
    configs = [cri.pod_config(name, log) for name, log in zip(names, logs)]
    pods = [cri.at(answer, 1).decode() for answer in of_each(lambda c: node.cri.begin("RunPodSandbox", {1: c, 2: "cloister-dev"}), configs)]
    ready = time.monotonic() - began
    containers = [cri.at(answer, 1).decode() for answer in of_each(
        lambda p, c: node.cri.begin("CreateContainer", {1: p, 2: cri.container_config("main", IMAGE, args), 3: c}), pods, configs)]
    of_each(lambda c: node.cri.begin("StartContainer", {1: c}), containers)
    for log in logs:
        wait_for("line from the bridge", lambda: (log / "main.log").exists() and HELLO in (log / "main.log").read_text())
    output = time.monotonic() - began
    shims = shims_of(node)
    assert len(shims) == len(names), shims
    memory = [(proportional_kib(shim), beside_vm_kib(shim)) for shim in shims]
    at = time.monotonic()
    of_each(lambda p: node.cri.begin("StopPodSandbox", {1: p}), pods)
    of_each(lambda p: node.cri.begin("RemovePodSandbox", {1: p}), pods)
    return ready, output, time.monotonic() - at, memory


with Node() as node:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else WAVE
    node.start_broker()
    node.start_containerd()
    connect(node)
    digest = node.make_image("workload", IMAGE, namespaces=["k8s.io"])
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    args = ["/bin/sh", "-c", f"/bin/busybox nc {BRIDGE} {serve_hello()}; while :; do sleep 0.2; done"]
    node.development_initdata(allowed(digest, args, env_names=["HOSTNAME"]), network=True)
    before, began = node_inventory(node), time.monotonic()
    for first in range(0, wanted, WAVE):
        names = [f"pod-{i}" for i in range(first, min(first + WAVE, wanted))]
        try:
            ready, output, removal, memory = one_wave(node, names, args)
        except BaseException:
            print(node.log(), file=sys.stderr)
            raise
        assert_nothing_left(node, before)
        print(f"ok   {names[0]} to {names[-1]}: ready after {ready:.1f} s, all output after {output:.1f} s, removed in {removal:.1f} s; "
              f"shim at most {max(m[0] for m in memory)} KiB, all of a pod but QEMU at most {max(m[1] for m in memory)} KiB", flush=True)
    print(f"ok   {wanted} pods in waves of {WAVE}: {time.monotonic() - began:.1f} s, nothing left", flush=True)
