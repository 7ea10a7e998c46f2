"""A node for the engine tests: a broker, a private containerd with our shim, images, and what a pod must not leave behind.

Everything runs in mount and network namespaces of its own, so that mounts, bridges and interfaces end with the test."""
import base64, gzip, hashlib, json, os, pathlib, re, shutil, signal, subprocess, sys, tarfile, time

SOURCE = pathlib.Path(os.environ["CLOISTER_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from oci_image import busybox, file, manifest_digest  # noqa: E402
from world import BUILD, GUEST, World, inventory, inventory_difference, skip  # noqa: E402

SHIM = BUILD / "containerd-shim-cloister-v2"
IMAGE = "docker.io/library/workload:latest"
PAUSE = "registry.k8s.io/pause:3.6"
RUNTIME = "io.containerd.cloister.v2"
GROUP = f"cloister-test-{os.getpid()}"  # control group above those of a test's pods


def enter_namespaces():
    """Runs this script again in namespaces of its own; returns there."""
    if os.environ.get("CLOISTER_TEST_NAMESPACES") == "yes":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        skip("a containerd of our own needs root")
    for needed in ("unshare", "containerd", "ctr", "ip"):
        if not shutil.which(needed):
            skip(f"{needed} is not installed")
    os.environ["CLOISTER_TEST_NAMESPACES"] = "yes"
    shutil.rmtree(os.environ.pop("TMPDIR"))  # which `world` made for this process; the next makes its own
    os.execvp("unshare", ["unshare", "-m", "-n", "--propagation", "private", sys.executable, *sys.argv])


def groups_above():
    """In each hierarchy the group above those of pods, which a kubelet makes, from the outermost on."""
    places = [p.parent for pattern in ("cgroup.procs", "*/cgroup.procs") for p in pathlib.Path("/sys/fs/cgroup").glob(pattern)]
    return [place / part for place in places for part in (GROUP, f"{GROUP}/kubepods", f"{GROUP}/kubepods/besteffort")]


def toml_text(text):
    assert "'''" not in text
    return "'''\n" + text + "'''"


class Node(World):
    """With a broker that releases keys to guests of our own measurement, and a containerd."""

    def __init__(self, suite=None, sandboxer="podsandbox"):
        """With Debian 12's containerd, or with the one that tests/newer_containerd unpacked from another suite."""
        super().__init__()
        if not SHIM.exists():
            skip(f"{SHIM.name} is not built")
        programs = SOURCE / "build/containerd" / suite if suite else None
        if programs and not (programs / "containerd").exists():
            skip(f"no containerd of {suite}: tests/newer_containerd {suite}")
        self.containerd_program = programs / "containerd" if suite else "containerd"
        self.ctr_program = "ctr"  # Debian 12's, which speaks to all of them
        self.sandboxer, self.snapshotter = sandboxer, "native"
        self.containerd = None
        self.run_directory = pathlib.Path(f"/run/cloister-test-{os.getpid()}")  # short: it holds sockets
        self.socket = self.path("c") / "containerd.sock"
        for group in groups_above():
            group.mkdir(exist_ok=True)

    def __exit__(self, *what):
        self.stop_containerd()
        self.end_leftovers()
        for group in reversed(groups_above()):
            if group.is_dir() and not any(child.is_dir() for child in group.iterdir()):
                group.rmdir()
        shutil.rmtree(self.run_directory, ignore_errors=True)
        super().__exit__(*what)

    # ---- containerd ----

    def write_config(self, handlers=""):
        """A handler for development, one that is not, and containerd's defaults."""
        self.path("shim.toml").write_text(f'tee = "sim"\nguest = "{GUEST}"\nmemory = 256\n')
        self.path("development.toml").write_text(
            f'development = true\ntee = "sim"\nguest = "{GUEST}"\nmemory = 256\ninitdata = "{self.path("initdata.toml")}"\n')
        d = self.path("c")
        d.mkdir(exist_ok=True)
        (d / "cni").mkdir(exist_ok=True)
        (d / "cni/10-test.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": "test", "plugins": [
            {"type": "bridge", "bridge": "cltest0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
             "ipam": {"type": "host-local", "dataDir": str(d / "ipam"), "ranges": [[{"subnet": "10.88.77.0/24"}]],
                      "routes": [{"dst": "0.0.0.0/0"}]}}]}))
        cri = '[plugins."io.containerd.grpc.v1.cri"'
        self.path("containerd-shim-cloister-development-v2").symlink_to(SHIM)
        has_options = self.sandboxer == "podsandbox"  # with "shim", containerd 2.0 to 2.3 take neither options nor runtime_path
        runtimes = "".join(f'''
    {cri}.containerd.runtimes.{name}]
      runtime_type = "{RUNTIME if has_options else program}"
      runtime_path = "{program}"
      pod_annotations = ["io.cloister.*", "io.katacontainers.*"]
      sandboxer = "{self.sandboxer}"
''' + (f'''
      {cri}.containerd.runtimes.{name}.options]
        TypeUrl = "cloister"
        ConfigPath = "{self.path(settings)}"
''' if has_options else "") for name, settings, program in (
            ("cloister", "shim.toml", SHIM),
            ("cloister-dev", "development.toml", SHIM if has_options else self.path("containerd-shim-cloister-development-v2"))))
        (d / "config.toml").write_text(f'''version = 2
root = "{d}/root"
state = "{d}/state"
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[debug]
  level = "debug"
[plugins."io.containerd.internal.v1.opt"]
  path = "{d}/opt"
{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  {cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{d}/cni"
  {cri}.containerd]
    snapshotter = "{self.snapshotter}"
    default_runtime_name = "cloister"
{runtimes}{handlers}''')

    def start_containerd(self, **more):
        if not self.path("c").exists():
            self.write_config(**more)
        environment = dict(self.environment, PATH=f"{BUILD}:{os.environ['PATH']}", CLOISTER_RUN_DIRECTORY=str(self.run_directory),
                           CLOISTER_CONFIG_DIRECTORY=str(self.folder))
        log = self.path("containerd.log").open("a")
        self.containerd = subprocess.Popen([self.containerd_program, "--config", self.path("c") / "config.toml"],
                                           cwd=self.folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(600):
            if self.ctr("version", wanted=None).returncode == 0:
                return
            assert self.containerd.poll() is None, self.log()
            time.sleep(0.1)
        raise AssertionError("containerd does not answer\n" + self.log())

    def log(self):
        return self.path("containerd.log").read_text()[-6000:]

    def stop_containerd(self, how=signal.SIGTERM):
        if self.containerd and self.containerd.poll() is None:
            self.containerd.send_signal(how)
            try:
                self.containerd.wait(30)
            except subprocess.TimeoutExpired:
                self.containerd.kill()
                self.containerd.wait()
        self.containerd = None

    def restart_containerd(self, how=signal.SIGTERM):
        self.stop_containerd(how)
        self.start_containerd()

    def ctr(self, *words, wanted=0, namespace="default", seconds=240, **options):
        done = subprocess.run([self.ctr_program, "-a", self.socket, "-n", namespace, *map(str, words)], text=True, cwd=self.folder,
                              env=self.environment, timeout=seconds, **{"capture_output": True, "stdin": subprocess.DEVNULL, **options})
        assert wanted is None or done.returncode == wanted, f"ctr {words}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
        return done

    def end_leftovers(self):
        """After a failed test: shims of our own, found by the socket directory that only they have open."""
        for stat in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                ours = f"CLOISTER_RUN_DIRECTORY={self.run_directory}".encode() in stat.read_bytes().split(b"\0")
            except OSError:
                continue
            if ours and int(stat.parent.name) != os.getpid():
                os.kill(int(stat.parent.name), signal.SIGKILL)

    # ---- images and what a guest may run ----

    def make_layout(self, name, **more):
        """Builds an image. Returns the digest of its manifest."""
        busybox(str(self.path(name)), packings=("gzip", "gzip", "gzip"), **more)
        return manifest_digest(str(self.path(name)))

    def make_image(self, name, reference, namespaces=("default",), **more):
        """Builds an image and gives it to containerd. Returns the digest of its manifest."""
        layout = self.path(name)
        digest = self.make_layout(name, **more)
        index = json.loads((layout / "index.json").read_text())
        index["manifests"][0]["annotations"] = {"io.containerd.image.name": reference}
        index["manifests"][0]["platform"] = {"os": "linux", "architecture": "amd64"}
        (layout / "index.json").write_text(json.dumps(index))
        with tarfile.open(self.path(name + ".tar"), "w") as tar:
            for part in ("oci-layout", "index.json", "blobs"):
                tar.add(layout / part, part)
        for namespace in namespaces:
            self.ctr("image", "import", "--snapshotter", self.snapshotter, self.path(name + ".tar"), namespace=namespace)
        return digest

    def initdata_for(self, *containers, network=False, image_config=None):
        """Initdata that allows exactly these containers, registered at the broker. Returns its text. `image_config` is cdh.toml."""
        policy = json.dumps({"network": network, "containers": list(containers)})
        broker = f'[token_configs.kbs]\nurl = "{self.url}"\ncert = """{self.ca.read_text()}"""\n'
        text = ('version = "0.1.0"\nalgorithm = "sha256"\n[data]\n' + f'"aa.toml" = {toml_text(broker)}\n'
                f'"policy.json" = {toml_text(policy)}\n')
        text += f'"cdh.toml" = {toml_text(image_config)}\n' if image_config else ""
        if not hasattr(self, "measured"):
            self.measured = self.measure()
        self.cloister("reference", "add", "--measurement", self.measured, "--initdata", hashlib.sha256(text.encode()).hexdigest(), *self.admin)
        return text

    def development_initdata(self, *containers, **more):
        self.path("initdata.toml").write_text(self.initdata_for(*containers, **more))


def annotation_of(text):
    """The form that the annotations of initdata have."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


GIVEN_FILES = [{"path": p} for p in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")]  # by engines, to every pod


def allowed(image, args, env=(), **more):
    """An entry of a policy."""
    return {"image": image, "args": None if args is None else list(args), "command": [] if args is not None else None,
            "env": list(env), "output": True, "files": GIVEN_FILES, **more} if args is not None else \
           {"image": image, "args": None, "env": list(env), "output": True, "files": GIVEN_FILES, **more}


def shims_of(node):
    """Process numbers of the shims that this node's containerd started; the simulated platform, a fork of one, is none."""
    found = {}
    for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            if os.readlink(exe).removesuffix(" (deleted)") == str(SHIM) and str(node.run_directory).encode() in (exe.parent / "environ").read_bytes():
                found[int(exe.parent.name)] = int((exe.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            pass
    return [pid for pid, parent in found.items() if parent not in found]


def vms_of(node):
    """Process numbers of the hypervisors below those shims."""
    found = []
    for shim in shims_of(node):
        try:
            for child in pathlib.Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
                if b"qemu" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
        except OSError:
            pass
    return found


def node_inventory(node):
    """What a pod may not leave behind: processes, mounts, files of ours, interfaces, control groups."""
    files = {str(p) for p in node.run_directory.rglob("*")} if node.run_directory.exists() else set()
    links = set(re.findall(r"^\d+: ([^:@]+)", subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout, re.M))
    processes, mounts, _ = inventory()  # the shim makes no temporary file
    groups = {path for path, _, _ in os.walk("/sys/fs/cgroup") if f"/{GROUP}/" in f"{path}/"}  # those of other tests may go meanwhile
    return {p for p in processes if "containerd --config" not in p[1]}, mounts, files, links - {"cltest0"}, groups  # CNI keeps its bridge


def assert_nothing_left(node, before, seconds=120, inventory=node_inventory):
    for _ in range(seconds * 10):
        left = [new - old for new, old in zip(inventory(node), before)]
        if not any(left):
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {left}")


def run_tests(tests, node, names=sys.argv[1:]):
    """All, or those that are named on the command line."""
    for test in [t for t in tests if not names or t.__name__ in names]:
        began = time.monotonic()
        before = node_inventory(node)
        try:
            test(node)
        except BaseException:
            print(node.log(), file=sys.stderr)
            raise
        assert_nothing_left(node, before)
        print(f"ok   {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
