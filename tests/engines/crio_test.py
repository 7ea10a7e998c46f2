#!/usr/bin/env python3
"""CRI-O's runtime type `vm`: its config.json (crio-1.33/) and its calls, in its order, to the shim and a real VM. There is
no containerd to ask and no one to send events to, and options come with the first Create only."""
import atexit, json, os, pathlib, socket, struct, subprocess, threading

from node import SHIM, Node, allowed, enter_namespaces, run_tests, shims_of, vms_of

enter_namespaces()
from cri_client import at, decode, encode  # noqa: E402  needs gRPC, which only Debian's own Python has

SH = ["/bin/sh", "-c"]
MAIN, EXEC, DENIED, SLEEP = (SH + [s] for s in ("read l; echo got $l $FOO; echo to-stderr >&2; while :; do sleep 0.2; done",
                                                "echo in-exec; exit 5", "echo evil", "exec sleep 1000"))
EATER = SH + ["exec /bin/busybox dd if=/dev/zero of=/dev/null bs=64M count=1"]
CAPTURES = pathlib.Path(__file__).parent / "crio-1.33"
TASK = "containerd.task.v2.Task"
SECONDS = 240  # what CRI-O waits for a Create


class Refused(Exception):
    pass


class Client:
    """One connection, as CRI-O makes one for each container; calls one after another."""

    def __init__(self, address):
        assert address.startswith("unix://"), address
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(address[len("unix://"):])
        self.stream = 1

    def call(self, method, request):
        payload = encode({1: TASK, 2: method, 3: encode(request)})
        self.socket.sendall(struct.pack(">IIBB", len(payload), self.stream, 1, 0) + payload)
        length, stream, kind, _ = struct.unpack(">IIBB", self._take(10))
        assert (stream, kind) == (self.stream, 2)
        self.stream += 2
        answer = decode(self._take(length))
        status = decode(answer[1][0]) if 1 in answer and answer[1][0] else {}
        if status.get(1, [0])[0]:
            raise Refused(status[2][0].decode())
        return answer.get(2, [b""])[0]

    def _take(self, n):
        out = b""
        while len(out) < n:
            more = self.socket.recv(n - len(out))
            assert more, "the shim hung up"
            out += more
        return out


class Streams:
    """The three FIFOs of a process, as CRI-O makes them; what is written is collected."""

    def __init__(self, folder, name):
        self.paths = [str(folder / f"{name}-{i}") for i in range(3)]
        for path in self.paths:
            os.mkfifo(path, 0o700)
        self.output = ["", ""]
        self.stdin = os.open(self.paths[0], os.O_RDWR)
        self.readers = [threading.Thread(target=self._read, args=(i,), daemon=True) for i in (0, 1)]
        for reader in self.readers:
            reader.start()

    def _read(self, i):
        with open(self.paths[1 + i], "rb") as fifo:
            while data := os.read(fifo.fileno(), 4096):
                self.output[i] += data.decode()

    def wait(self):
        for reader in self.readers:
            reader.join(SECONDS)
            assert not reader.is_alive(), self.output
        os.close(self.stdin)
        return self.output


