#!/usr/bin/env python3
"""SIGKILL to shim, VM, guest or containerd at each step of a pod's life. Afterwards the pod is removed as a kubelet would
and `containerd-shim-cloister-v2 sweep` is run once: then nothing is there that was not there before.

A step is reached by what can be seen, not by waiting: a request is known to be under way because whoever would answer it
is stopped and has it unread in a socket. Arguments: `all` for every pair, or "STEP VICTIM" ones; else a choice."""
import array, ctypes, errno, fcntl, os, pathlib, signal, subprocess, sys, termios, time

from node import IMAGE, PAUSE, SHIM, Node, allowed, assert_nothing_left, enter_namespaces, node_inventory, shims_of, skip, vms_of

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has

SH = ["/bin/sh", "-c"]
LOOP, EXEC = SH + ["echo begun; while :; do sleep 0.2; done"], SH + ["echo exec"]
SYS_PIDFD_GETFD = 438


def wait_for(what, probe, seconds=240):
    for _ in range(seconds * 10):
        found = probe()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {what} within {seconds} s")


# ---- who is who ----

def one(find, node):
    return wait_for("process", lambda: find(node))[0]


def vm_of(node):
    return one(vms_of, node)


def shim_of(node):
    return one(shims_of, node)


def unread(pid):
    """Bytes that wait in the sockets of a process."""
    total, libc = 0, ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if not os.readlink(entry).startswith("socket:"):
            continue
        fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(entry.name), 0)
        if fd < 0 and ctypes.get_errno() == errno.EPERM:
            skip("whether a request is under way is seen in a socket of another process, which is not allowed here")
        assert fd >= 0, os.strerror(ctypes.get_errno())
        count = array.array("i", [0])
        try:
            fcntl.ioctl(fd, termios.FIONREAD, count)
        except OSError:
            pass  # one that listens
        total += count[0]
        os.close(fd)
    os.close(pidfd)
    return total


