#!/usr/bin/env python3
"""cloister-snapshotter under Debian's containerd: what is pulled, what is unpacked, what is kept, and what a crash leaves."""
import hashlib, json, signal, threading, time

from containerd import Containerd, own_namespaces, wait_for
from oci_image import Layer, busybox, file, folder, from_host, link, write_layout
from world import World

own_namespaces("containerd", "docker-registry", "skopeo", "runc", "ip")
SECRET = b"a sentence that no file of this node may hold"


def blobs(at):
    return {p.name: p for p in (at / "cache/blobs/sha256").glob("*")}


def files_that_hold(folder, words):
    return [p for p in folder.rglob("*") if p.is_file() and words in p.read_bytes()]


def an_encrypted_image_pulls_and_nothing_is_unpacked(world):
    image = world.image("secret", ["/bin/cat", "/etc/secret"], [file("etc/secret", SECRET + b"\n")])
    world.put_key()
    world.secret = image.removeprefix("oci:")
    world.reference = node.push(image.removeprefix("oci:"), "secret/cat:1")
    node.cri("pull", world.reference)
    assert world.reference in node.ctr("images", "ls").stdout
    assert not list((node.root / "snapshots").iterdir()), "a layer was unpacked"
    assert node.ctr("snapshots", "--snapshotter", "cloister", "ls").stdout.count("Committed") == 3
    layers = {l["digest"].split(":")[1] for l in json.loads(max((p.read_text() for p in blobs(node.root).values() if p.stat().st_size < 9000
                                                                and b'"layers"' in p.read_bytes())))["layers"]}
    content = node.folder / "root/io.containerd.content.v1.content/blobs/sha256"
    assert not any((content / layer).exists() for layer in layers), "containerd fetched a layer that it was to skip"
    wait_for("layers in the cache", lambda: layers <= blobs(node.root).keys())
    for name, path in blobs(node.root).items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name
    assert not files_that_hold(node.folder, SECRET)


def pulls_at_the_same_time_share_what_they_need(world):
    """Two names of one image, each twice, while nothing of it is there."""
    other = node.push(world.secret, "secret/cat:2")
    node.cri("rmi", world.reference)
    done = []
    pulls = [threading.Thread(target=lambda r=r: done.append(node.cri("pull", r, wanted=None))) for r in (world.reference, other) * 2]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join()
    assert [d.returncode for d in done] == [0] * 4, [d.stderr for d in done]
    assert node.ctr("snapshots", "--snapshotter", "cloister", "ls").stdout.count("Committed") == 3
    assert not list((node.root / "snapshots").iterdir()), "a layer was unpacked"
    node.cri("rmi", other)
    if world.reference not in node.ctr("images", "ls").stdout:
        node.cri("pull", world.reference)  # containerd removes all names of an image by its id


def a_guest_runs_it_from_the_cache(world):
    image = f"oci:{node.root}/cache"
    world.expect(image)
    assert world.run(image).stdout.encode() == SECRET + b"\n"


def a_plain_image_is_unpacked_and_runs_beside_it(world):
    layers = [Layer([folder("bin"), from_host("bin/busybox", "/bin/busybox", mode=0o755), link("bin/sh", "busybox")], "gzip"),
              Layer([folder("etc"), file("etc/word", "plain\n"), link("bin/cat", "busybox")], "gzip")]
    write_layout(str(world.path("plain")), layers, {"Env": ["PATH=/bin"], "Cmd": ["/bin/cat", "/etc/word"]})
    reference = node.push(world.path("plain"), "plain/cat:1")
    node.cri("pull", reference)
    assert len(list((node.root / "snapshots").iterdir())) >= 1
    done = node.ctr("run", "--rm", "--snapshotter", "cloister", reference, "plain1", "/bin/sh", "-c", "cat /etc/word; echo x > /new; cat /new")
    assert done.stdout == "plain\nx\n", done.stdout
    wait_for("the end of its snapshot", lambda: "plain1" not in node.ctr("snapshots", "--snapshotter", "cloister", "ls").stdout)


def a_plain_image_on_layers_of_an_encrypted_one_is_refused_aloud(world):
    """containerd knows layers by their plain content: those of the encrypted image stand for these, and are not there."""
    busybox(str(world.path("alike")), [file("etc/word", "alike\n")])
    reference = node.push(world.path("alike"), "plain/alike:1")
    assert "left packed here, since an encrypted image has it too" in node.cri("pull", reference, wanted=1).stderr


def both_daemons_may_die_at_any_time(world):
    reference = world.reference
    for delay in (0.0, 0.02, 0.05, 0.1):
        node.cri("rmi", reference)
        pull = threading.Thread(target=node.cri, args=("pull", reference), kwargs={"wanted": None})
        pull.start()
        time.sleep(delay)
        node.snapshotter.end(signal.SIGKILL)
        pull.join()
        node.snapshotter.start(node.snapshots)
        assert not list((node.root / "cache/incoming").iterdir()), "half a blob was left"
        # containerd connects again after a pause of its own, as kubelet pulls again
        wait_for("pull", lambda: node.cri("pull", reference, wanted=None).returncode == 0)
    node.daemon.end(signal.SIGKILL)
    node.daemon.start(node.socket)
    node.cri("pull", reference)
    known = node.ctr("snapshots", "--snapshotter", "cloister", "ls").stdout
    assert known.count("Committed") >= 3, known


def what_is_removed_leaves_no_folder(world):
    for reference in node.ctr("images", "ls", "-q").stdout.split():
        node.ctr("images", "rm", "--sync", reference)
    wait_for("the end of all snapshots", lambda: not list((node.root / "snapshots").iterdir()))
    assert node.ctr("snapshots", "--snapshotter", "cloister", "ls").stdout.count("\n") == 1


def a_full_cache_lets_go_of_the_oldest(world):
    node.snapshotter.end()
    before = blobs(node.root)
    oldest = min(before.values(), key=lambda p: p.stat().st_mtime_ns).name
    node.snapshotter.words += ["--cache", "0"]
    node.snapshotter.start(node.snapshots)
    assert before and not blobs(node.root), oldest
    assert json.loads((node.root / "cache/index.json").read_text())["manifests"] == []


with World() as world:
    node = Containerd(world.path("node"))
    try:
        world.start_broker()
        node.start()
        node.start_registry()
        for test in (an_encrypted_image_pulls_and_nothing_is_unpacked, pulls_at_the_same_time_share_what_they_need, a_guest_runs_it_from_the_cache,
                     a_plain_image_is_unpacked_and_runs_beside_it,
                     a_plain_image_on_layers_of_an_encrypted_one_is_refused_aloud, both_daemons_may_die_at_any_time,
                     what_is_removed_leaves_no_folder, a_full_cache_lets_go_of_the_oldest):
            test(world)
            print(f"ok   {test.__name__}", flush=True)
    finally:
        node.end()