class Crio:
    def __init__(self, node, image):
        self.node, self.image, self.clients, self.bundles = node, image, {}, {}
        self.folder = node.path("crio")
        self.folder.mkdir(exist_ok=True)

    def write_bundle(self, kind, **changes):
        """As it was recorded, but for folders, image and command."""
        text = (CAPTURES / f"{kind}-config.json").read_text().replace("/srv/ctrtest", str(self.folder))
        config = json.loads(text)
        config["annotations"].update(changes.pop("annotations", {}))
        config["linux"]["resources"].update(changes.pop("resources", {}))
        config["process"].update(changes)
        for space in config["linux"]["namespaces"]:
            if space["type"] == "network" and "path" in space:
                space["path"] = f"/proc/{self.node.pod_namespace.pid}/ns/net"
        for mount in config["mounts"]:
            if mount["destination"] in ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts"):
                source = pathlib.Path(mount["source"])
                source.parent.mkdir(parents=True, exist_ok=True)
                source.write_text("nameserver 192.0.2.1\n")
        name = config["annotations"]["io.kubernetes.cri-o.ContainerID"]
        bundle = self.folder / f"bundle-{len(self.bundles)}"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(config))
        self.bundles[name] = bundle
        return name

    def start_shim(self, name):
        os.mkfifo(self.bundles[name] / "log", 0o700)
        environment = dict(self.node.environment, TTRPC_ADDRESS="", GRPC_ADDRESS="", NAMESPACE="default", GOMAXPROCS="2",
                           CLOISTER_RUN_DIRECTORY=str(self.node.run_directory), CLOISTER_CONFIG_DIRECTORY=str(self.folder))
        done = subprocess.run([SHIM, "-namespace", "default", "-address", "", "-publish-binary", "", "-id", name, "start"],
                              cwd=self.bundles[name], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        self.clients[name] = Client(done.stdout.strip())
        return done.stdout.strip()

    def create(self, name, streams=None):
        options = {1: "runtimeoptions.v1.Options", 2: encode({2: str(self.node.path("crio.toml"))})}
        paths = streams.paths if streams else ["", "", ""]
        request = {1: name, 2: str(self.bundles[name]), 5: paths[0], 6: paths[1], 7: paths[2], 10: options}
        return at(self.clients[name].call("Create", request), 1)

    def call(self, name, method, more=None):
        return self.clients[name].call(method, {1: name, **(more or {})})

    def remove(self, name):
        self.call(name, "Delete")
        self.call(name, "Shutdown")
        self.clients.pop(name).socket.close()


def image_annotations(image, name=""):
    return {"io.kubernetes.cri-o.Image": image, "io.kubernetes.cri-o.ImageName": name}


def container_of(crio, number, **more):
    """A container of the recorded pod."""
    name = f"{number:064x}"
    annotations = {"io.kubernetes.cri-o.ContainerID": name, **more.pop("annotations")}
    return crio.write_bundle("container", annotations=annotations, **more)


def start_pod(node):
    crio = Crio(node, node.image_digest)
    node.path("crio.toml").write_text(node.path("development.toml").read_text() + f'blobs = "{node.path("workload")}"\n')
    limits = {"memory_limit_in_bytes": 64 << 20}
    sandbox = crio.write_bundle("sandbox", annotations={"io.kubernetes.cri-o.PodLinuxResources": json.dumps(limits)})
    crio.start_shim(sandbox)
    pid = crio.create(sandbox)
    assert pathlib.Path(f"/proc/{pid}/stat").exists(), "CRI-O looks at the process"
    (vm,) = vms_of(node)
    words = pathlib.Path(f"/proc/{vm}/cmdline").read_text().split("\0")
    assert words[words.index("-m") + 1].startswith("320"), words  # 256 of the guest itself, and the pod's
    crio.call(sandbox, "Start")
    return crio, sandbox


def process_of(args):
    return {1: "types.containerd.io/opencontainers/runtime-spec/1/Process",
            2: json.dumps({"args": args, "cwd": "/", "env": [], "terminal": False, "user": {"uid": 0, "gid": 0}})}


def check_exec(crio, name):
    streams = Streams(crio.folder, "exec")
    crio.call(name, "Exec", {2: "e1", 4: streams.paths[0], 5: streams.paths[1], 6: streams.paths[2], 7: process_of(EXEC)})
    crio.call(name, "Start", {2: "e1"})
    assert at(crio.call(name, "Wait", {2: "e1"}), 1) == 5
    crio.call(name, "Delete", {2: "e1"})
    assert streams.wait() == ["in-exec\n", ""]
    crio.call(name, "Exec", {2: "e2", 7: process_of(DENIED)})
    refused(lambda: crio.call(name, "Start", {2: "e2"}), "policy does not allow this argv")
    crio.call(name, "Delete", {2: "e2"})


def check_timed_out_probes(crio, name):
    """As ExecSync with a time limit: killed and waited for, and never deleted. A guest would keep 16."""
    for number in range(18):
        exec_id = f"probe{number}"
        crio.call(name, "Exec", {2: exec_id, 7: process_of(SLEEP)})
        crio.call(name, "Start", {2: exec_id})
        crio.call(name, "Kill", {2: exec_id, 3: 9})
        assert at(crio.call(name, "Wait", {2: exec_id}), 1) == 137


def refused(what, *words):
    try:
        what()
    except Refused as e:
        assert all(w in str(e) for w in words), e
        return
    raise AssertionError(f"was not refused: wanted {words}")


def the_recorded_conversation_runs_a_pod(node):
    node.development_initdata(allowed(node.image_digest, MAIN, env=["FOO=bar"], env_names=["HOSTNAME", "container", "TERM"], input=True,
                                      update=True, exec=[EXEC, SLEEP]),
                              allowed(node.image_digest, EATER), network=True)
    crio, sandbox = start_pod(node)
    image = f"registry.example/workload@{node.image_digest}"
    main = container_of(crio, 1, args=MAIN, env=["FOO=bar"], annotations=image_annotations(image))
    address = crio.start_shim(main)
    assert len(shims_of(node)) == 1, "one shim for the pod"
    streams = Streams(crio.folder, "main")
    crio.create(main, streams)
    crio.call(main, "Start")
    os.write(streams.stdin, b"line\n")
    assert at(crio.call(main, "State"), 4) == 2, "not running"
    check_exec(crio, main)
    check_timed_out_probes(crio, main)
    for name in sandbox, main:
        crio.call(name, "Kill", {3: 0})  # which is how CRI-O asks whether they live
    assert at(crio.call(main, "Stats"), 1), "no statistics"
    crio.call(main, "Update", {2: {1: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
                                   2: json.dumps({"memory": {"limit": 64 << 20}})}})
    crio.call(main, "Kill", {3: 9})
    assert at(crio.call(main, "Wait"), 1) == 137
    assert streams.wait() == ["got line bar\n", "to-stderr\n"]
    refused(lambda: crio.call(main, "Kill", {3: 0}), "process already finished")
    assert not (crio.bundles[main] / "oom").exists()
    crio.remove(main)
    eater = container_of(crio, 2, args=EATER, env=[], annotations=image_annotations(image), resources={"memory": {"limit": 16 << 20}})
    crio.start_shim(eater)
    crio.create(eater)
    crio.call(eater, "Start")
    assert at(crio.call(eater, "Wait"), 1) == 137
    assert (crio.bundles[eater] / "oom").exists(), "CRI-O looks there for why it ended"
    crio.remove(eater)
    # The image's id, and its digest in the other name; what has no digest anywhere is not pulled by a guess.
    for number, name in enumerate([image_annotations("ab" * 32, image), image_annotations("workload:latest", image)]):
        again = container_of(crio, 10 + number, args=MAIN, env=["FOO=bar"], annotations=name)
        assert crio.start_shim(again) == address
        crio.create(again)
        crio.remove(again)
    for number, name in enumerate([image_annotations("workload:latest", "workload:latest"), image_annotations("ab" * 32)]):
        vague = container_of(crio, 20 + number, args=MAIN, env=["FOO=bar"], annotations=name)
        crio.start_shim(vague)
        refused(lambda: crio.create(vague), "pull: which manifest is image", "Name it by digest, NAME@sha256:")
        crio.clients.pop(vague).socket.close()
    crio.call(sandbox, "Kill", {3: 9})
    assert at(crio.call(sandbox, "Wait"), 1) == 137
    crio.remove(sandbox)


def make_network():
    """The pod's namespace and its interface, whose other end is where a bridge would have it. Returns the process that holds it."""
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 2147483647"], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"ready\n"
    subprocess.run(["ip", "link", "add", "peer0", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid)], check=True)
    for words in ("address add 10.88.77.4/24 dev eth0", "link set eth0 up", "link set lo up"):
        subprocess.run(["nsenter", "-n", "-t", str(holder.pid), "ip", *words.split()], check=True)
    return holder


with Node() as node:
    node.pod_namespace = make_network()
    atexit.register(node.pod_namespace.kill)
    node.start_broker()
    node.write_config()
    node.image_digest = node.make_layout("workload")
    node.path("containerd.log").touch()
    run_tests([the_recorded_conversation_runs_a_pod], node)
