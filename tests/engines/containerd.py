"""Debian's containerd and docker-registry in namespaces of the test's own; everything ends with the test."""
import ctypes, os, pathlib, signal, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "tests/e2e"))
from world import BUILD, skip  # noqa: E402

CLONE_NEWNS, CLONE_NEWNET, MS_REC_PRIVATE = 0x20000, 0x40000000, 0x44000
REGISTRY = "127.0.0.1:5000"  # in a network namespace of our own


def own_namespaces(*programs):
    """Mounts and addresses vanish with this process. Skips where that cannot be had."""
    for program in programs:
        if subprocess.run(["which", program], capture_output=True).returncode != 0:
            skip(f"{program} is not installed")
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) != 0:
        skip("namespaces need root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def choose():
    """Puts the containerd that tests/newer_containerd unpacked first in PATH, if a suite is given."""
    for suite in sys.argv[1:]:
        programs = pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "build/containerd" / suite
        if not (programs / "containerd").exists():
            skip(f"no containerd of {suite}: tests/newer_containerd {suite}")
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"


def wait_for(what, probe, seconds=120):
    for _ in range(seconds * 10):
        if probe():
            return
        time.sleep(0.1)
    raise AssertionError(f"no {what} within {seconds} s")


class Daemon:
    """A program that is started, killed, started again."""

    def __init__(self, words, log):
        self.words, self.log, self.process = list(map(str, words)), log, None

    def start(self, socket):
        self.process = subprocess.Popen(self.words, stdout=self.log.open("a"), stderr=subprocess.STDOUT)
        wait_for(f"socket of {self.words[0]}", lambda: self._listens(socket))

    def _listens(self, socket):
        import socket as s
        assert self.process.poll() is None, self.log.read_text()
        with s.socket(s.AF_UNIX) as probe:
            return probe.connect_ex(str(socket)) == 0

    def end(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


def containerd_major():
    words = subprocess.run(["containerd", "--version"], capture_output=True, text=True, check=True).stdout.split()
    return int(words[2].lstrip("v").split(".")[0])


# Before containerd 2 there is one CRI plugin; then one for images and one for what runs.
CRI = {2: """
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "cloister"
    disable_snapshot_annotations = false
""", 3: """
version = 3
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "cloister"
  disable_snapshot_annotations = false
"""}


class Containerd:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.socket, self.snapshots = folder / "containerd.sock", folder / "snapshotter.sock"
        self.root = folder / "snapshotter"
        content = folder / "root/io.containerd.content.v1.content"
        head, _, rest = CRI[3 if containerd_major() >= 2 else 2].partition("[")
        (folder / "config.toml").write_text(f"""{head}
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[{rest}[proxy_plugins.cloister]
  type = "snapshot"
  address = "{self.snapshots}"
""")
        self.snapshotter = Daemon([BUILD / "cloister-snapshotter", "--socket", self.snapshots, "--root", self.root,
                                   "--content", content], folder / "snapshotter.log")
        self.daemon = Daemon(["containerd", "--config", folder / "config.toml"], folder / "containerd.log")
        self.registry = None

    def start(self):
        self.snapshotter.start(self.snapshots)
        self.daemon.start(self.socket)

    def start_registry(self):
        config = self.folder / "registry.yml"
        config.write_text(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {self.folder}/registry\nhttp:\n  addr: {REGISTRY}\n")
        self.registry = subprocess.Popen(["docker-registry", "serve", config], stdout=(self.folder / "registry.log").open("w"), stderr=subprocess.STDOUT)
        import socket as s
        host, port = REGISTRY.split(":")

        def answers():
            with s.socket() as probe:
                return probe.connect_ex((host, int(port))) == 0
        wait_for("registry", answers)

    def push(self, layout, name):
        subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{REGISTRY}/{name}"], check=True)
        return f"{REGISTRY}/{name}"

    def cri(self, *words, wanted=0):
        done = subprocess.run(["/usr/bin/python3", pathlib.Path(__file__).parent / "cri.py", self.socket, *words], capture_output=True, text=True, timeout=300)
        assert wanted is None or (done.returncode == 0) == (wanted == 0), f"{words}: {done.stderr}\n{self.daemon.log.read_text()[-3000:]}"
        return done

    def ctr(self, *words, wanted=0):
        done = subprocess.run(["ctr", "--address", self.socket, "--namespace", "k8s.io", *words], capture_output=True, text=True, timeout=300)
        assert wanted is None or done.returncode == wanted, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def end(self):
        self.daemon.end()
        self.snapshotter.end()
        if self.registry:
            self.registry.kill()
            self.registry.wait()
