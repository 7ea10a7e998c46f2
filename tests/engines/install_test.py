#!/usr/bin/env python3
"""cloister install node: containerd itself takes the file, runs with it, and has its old one back afterwards.

    install_test.py [SUITE]    of tests/newer_containerd"""
import os, pathlib, re, subprocess

from containerd import Daemon, choose, containerd_major, own_namespaces
from world import BUILD, CLOISTER, World

choose()
own_namespaces("containerd")
SHORT = f"version = {3 if containerd_major() >= 2 else 2}\n"
KUBERNETES = pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "runtime/kubernetes"


def node_with(world, name, config):
    """A node's files below a folder: what is configured there, and where systemd and CRI-O look."""
    root = world.path(name)
    for folder in ("etc/containerd", "etc/crio", "etc/systemd/system"):
        (root / folder).mkdir(parents=True)
    if config is not None:
        (root / "etc/containerd/config.toml").write_text(config)
    return root


def configurations():
    default = subprocess.run(["containerd", "config", "default"], capture_output=True, text=True, check=True).stdout
    if containerd_major() >= 2:
        return {"default": default, "short": SHORT, "none": None}
    return {"default": default, "short": SHORT, "none": None,
            "debian": "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n"}


def files_of(root):
    return {p.relative_to(root): os.readlink(p) if p.is_symlink() else p.read_bytes()
            for p in root.rglob("*") if p.is_symlink() or p.is_file()}


def every_configuration_is_taken_and_comes_back(world):
    for name, config in configurations().items():
        root = node_with(world, name, config)
        before = files_of(root)
        shown = world.cloister("install", "node", "--root", root, "--programs", "/usr/bin", "--show").stdout
        assert "would write /etc/containerd/config.toml" in shown and files_of(root) == before, shown
        done = world.cloister("install", "node", "--root", root, "--programs", "/usr/bin").stdout
        assert "checked: containerd takes the new configuration" in done, done
        first = files_of(root)
        world.cloister("install", "node", "--root", root, "--programs", "/usr/bin")
        assert files_of(root) == first, "installing again changed something"
        world.cloister("uninstall", "node", "--root", root)
        assert files_of(root) == before, name


def what_containerd_does_not_take_changes_nothing(world):
    config = SHORT + 'root = "unfinished\n'
    root = node_with(world, "broken", config)
    done = world.cloister("install", "node", "--root", root, "--programs", "/usr/bin", wanted=1)
    assert "containerd does not take the new configuration; nothing was changed" in done.stderr, done.stderr
    assert files_of(root) == {pathlib.Path("etc/containerd/config.toml"): config.encode()}


def what_cannot_be_written_is_not_said_to_be(world):
    root = node_with(world, "unwritable", SHORT)
    (root / "etc/cloister").write_text("a file where the folder belongs")
    done = world.cloister("install", "node", "--root", root, "--programs", "/usr/bin", wanted=1)
    assert "wrote /etc/containerd/config.toml" in done.stdout and "/etc/cloister" not in done.stdout, done.stdout
    assert "etc/cloister" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def settings_that_were_changed_stay(world):
    root = node_with(world, "changed", SHORT)
    world.cloister("install", "node", "--root", root, "--programs", "/usr/bin")
    settings = root / "etc/cloister/shim.toml"
    settings.write_text(settings.read_text().replace("cpus = 1", "cpus = 4"))
    done = world.cloister("uninstall", "node", "--root", root).stdout
    assert "kept /etc/cloister/shim.toml: it was changed" in done, done
    assert set(files_of(root)) == {pathlib.Path("etc/containerd/config.toml"), pathlib.Path("etc/cloister/shim.toml")}


def containerd_runs_with_it(world):
    root = node_with(world, "running", f"""{SHORT}root = "{world.folder}/c/root"
state = "{world.folder}/c/state"
[grpc]
  address = "{world.folder}/c.sock"
[ttrpc]
  address = "{world.folder}/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{world.folder}/c/opt"
""")
    world.cloister("install", "node", "--root", root, "--programs", BUILD)
    link = root / "etc/cloister/containerd-shim-cloister-development-v2"
    assert link.is_symlink() == (containerd_major() >= 2)
    assert not link.is_symlink() or link.resolve() == BUILD / "containerd-shim-cloister-v2"
    config = root / "etc/containerd/config.toml"
    snapshots = world.path("s.sock")
    config.write_text(config.read_text().replace("/run/cloister/snapshotter.sock", str(snapshots)))
    snapshotter = Daemon([BUILD / "cloister-snapshotter", "--socket", snapshots, "--root", world.path("s")], world.path("s.log"))
    containerd = Daemon(["containerd", "--config", config], world.path("c.log"))
    try:
        snapshotter.start(snapshots)
        containerd.start(world.path("c.sock"))
        plugins = subprocess.run(["ctr", "--address", world.path("c.sock"), "plugins", "ls"], capture_output=True, text=True, check=True).stdout
        assert re.search(r"io.containerd.snapshotter.v1 +cloister +\S+ +ok", plugins), plugins
        assert re.search(r"io.containerd.grpc.v1 +cri +\S+ +ok", plugins), plugins + world.path("c.log").read_text()[-3000:]
    finally:
        containerd.end()
        snapshotter.end()


def classes_name_the_handlers_and_examples_are_understood(world):
    handlers = set(re.findall(r"^handler: (\S+)$", (KUBERNETES / "runtimeclass.yaml").read_text(), re.M))
    root = node_with(world, "handlers", SHORT)
    world.cloister("install", "node", "--root", root, "--programs", "/usr/bin")
    assert handlers == set(re.findall(r"runtimes\.(cloister[a-z-]*)\]", (root / "etc/containerd/config.toml").read_text()))
    assert handlers == set(re.findall(r"runtimes\.(cloister[a-z-]*)\]", (root / "etc/crio/crio.conf.d/50-cloister.conf").read_text()))
    for name in ("pod.yaml", "job.yaml"):
        text = (KUBERNETES / name).read_text()
        assert set(re.findall(r"runtimeClassName: (\S+)", text)) <= handlers
        assert "policy.json" in world.cloister("policy", "gen", "-f", KUBERNETES / name).stdout


with World() as world:
    assert CLOISTER.exists()
    for test in (every_configuration_is_taken_and_comes_back, what_containerd_does_not_take_changes_nothing,
                 what_cannot_be_written_is_not_said_to_be, settings_that_were_changed_stay, containerd_runs_with_it,
                 classes_name_the_handlers_and_examples_are_understood):
        test(world)
        print(f"ok   {test.__name__}", flush=True)
