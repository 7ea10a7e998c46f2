#!/usr/bin/env python3
"""Disks of pods under containerd's CRI: an image that is mounted, from the node's cache, and persistent volumes, each lent to a
guest that runs already. What the host does to them has its name.

    storage_test.py [--suite SUITE] [TEST...]    SUITE: of tests/newer_containerd"""
import argparse, fcntl, json, os, pathlib, subprocess

from node import PAUSE, allowed, enter_namespaces, run_tests

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has
import oci_image  # noqa: E402
from storage import StorageNode, make_image, refused, said_in  # noqa: E402
from world import skip, wait_for  # noqa: E402

SH = ["/bin/sh", "-c"]
WAITS = "a layer is on its way to this node"
MIB = 1 << 20
CANARY = "a sentence that no file of this node may hold"
NONCE = "00112233445566778899aabbccddeeff"
VOLUME_KEY = "kbs:///default/volume/data"
LOOK = SH + ["cat /etc/secret; echo mine > /etc/secret; cat /etc/secret"]
WRITE = SH + [f"echo {CANARY} > /var/lib/data/canary; echo written"]
READ = SH + ["cat /var/lib/data/canary; echo x > /var/lib/data/x || echo read-only"]


def entry(node, argv, **more):
    return allowed(node.digest, argv, env_names=["HOSTNAME"], **more)


def an_image_is_mounted_from_the_nodes_cache(node):
    """Once it has come there; and a block that the node changes is found."""
    assert not list(node.path("s/root/snapshots").glob("*/fs/etc/secret")), "a layer was unpacked on the host"
    wait_for(node.blob(node.layer).exists, "the layer in the node's cache")
    node.development_initdata(entry(node, LOOK), network=True)
    pod, config, _ = node.start_pod("mounted")
    away = node.blob(node.layer).rename(node.path("away"))
    coming = node.cache / "incoming" / node.layer
    coming.touch()  # as if the snapshotter fetched it
    whole = away.read_bytes()
    away.write_bytes(whole[:1030] + bytes([whole[1030] ^ 1]) + whole[1031:])
    container = node.cri.create(pod, cri.container_config("late", node.reference, LOOK), config)
    creation = node.cri.begin("StartContainer", {1: container})  # which is when containerd asks the shim for it
    wait_for(lambda: WAITS in node.path("containerd.log").read_text() or creation.done(), "the shim waits")
    assert not creation.done(), creation
    away.rename(node.blob(node.layer))
    coming.unlink()
    refused(creation.result, "verify: layer 1 of 1", "not what the manifest's root hash says")
    node.blob(node.layer).write_bytes(whole)
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
options = argparse.ArgumentParser()
options.add_argument("--suite")
options.add_argument("tests", nargs="*", metavar="TEST", choices=[[], *(t.__name__ for t in TESTS)])
options = options.parse_args()
with StorageNode(options.suite) as node:
    node.start_broker()
    node.start()
    node.start_registry()
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    sealed, node.digest, node.layer = make_image(node, "shop", [oci_image.file("etc/secret", CANARY + "\n")])
    node.reference = node.push(sealed, "secret/shop:1")
    node.cri.pull(node.reference)
    node.path("volume.key").write_bytes(os.urandom(32))
    node.cloister("key", "put", VOLUME_KEY, node.path("volume.key"), *node.admin)
    run_tests(TESTS, node, options.tests)
