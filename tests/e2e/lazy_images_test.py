#!/usr/bin/env python3
"""An image that is mounted instead of unpacked: converted, encrypted, run from a disk that the host lends; only what is touched is
read; and whatever the host or the manifest's author changes has its name."""
import json, os, pathlib, re, shutil, signal, subprocess, sys

sys.path.insert(0, str(pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "tests/e2e"))
import oci_image  # noqa: E402
from oci_image import file, get_json, manifest_digest  # noqa: E402
from world import CLOISTER, GUEST, KEY_ID, World, descendants, run_tests, wait_for  # noqa: E402

MIB = 1 << 20
LARGE = bytes(range(251)) * (16 * MIB // 251)  # no two blocks alike nearby, and no zeros


def convert(world, name, command, files=(), change=None):
    """A plain image of three layers, and of one that is mounted. Returns the layout's folder."""
    plain, lazy = world.path(f"{name}-plain"), world.path(f"{name}-lazy")
    oci_image.busybox(str(plain), list(files), run={"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["/bin/sh", "-c", command]})
    if change:
        change(plain)
    world.cloister("image", "convert", "--format", "erofs", f"oci:{plain}", f"oci:{lazy}")
    return lazy


def add_layer_with_holes(plain, folder):
    """/holes: ten bytes, and five at 5 MiB, as GNU tar packs them."""
    folder.mkdir()
    with open(folder / "holes", "wb") as out:
        out.write(b"0123456789")
        out.seek(5 * MIB)
        out.write(b"tail\n")
    tar = subprocess.run(["tar", "-C", folder, "--format=pax", "-S", "-c", "holes"], stdout=subprocess.PIPE, check=True).stdout
    layer = oci_image.Layer(tar, "none")
    manifest = get_json(plain, manifest_digest(plain))
    config = get_json(plain, manifest["config"]["digest"])
    config["rootfs"]["diff_ids"].append(layer.diff_id)
    manifest["config"] = oci_image.descriptor(plain, oci_image.CONFIG, oci_image.put_json(plain, config))
    manifest["layers"].append(oci_image.descriptor(plain, layer.media_type(), oci_image.put_blob(plain, layer.blob)))
    oci_image.write_index(plain, oci_image.put_json(plain, manifest))
    return oci_image.digest_of((folder / "holes").read_bytes())[7:]


def seal(world, lazy, name):
    if not world.path("image.key").exists():
        world.path("image.key").write_bytes(os.urandom(32))
    world.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", world.path("image.key"), f"oci:{lazy}", f"oci:{world.path(name)}")
    return world.path(name)


def layer_of(layout):
    return get_json(layout, manifest_digest(layout))["layers"][0]


def blob_of(layout):
    return pathlib.Path(layout, "blobs", *layer_of(layout)["digest"].split(":"))


def copy_of(world, layout, name):
    shutil.copytree(layout, world.path(name))
    return world.path(name)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def remake(layout, change):
    """Another author's manifest over the same blobs."""
    manifest = get_json(layout, manifest_digest(layout))
    change(manifest)
    oci_image.write_index(layout, oci_image.put_json(layout, manifest))


def it_runs_with_nothing_of_it_in_plain_sight(world):
    world.expect(f"oci:{world.sealed}")
    done = world.run(f"oci:{world.sealed}")
    assert done.stdout == f"mine\nwritten\nyes\n{world.holes}  /holes\n", done.stdout + done.stderr
    blob = blob_of(world.sealed).read_bytes()
    assert b"mine" in blob_of(world.lazy).read_bytes() and b"mine" not in blob and LARGE[:64] not in blob


def the_owner_gets_it_back(world):
    back = world.path("back")
    world.cloister("image", "decrypt", "--key-file", world.path("image.key"), f"oci:{world.sealed}", f"oci:{back}")
    assert manifest_digest(back) == manifest_digest(world.lazy)


def hypervisor_reads():
    for pid, words in descendants():
        if "qemu-system" in words:
            return int(re.search(r"rchar: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text())[1])
    raise AssertionError("no hypervisor runs")


def only_what_is_touched_is_read(world):
    """By what the hypervisor's process has read: kernel and initrd once, and of the image what the guest asked for."""
    script = "trap 'head -c 999999999 /large | sha256sum' USR1; echo ready; while :; do sleep 1; done"
    image = f"oci:{seal(world, convert(world, 'touched', script, [file('large', LARGE)]), 'touched')}"
    world.expect(image)
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words(image))], cwd=world.folder, env=world.environment,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "ready\n", run.communicate()
    before = hypervisor_reads()
    run.send_signal(signal.SIGUSR1)
    line = run.stdout.readline()
    after = hypervisor_reads()
    run.kill()
    run.communicate()
    wait_for(lambda: not any("qemu-system" in words for _, words in descendants()), "the hypervisor ends")
    assert line.split()[0] == oci_image.digest_of(LARGE)[7:], line
    assert after - before >= len(LARGE), f"{after - before} bytes read for {len(LARGE)}"
    print(f"read before: {before}, after: {after}", flush=True)
    boot = sum((GUEST / name).stat().st_size for name in ("kernel", "initrd", "firmware"))
    assert before - 2 * boot < len(LARGE) // 2, f"{before} bytes read before anything was touched; {boot} to boot"


def a_first_block_that_was_changed_is_found_while_mounting(world):
    lie = copy_of(world, world.sealed, "flipped")
    flip(blob_of(lie), 1030)
    world.refused("verify: layer 1 of 1: .*not what the manifest's root hash says", f"oci:{lie}")


def a_hash_that_was_changed_is_found_while_mounting(world):
    lie = copy_of(world, world.sealed, "tree")
    n_blocks = int(layer_of(lie)["annotations"]["org.cloister.image.verity"].split()[2])
    flip(blob_of(lie), n_blocks * 4096 + 5)
    world.refused("verify: layer 1 of 1: .*not what the manifest's root hash says", f"oci:{lie}")


def a_later_block_that_was_changed_is_an_error_where_it_is_read(world):
    lazy = convert(world, "later", "wc -c < /large; cat /large > /dev/null || echo refused", [file("large", LARGE)])
    sealed = seal(world, lazy, "later")
    flip(blob_of(sealed), blob_of(lazy).read_bytes().index(LARGE[-4096:]))
    world.expect(f"oci:{sealed}")
    done = world.run("--console", f"oci:{sealed}")
    assert done.stdout.endswith("refused\n"), done.stdout + done.stderr
    assert "cloister-agent note: verify: the host gave blocks of an image that are not the image's" in done.stderr, done.stderr


def a_short_disk_is_named(world):
    lie = copy_of(world, world.sealed, "short")
    os.truncate(blob_of(lie), blob_of(lie).stat().st_size - 4096)
    world.refused("unpack: layer 1 of 1: its disk has [0-9]+ bytes; wanted", f"oci:{lie}")


def another_images_disk_is_refused(world):
    lie, other = copy_of(world, world.sealed, "swapped"), seal(world, convert(world, "other", "true"), "other")
    shutil.copyfile(blob_of(other), blob_of(lie))
    os.truncate(blob_of(lie), layer_of(lie)["size"])
    world.refused("verify: layer 1 of 1: .*not what the manifest's root hash says", f"oci:{lie}")


def a_missing_disk_is_named(world):
    lie = copy_of(world, world.sealed, "missing")
    blob_of(lie).unlink()
    world.refused("pull: layer 1 of 1: .*the host lent none", f"oci:{lie}")


def another_authors_root_is_not_the_key_owners(world):
    """The manifest is the one that policy wants; its root is that of plain blocks which somebody made."""
    lie, lure = copy_of(world, world.sealed, "author"), convert(world, "lure", "echo theirs")

    def swap(manifest):
        layer, other = manifest["layers"][0], layer_of(lure)
        shutil.copyfile(blob_of(lure), pathlib.Path(lie, "blobs", *other["digest"].split(":")))
        layer.update(digest=other["digest"], size=other["size"])
        layer["annotations"]["org.cloister.image.verity"] = other["annotations"]["org.cloister.image.verity"]
    remake(lie, swap)
    world.expect(f"oci:{lie}")
    world.refused("verify: layer 1 of 1: HMAC does not match", f"oci:{lie}")


def what_is_no_file_system_is_refused(world):
    lie = copy_of(world, world.lazy, "garbage")
    blob = b"no file system at all".ljust(4096, b"\0")

    def swap(manifest):
        manifest["layers"][0].update(digest=oci_image.put_blob(lie, blob), size=len(blob))
        manifest["layers"][0]["annotations"]["org.cloister.image.verity"] = f"1 4096 1 sha256 {oci_image.digest_of(blob)[7:]}"
    remake(lie, swap)
    world.expect(f"oci:{lie}")
    world.refused("unpack: layer 1 of 1: no EROFS file system", f"oci:{lie}")


with World() as world:
    world.start_broker()
    command = "cat /mine; echo written > /mine; cat /mine; echo $FROM_IMAGE; sha256sum /holes"

    def with_holes(plain):
        world.holes = add_layer_with_holes(plain, world.path("holes"))
    world.lazy = convert(world, "first", command, [file("mine", "mine\n"), file("large", LARGE[:MIB])], with_holes)
    world.sealed = seal(world, world.lazy, "first")
    world.put_key()
    run_tests([it_runs_with_nothing_of_it_in_plain_sight, the_owner_gets_it_back, only_what_is_touched_is_read,
               a_first_block_that_was_changed_is_found_while_mounting, a_hash_that_was_changed_is_found_while_mounting,
               a_later_block_that_was_changed_is_an_error_where_it_is_read, a_short_disk_is_named, another_images_disk_is_refused,
               a_missing_disk_is_named, another_authors_root_is_not_the_key_owners, what_is_no_file_system_is_refused], world)
