#!/usr/bin/env python3
"""Disks of pods under containerd's CRI: an image that is mounted, from the node's cache, and persistent volumes, each lent to a
guest that runs already. What the host does to them has its name."""
import fcntl, json, os, pathlib, subprocess, sys, time

from containerd import Containerd, Daemon
from node import PAUSE, Node, allowed, enter_namespaces, run_tests

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has
import oci_image  # noqa: E402
from world import BUILD, KEY_ID, skip, wait_for  # noqa: E402

SH = ["/bin/sh", "-c"]
WAITS = "a layer is on its way to this node"
MIB = 1 << 20
CANARY = "a sentence that no file of this node may hold"
NONCE = "00112233445566778899aabbccddeeff"
VOLUME_KEY = "kbs:///default/volume/data"
LOOK = SH + ["cat /etc/secret; echo mine > /etc/secret; cat /etc/secret"]
WRITE = SH + [f"echo {CANARY} > /var/lib/data/canary; echo written"]
READ = SH + ["cat /var/lib/data/canary; echo x > /var/lib/data/x || echo read-only"]


class StorageNode(Node):
    """With the snapshotter, for all pods of the node, and a registry."""
    start_registry, push = Containerd.start_registry, Containerd.push

    def __init__(self):
        super().__init__()
        self.snapshotter = "cloister"
        self.cache = self.path("s/root/cache")
        self.registry = None

    def __exit__(self, *what):
        if self.registry:
            self.registry.kill()
            self.registry.wait()
        super().__exit__(*what)
        self.daemon.end()

    def start(self):
        self.path("s").mkdir()
        address = self.path("s/socket")
        content = self.path("c/root/io.containerd.content.v1.content")
        self.daemon = Daemon([BUILD / "cloister-snapshotter", "--socket", address, "--root", self.path("s/root"), "--content", content],
                             self.path("snapshotter.log"))
        self.daemon.start(address)
        self.write_config(f'''
[proxy_plugins.cloister]
  type = "snapshot"
  address = "{address}"
''')
        for name in ("shim.toml", "development.toml"):
            with self.path(name).open("a") as settings:
                settings.write(f'blobs = "{self.cache}"\n')
        config = self.path("c/config.toml")
        config.write_text(config.read_text().replace(f'snapshotter = "{self.snapshotter}"\n', f'snapshotter = "{self.snapshotter}"\n    disable_snapshot_annotations = false\n'))
        self.start_containerd()
        for _ in range(600):
            try:
                self.cri = cri.Cri(self.socket)
                self.cri.call("ListPodSandbox", {})
                return
            except cri.grpc.RpcError:
                time.sleep(0.1)
        raise AssertionError("CRI does not answer\n" + self.log())

    def start_pod(self, name, **more):
        logs = self.path(f"logs-{name}")
        logs.mkdir()
        config = cri.pod_config(name, logs, **more)
        return self.cri.run_pod(config, "cloister-dev"), config, logs

    def run_container(self, pod, config, name, argv, **more):
        """Returns its exit code and what it said."""
        container = self.cri.create(pod, cri.container_config(name, self.reference, argv, **more), config)
        self.cri.call("StartContainer", {1: container})
        code = self.cri.wait_exited(container)[0]
        log = pathlib.Path(config[3], f"{name}.log")
        return code, said_in(log, "stdout")

    def remove_pod(self, pod):
        self.cri.call("StopPodSandbox", {1: pod})
        self.cri.call("RemovePodSandbox", {1: pod})


def said_in(log, *streams):
    """A log of CRI as kubectl shows it: long lines come in parts. [CRI log format]"""
    rows = (line.split(" ", 3) for line in log.read_text().splitlines(True))
    return "".join(text if tag == "F" else text.rstrip("\n") for _, stream, tag, text in rows if stream in streams)


def refused(what, *words):
    try:
        what()
    except cri.grpc.RpcError as e:
        assert all(w in e.details() for w in words), e.details()
        print(f"refused: {e.details()}", flush=True)
        return
    raise AssertionError(f"was not refused: wanted {words}")


