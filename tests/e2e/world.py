"""What the end-to-end tests share: a broker of their own, an encrypted image, `cloister run`, and an inventory of what
a run must not leave behind."""
import atexit, ctypes, os, pathlib, re, shutil, signal, subprocess, sys, tempfile, time

SOURCE = pathlib.Path(os.environ["CLOISTER_SOURCE"])
BUILD = pathlib.Path(os.environ["CLOISTER_BUILD"])
GUEST = BUILD / "runtime/guest"
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from oci_image import busybox, file, manifest_digest  # noqa: E402

# Temporary files of this test and of all that it starts: what others do meanwhile is not in its inventory.
os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="cloister-e2e-")
atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)
# And its mounts, where it may have some of its own: without root there are none.
CLONE_NEWNS, MS_REC_PRIVATE = 0x20000, 0x44000
libc = ctypes.CDLL(None, use_errno=True)
HAS_OWN_MOUNTS = libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) == 0

CLOISTER = BUILD / "cloister"
KEY_ID = "kbs:///default/test/image-key"
RUN_SECONDS = 240


def skip(why):
    print(why)
    sys.exit(77)


class World:
    """A temporary folder with a broker in it. Use as a context manager: nothing is left running."""

    def __init__(self):
        for needed in (GUEST / "initrd", CLOISTER, BUILD / "cloister-broker"):
            if not needed.exists():
                skip(f"{needed.name} is not built")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cloister-e2e-"))
        self.environment = dict(os.environ, CLOISTER_DEVELOPMENT_ROOT=str(self.folder / "dev-tee"), LC_ALL="C.UTF-8")
        self.broker = None
        become_subreaper()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_broker()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return self.folder / name

    # ---- commands ----

    def cloister(self, *words, wanted=0, **options):
        done = subprocess.run([CLOISTER, *map(str, words)], capture_output=True, text=True, timeout=RUN_SECONDS,
                              cwd=self.folder, env=self.environment, **options)
        assert wanted is None or done.returncode == wanted, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start_broker(self, name="broker", listen="127.0.0.1:0"):
        out, log = self.path(f"{name}.out"), self.path(f"{name}.log")
        self.broker = subprocess.Popen([BUILD / "cloister-broker", "--dev", self.path(name), "--listen", listen], cwd=self.folder,
                                       env=self.environment, stdout=out.open("w"), stderr=log.open("w"))
        for _ in range(600):
            found = re.search(r"listening on (https://\S+)", out.read_text())
            if found:
                self.url, self.ca = found[1], self.path(name) / "ca.pem"
                self.admin = ["--broker", self.url, "--broker-ca", self.ca, "--admin-key", self.path(name) / "admin.key"]
                return
            assert self.broker.poll() is None, log.read_text()
            time.sleep(0.1)
        raise AssertionError("the broker does not listen")

    def stop_broker(self):
        if self.broker and self.broker.poll() is None:
            self.broker.send_signal(signal.SIGTERM)
            try:
                self.broker.wait(60)
            except subprocess.TimeoutExpired:
                self.broker.kill()
                self.broker.wait()
        self.broker = None

    # ---- images and references ----

    def image(self, name="encrypted", command=("/bin/sh",), files=(), run=None, **more):
        """An image whose three layers are encrypted under KEY_ID. Returns its reference."""
        plain = self.path(name + "-plain")
        busybox(str(plain), list(files), run=run or {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": list(command)}, **more)
        if not self.path("image.key").exists():
            self.path("image.key").write_bytes(os.urandom(32))
        self.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", self.path("image.key"), f"oci:{plain}",
                      f"oci:{self.path(name)}")
        return f"oci:{self.path(name)}"

    def put_key(self):
        self.cloister("key", "put", KEY_ID, self.path("image.key"), *self.admin)

    def append(self):
        return "cloister.tee=sim " + (GUEST / "cmdline").read_text().strip()

    def measure(self, cpus=1, initrd="initrd"):
        return self.cloister("measure", "snp", "--firmware", GUEST / "firmware", "--kernel", GUEST / "kernel", "--initrd",
                             GUEST / initrd, "--append", self.append(), "--vcpus", cpus, "--vcpu-type", "EPYC-v4").stdout.strip()

    def expect(self, image, *args, env=(), cpus=1, initrd="initrd"):
        """Registers the guest's measurement and the digest of the initdata of exactly this run."""
        words = [w for e in env for w in ("--env", e)]
        digest = self.cloister("initdata", "--digest", *words, "--broker", self.url, "--broker-ca", self.ca, image, *args)
        self.cloister("reference", "add", "--measurement", self.measure(cpus, initrd), "--initdata", digest.stdout.strip(), *self.admin)

    def run_words(self, *words):
        return ["run", "--tee", "sim", "--broker", self.url, "--broker-ca", self.ca, *words]

    def run(self, *words, wanted=0):
        return self.cloister(*self.run_words(*words), wanted=wanted)

    def refused(self, phrase, *words):
        """The run fails before the workload: exit 125, one line, nothing on standard output."""
        before = inventory()
        done = self.run(*words, wanted=125)
        lines = [l for l in done.stderr.splitlines() if "PROTECTS NOTHING" not in l and "HIDES NOTHING" not in l]
        assert len(lines) == 1 and re.match(r"cloister: (config|boot|initdata|attest|key|pull|verify|unpack|start): ", lines[0]), done.stderr
        assert re.search(phrase, lines[0]), f"wanted /{phrase}/ in: {lines[0]}"
        assert done.stdout == "", done.stdout
        left = inventory_difference(before)
        assert not left, left
        print(f"refused: {lines[0]}", flush=True)
        return lines[0]


def become_subreaper():
    """Orphans of ours come back to us, so that a process left behind by a run is seen as a descendant."""
    PR_SET_CHILD_SUBREAPER = 36
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def descendants():
    parents = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat, words = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[int(folder.name)] = (int(parent), words.replace(b"\0", b" ")[:160].decode(errors="replace"))
    found, more = {os.getpid()}, True
    while more:
        more = {pid for pid, (parent, _) in parents.items() if parent in found} - found
        found |= more
    return {(pid, parents[pid][1]) for pid in found - {os.getpid()}}


def wait_for(holds, what, seconds=120):
    """Polls: a machine may be ten times slower than ours, so the limit is no measure of anything."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.1)


def inventory():
    """Processes below us, mounts, temporary files: what a run may not leave behind."""
    mounts = set(pathlib.Path("/proc/self/mountinfo").read_text().splitlines())
    temporary = {p.name for p in pathlib.Path(tempfile.gettempdir()).iterdir() if not p.name.startswith("cloister-e2e-")}
    return descendants(), mounts, {t for t in temporary if t.startswith("cloister")}


def inventory_difference(before, seconds=2):
    for _ in range(seconds * 10):
        left = [new - old for new, old in zip(inventory(), before)]
        if not any(left):
            return None
        time.sleep(0.1)
    return left


def run_tests(tests, world):
    """Runs functions that take the world; their names are claims. Prints each, fails at the first."""
    for test in tests:
        began = time.monotonic()
        before = inventory()
        test(world)
        left = inventory_difference(before)
        assert not left, f"{test.__name__} left behind: {left}"
        print(f"ok   {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
