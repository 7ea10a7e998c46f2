"""A node whose pods' images stay packed: containerd with our snapshotter, a registry, and what the tests of both say to it. Runs under
Debian's own Python."""
import os, pathlib, subprocess, time

import cri_client as cri
import oci_image
from containerd import Containerd, Daemon
from node import Node
from world import BUILD, KEY_ID


class StorageNode(Node):
    """With the snapshotter, for all pods of the node."""
    start_registry, push = Containerd.start_registry, Containerd.push

    def __init__(self, *words):
        super().__init__(*words)
        self.snapshotter = "cloister"
        self.cache = self.path("s/root/cache")
        self.registry = None

    def __exit__(self, *what):
        if self.registry:
            self.registry.kill()
            self.registry.wait()
        super().__exit__(*what)
        self.daemon.end()

    def start(self, handlers=""):
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
{handlers}''')
        for name in ("shim.toml", "development.toml"):
            with self.path(name).open("a") as settings:
                settings.write(f'blobs = "{self.cache}"\ncache = "{self.cache}"\n')
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

    def blob(self, layer):
        """Where the layer is, or will be, in the node's cache."""
        return self.cache / "blobs/sha256" / layer

    def start_pod(self, name, **more):
        logs = self.path(f"logs-{name}")
        logs.mkdir()
        config = cri.pod_config(name, logs, **more)
        return self.cri.run_pod(config, "cloister-dev"), config, logs

    def run_container(self, pod, config, name, argv, reference=None, **more):
        """Returns its exit code and what it said."""
        container = self.cri.create(pod, cri.container_config(name, reference or self.reference, argv, **more), config)
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


def make_image(node, name, files, is_converted=True):
    """An encrypted one. Returns its layout, its digest and the hex of its first layer."""
    plain, lazy, sealed = (node.path(f"{name}-{form}") for form in ("plain", "lazy", "sealed"))
    oci_image.busybox(str(plain), files, run={"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]})
    if not node.path("image.key").exists():
        node.path("image.key").write_bytes(os.urandom(32))
        node.put_key()
    if is_converted:
        node.cloister("image", "convert", "--format", "erofs", f"oci:{plain}", f"oci:{lazy}")
    node.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", node.path("image.key"), f"oci:{lazy if is_converted else plain}", f"oci:{sealed}")
    digest = oci_image.manifest_digest(str(sealed))
    return sealed, digest, oci_image.get_json(sealed, digest)["layers"][0]["digest"].split(":")[1]