def make_image(node):
    """Converted, encrypted, pushed and pulled; its one layer is in the node's cache alone."""
    plain, lazy, sealed = node.path("plain"), node.path("lazy"), node.path("sealed")
    oci_image.busybox(str(plain), [oci_image.file("etc/secret", CANARY + "\n")], run={"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]})
    node.path("image.key").write_bytes(os.urandom(32))
    node.cloister("image", "convert", "--format", "erofs", f"oci:{plain}", f"oci:{lazy}")
    node.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", node.path("image.key"), f"oci:{lazy}", f"oci:{sealed}")
    node.put_key()
    node.digest = oci_image.manifest_digest(str(sealed))
    node.layer = oci_image.get_json(sealed, node.digest)["layers"][0]["digest"].split(":")[1]
    node.reference = node.push(sealed, "secret/shop:1")
    node.cri.pull(node.reference)


def entry(node, argv, **more):
    return allowed(node.digest, argv, env_names=["HOSTNAME"], **more)


def blob_of(node):
    return node.cache / "blobs/sha256" / node.layer


def an_image_is_mounted_from_the_nodes_cache(node):
    """Once it has come there; and a block that the node changes is found."""
    assert not list(node.path("s/root/snapshots").glob("*/fs/etc/secret")), "a layer was unpacked on the host"
    wait_for(blob_of(node).exists, "the layer in the node's cache")
    node.development_initdata(entry(node, LOOK), network=True)
    pod, config, _ = node.start_pod("mounted")
    away = blob_of(node).rename(node.path("away"))
    whole = away.read_bytes()
    away.write_bytes(whole[:1030] + bytes([whole[1030] ^ 1]) + whole[1031:])
    container = node.cri.create(pod, cri.container_config("late", node.reference, LOOK), config)
    creation = node.cri.begin("StartContainer", {1: container})  # which is when containerd asks the shim for it
    wait_for(lambda: WAITS in node.path("containerd.log").read_text() or creation.done(), "the shim waits")
    assert not creation.done(), creation
    away.rename(blob_of(node))
    refused(creation.result, "verify: layer 1 of 1", "not what the manifest's root hash says")
    blob_of(node).write_bytes(whole)
    for name in ("one", "two"):  # the second shows the same mount, with writes of its own
        assert node.run_container(pod, config, name, LOOK) == (0, f"{CANARY}\nmine\n")
    node.remove_pod(pod)


def may(node, argv, **more):
    """An entry with the volume; `more` is of its row."""
    return entry(node, argv, volumes=[{"path": "/var/lib/data", "volume": "data", "key": VOLUME_KEY, **more}])


def blank(path):
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as disk:
        disk.truncate(32 * MIB)
    return path


def check_receipt(node, log):
    """The job's: of what it said, and of what it left in the volume."""
    folder, output = node.path("same"), node.path("output")
    folder.mkdir()
    (folder / "canary").write_text(CANARY + "\n")
    output.write_text("written\n")
    shown = node.path("log")
    shown.write_text(said_in(log, "stdout", "stderr"))

    def verify(*words, wanted=0):
        done = node.cloister("job", "verify", "--ca", node.environment["CLOISTER_DEVELOPMENT_ROOT"], "--measurement", node.measured,
                             "--initdata", node.path("initdata.toml"), "--image", node.digest, *words, shown, wanted=wanted)
        return json.loads(done.stdout)
    answer = verify("--nonce", NONCE, "--output", output, "--volume", f"data={folder}")
    assert answer["verdict"] == "accepted" and answer["claims"]["statement"]["exit_code"] == 0, answer
    (folder / "canary").write_text("another\n")
    assert "what is in volume data" in verify("--volume", f"data={folder}", wanted=1)["detail"]


def a_volume_in_a_folder_shows_the_host_nothing(node):
    """As a PersistentVolumeClaim of volumeMode Filesystem with our file in it."""
    disk = blank(node.path("claim/cloister.img"))
    mounts = {"/var/lib/data": disk.parent}
    node.development_initdata(may(node, WRITE, format=True), entry(node, LOOK), network=True)
    pod, config, logs = node.start_pod("writes", annotations={"io.cloister.receipt": NONCE})
    with disk.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(lambda: node.run_container(pod, config, "locked", WRITE, mounts=mounts), "volume at /var/lib/data", "in use by another pod")
    refused(lambda: node.run_container(pod, config, "other", LOOK, mounts=mounts), "policy does not list the volume /var/lib/data")
    assert node.run_container(pod, config, "one", WRITE, mounts=mounts) == (0, "written\n")
    node.remove_pod(pod)
    check_receipt(node, logs / "one.log")
    assert CANARY.encode()[:12] not in disk.read_bytes(), "the host found plaintext on the volume"


def it_was_closed_and_is_read_as_a_block_device(node):
    """As a claim of volumeMode Block: a device at the path where its files are wanted. What was not closed cannot be read only."""
    disk = node.path("claim/cloister.img")
    found = subprocess.run(["losetup", "--find", "--show", disk], capture_output=True, text=True)
    if found.returncode == 0:
        where = {"devices": {"/var/lib/data": found.stdout.strip()}, "access": "r"}
    else:
        print(f"no loop device, so the folder again: {found.stderr.strip()}", flush=True)
        where = {"mounts": {"/var/lib/data": disk.parent}, "read_only": ["/var/lib/data"]}
    try:
        node.development_initdata(may(node, READ, read_only=True), network=True)
        pod, config, _ = node.start_pod("reads")
        code, said = node.run_container(pod, config, "one", READ, **where)
        assert code == 0 and said.startswith(CANARY) and "read-only\n" in said, said
        node.remove_pod(pod)
    finally:
        if found.returncode == 0:
            subprocess.run(["losetup", "--detach", found.stdout.strip()], check=True)


TESTS = [an_image_is_mounted_from_the_nodes_cache, a_volume_in_a_folder_shows_the_host_nothing, it_was_closed_and_is_read_as_a_block_device]
if subprocess.run(["which", "docker-registry", "skopeo"], capture_output=True).returncode != 0:
    skip("docker-registry and skopeo are wanted")
with StorageNode() as node:
    node.start_broker()
    node.start()
    node.start_registry()
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    make_image(node)
    node.path("volume.key").write_bytes(os.urandom(32))
    node.cloister("key", "put", VOLUME_KEY, node.path("volume.key"), *node.admin)
    run_tests(TESTS, node, sys.argv[1:])