def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_for("stop", lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    return pid


def events(node, topic):
    """How many came to containerd, by its log."""
    return node.path("containerd.log").read_text().count(f"topic={topic} ")


# ---- steps: each yields the request that is under way, or None, and leaves what it needs in the pod ----

class Pod:
    def __init__(self, node, name):
        self.node, self.name, self.frozen = node, name, None
        logs = node.path(f"logs-{name}")
        logs.mkdir()
        self.log = logs / "main.log"
        self.config = cri.pod_config(name, logs)

    def begin(self, method, request):
        return self.node.cri.begin(method, request)

    def freeze(self, find):
        self.frozen = stopped(find(self.node))
        wait_for("silence", lambda: unread(self.frozen) == 0 or self.thaw_for_a_moment())

    def thaw_for_a_moment(self):
        """What came before the stop is read first."""
        os.kill(self.frozen, signal.SIGCONT)
        wait_for("silence", lambda: unread(self.frozen) == 0)
        stopped(self.frozen)
        return unread(self.frozen) == 0

    def under_way(self, find, method, request):
        self.freeze(find)
        call = self.begin(method, request)
        wait_for("request", lambda: unread(self.frozen) > 0)
        return call

    def run(self):
        self.id = self.node.cri.run_pod(self.config, "cloister-dev")

    def create(self):
        self.container = self.node.cri.create(self.id, cri.container_config("main", IMAGE, LOOP), self.config)

    def start(self):
        self.node.cri.call("StartContainer", {1: self.container})
        wait_for("line of output", lambda: "begun" in self.log.read_text() if self.log.exists() else False)

    def until(self, *steps):
        for step in steps:
            getattr(self, step)()


def sandbox_create(pod):
    call = pod.begin("RunPodSandbox", {1: pod.config, 2: "cloister-dev"})
    pod.frozen = stopped(vm_of(pod.node))
    return call


def sandbox(pod):
    pod.until("run")


def container_create(pod):
    pod.until("run")
    pod.until("create")  # of which the shim hears nothing: CRI's StartContainer creates, then starts
    return pod.under_way(vm_of, "StartContainer", {1: pod.container})


def start(pod):
    pod.until("run", "create")
    before = events(pod.node, "/tasks/create")
    call = pod.begin("StartContainer", {1: pod.container})
    wait_for("created container", lambda: events(pod.node, "/tasks/create") > before)
    pod.frozen = stopped(vm_of(pod.node))
    return call


def running(pod):
    pod.until("run", "create", "start")


def exec_process(pod):
    pod.until("run", "create", "start")
    return pod.under_way(vm_of, "ExecSync", {1: pod.container, 2: EXEC, 3: 0})


def stop(pod):
    pod.until("run", "create", "start")
    return pod.under_way(vm_of, "StopContainer", {1: pod.container, 2: 0})


def ended(pod):
    pod.until("run", "create", "start")
    pod.node.cri.call("StopContainer", {1: pod.container, 2: 0})
    pod.node.cri.wait_exited(pod.container)


def sandbox_stop(pod):
    ended(pod)
    return pod.under_way(shim_of, "StopPodSandbox", {1: pod.id})


STEPS = {"sandbox-create": sandbox_create, "sandbox": sandbox, "container-create": container_create, "start": start,
         "running": running, "exec": exec_process, "stop": stop, "ended": ended, "sandbox-stop": sandbox_stop}


# ---- victims ----

def kill_shim(node):
    os.kill(shim_of(node), signal.SIGKILL)


def kill_vm(node):
    os.kill(vm_of(node), signal.SIGKILL)


def end_guest(node):
    """As when the first process of the guest dies: its kernel panics, and QEMU ends by itself with success."""
    vm = vm_of(node)
    os.kill(vm, signal.SIGTERM)
    os.kill(vm, signal.SIGCONT)


def kill_containerd(node):
    node.stop_containerd(signal.SIGKILL)


VICTIMS = {"shim": kill_shim, "vm": kill_vm, "guest": end_guest, "containerd": kill_containerd}
CHOICE = [("sandbox-create", "shim"), ("container-create", "vm"), ("running", "shim"), ("exec", "containerd"), ("stop", "guest"),
          ("sandbox-stop", "shim")]


# ---- afterwards ----

def connect(node):
    def answers():
        node.cri = cri.Cri(node.socket)
        try:
            node.cri.call("ListPodSandbox", {})
            return True
        except cri.grpc.RpcError:
            return False
    wait_for("answer of CRI", answers)


def remove_all_pods(node):
    """As a kubelet that finds pods it does not want: it asks again until they are gone."""
    def is_empty():
        pods = cri.decode(node.cri.call("ListPodSandbox", {})).get(1, [])
        for pod in pods:
            for method in "StopPodSandbox", "RemovePodSandbox":
                try:
                    node.cri.call(method, {1: cri.at(pod, 1).decode()})
                except cri.grpc.RpcError as e:
                    print(f"     {method}: {e.details()}", flush=True)
        return not pods
    wait_for("end of pods", is_empty)


def inventory(node):
    """And what engines keep of a pod in folders. A namespace is one of the mounts; what others make in /run is not ours."""
    state = node.path("c/state")
    kept = {str(p) for pattern in ("io.containerd.runtime.v2.task/*/*", "io.containerd.grpc.v1.cri/*/*") for p in state.glob(pattern)}
    return (*node_inventory(node), kept)


def sweep(node):
    return subprocess.run([SHIM, "sweep"], capture_output=True, text=True, timeout=240, check=True,
                          env=dict(node.environment, CLOISTER_RUN_DIRECTORY=str(node.run_directory))).stdout.strip()


def one_case(node, step, victim):
    began = time.monotonic()
    before = inventory(node)
    pod = Pod(node, f"{step}-{victim}")
    call = STEPS[step](pod)
    VICTIMS[victim](node)
    if pod.frozen:
        try:
            os.kill(pod.frozen, signal.SIGCONT)
        except ProcessLookupError:
            pass
    if victim == "containerd":
        node.start_containerd()
        connect(node)
    if call:
        outcome = "failed" if call.exception(timeout=240) else "done"
    else:
        outcome = "none was under way"
    remove_all_pods(node)
    swept, at = sweep(node), time.monotonic()
    assert_nothing_left(node, before, inventory=inventory)
    print(f"ok   {victim} killed at {step} ({time.monotonic() - began:.1f} s); the request {outcome}; {swept}; "
          f"nothing left {time.monotonic() - at:.1f} s later", flush=True)


with Node() as node:
    cases = [tuple(c.split()) for c in sys.argv[1:] if c != "all"] or CHOICE
    if "all" in sys.argv:
        cases = [(step, victim) for step in STEPS for victim in VICTIMS]
    node.start_broker()
    node.start_containerd()
    connect(node)
    digest = node.make_image("workload", IMAGE, namespaces=["k8s.io"])
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    node.development_initdata(allowed(digest, LOOP, env_names=["HOSTNAME"], exec=[EXEC]), network=True)
    for case in cases:
        try:
            one_case(node, *case)
        except BaseException:
            print(f"not ok {case}", node.log(), sep="\n", file=sys.stderr)
            raise
