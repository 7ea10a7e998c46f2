#!/usr/bin/env python3
"""What `cloister image convert` writes is, file by file, what the guest would have unpacked; erofs-utils and veritysetup judge the
form; the same source gives the same bytes."""
import hashlib, os, pathlib, random, shutil, stat, struct, subprocess, sys, tarfile

import oci_image
from oci_image import Layer, file, folder, get_json, hard_link, link, manifest_digest, node, opaque, tar_of, whiteout
from unpacking import BUILD, Report, Sandbox, listing, random_entries

if os.geteuid() != 0:
    print("skipped: owners and device nodes want root")
    sys.exit(77)
report = Report()
box = Sandbox()
lazy, again, theirs = box.path / "lazy", box.path / "again", box.path / "theirs"


def convert(layout, out, wanted=0):
    shutil.rmtree(out, ignore_errors=True)
    ran = subprocess.run([BUILD / "cloister", "image", "convert", "--format", "erofs", f"oci:{layout}", f"oci:{out}"], capture_output=True,
                         text=True, timeout=300)
    report.claim(ran.returncode == wanted, f"convert: {ran.stderr}")
    return ran


def blob_of(layout):
    layer, = get_json(layout, manifest_digest(layout))["layers"]
    return layer, pathlib.Path(layout, "blobs", *layer["digest"].split(":"))


class Erofs:
    """A reader of its own, for what fsck.erofs does not extract: attributes, links, times."""

    def __init__(self, image):
        self.image = image
        root, self.n_inodes = struct.unpack_from("<HQ", image, 1024 + 14)
        self.seen, self.groups = {}, {}
        self.walk(root, ".")

    def content(self, at, form, size, block, behind):
        if form >> 1 == 4:  # chunks
            bits = 12 + (block & 31)
            out = b""
            for i in range((size - 1 >> bits) + 1):
                number, = struct.unpack_from("<I", self.image, behind + 4 * i)
                length = min(1 << bits, size - (i << bits))
                out += bytes(length) if number == 0xffffffff else self.image[number * 4096:number * 4096 + length]
            return out
        full = size // 4096 * 4096 if form >> 1 == 2 else size
        return self.image[block * 4096:block * 4096 + full] + self.image[behind:behind + size - full]

    def attributes(self, at, count):
        found, end = [], at + 12 + (count - 1) * 4
        at += 12
        while count and at < end:
            name_len, index, value_len = struct.unpack_from("<BBH", self.image, at)
            name = {1: "user.", 6: "security."}[index] + self.image[at + 4:at + 4 + name_len].decode()
            found.append((name, self.image[at + 4 + name_len:at + 4 + name_len + value_len]))
            at += (4 + name_len + value_len + 3) // 4 * 4
        return sorted(a for a in found if a[0].startswith("user."))

    def walk(self, nid, path):
        at = nid * 32
        form, count, mode, _, size, union, _, uid, gid, mtime, mtime_ns, links = struct.unpack_from("<HHHHQIIIIqII", self.image, at)
        behind = at + 64 + (12 + (count - 1) * 4 if count else 0)
        what = [oct(mode), uid, gid]
        if stat.S_ISLNK(mode):
            what.append(os.fsdecode(self.content(at, form, size, union, behind)))
        elif stat.S_ISREG(mode):
            what += [size, hashlib.sha256(self.content(at, form, size, union, behind)).hexdigest()[:16],
                     self.groups.setdefault(nid, path) if links > 1 else ""]
        elif stat.S_ISDIR(mode):
            what.append(0)
        else:
            what.append(os.makedev((union >> 8) & 0xfff, (union & 0xff) | (union >> 12 & 0xfff00)))
        what.append(mtime * 10 ** 9 + mtime_ns)
        if not stat.S_ISLNK(mode):
            what.append(self.attributes(at + 64, count))
        self.seen[path] = what
        if stat.S_ISDIR(mode):
            for name, child in self.names(self.content(at, form, size, union, behind)):
                if name not in (b".", b".."):
                    self.walk(child, os.path.join("" if path == "." else path, os.fsdecode(name)))

    def names(self, content):
        listed = []
        for at in range(0, len(content), 4096):
            block = content[at:at + 4096]
            n = struct.unpack_from("<H", block, 8)[0] // 12
            rows = [struct.unpack_from("<QHB", block, 12 * i) for i in range(n)]
            ends = [row[1] for row in rows[1:]] + [len(block)]
            listed += [(block[row[1]:end].rstrip(b"\0"), row[0]) for row, end in zip(rows, ends)]
        assert [name for name, _ in listed] == sorted(name for name, _ in listed), "names out of order"
        return listed


def without_times(seen):
    """Folders' times are those of their entries here; there, of their last change."""
    return {path: what[:4] + what[5:] if what[0].startswith("0o4") else what for path, what in seen.items()}


def compare(name, layers):
    code, line = box.unpack(layers)
    report.claim(code == 0, f"{name}: {line}")
    convert(box.layout, lazy)
    layer, blob = blob_of(lazy)
    ours, others = without_times(Erofs(blob.read_bytes()).seen), without_times(listing(box.root))
    ours.pop("."), others.pop(".")  # nobody named the root
    groups = {path: what[5] for path, what in others.items() if len(what) > 6 and what[5]}
    for path in groups:  # which of its names a file is filed under depends on who walked
        ours[path][5] = others[path][5] = "linked"
    differing = [(path, ours.get(path), others.get(path)) for path in {**ours, **others} if ours.get(path) != others.get(path)]
    report.claim(not differing, f"{name}: {differing[:2]}")
    return layer, blob


def comparable(root):
    """What fsck.erofs 1.5 keeps: it sets owners after modes, which takes set-user-id bits away, and makes no hard links."""
    seen = {}
    for path, what in listing(root, with_times=False).items():
        mode = int(what[0], 8)
        seen[path] = [oct(mode & ~0o7000), *what[1:5 if stat.S_ISREG(mode) else 4]]
    seen.pop(".")
    return seen


def judge(name, layer, blob, has_holes=False, is_readable=True):
    _, _, n_blocks, _, root = layer["annotations"]["org.cloister.image.verity"].split()
    shutil.rmtree(theirs, ignore_errors=True)
    fsck = subprocess.run(["fsck.erofs", f"--extract={theirs}", blob], capture_output=True, text=True)
    report.claim((fsck.returncode == 0) == is_readable, f"{name}: fsck.erofs: {fsck.stdout}{fsck.stderr}")
    kept, wanted = (comparable(theirs), comparable(box.root)) if is_readable else ({}, {})
    differing = [(path, kept.get(path), wanted.get(path)) for path in {**kept, **wanted} if kept.get(path) != wanted.get(path)]
    report.claim(has_holes or not differing, f"{name}: extracted by fsck.erofs, it differs: {differing[:2]}")
    verity = subprocess.run(["veritysetup", "verify", "--no-superblock", "--salt=-", "--format=1", "--hash=sha256", "--data-block-size=4096",
                             "--hash-block-size=4096", f"--data-blocks={n_blocks}", f"--hash-offset={int(n_blocks) * 4096}", blob, blob, root],
                            capture_output=True, text=True)
    report.claim(verity.returncode == 0, f"{name}: veritysetup: {verity.stderr}")


def refused(name, layout, phrase):
    shutil.rmtree(again, ignore_errors=True)
    ran = convert(layout, again, wanted=1)
    report.claim(phrase in ran.stderr and len(ran.stderr.splitlines()) == 1, f"{name}: {ran.stderr}")
    report.claim(not again.exists(), f"{name}: something was left behind")


for seed in range(30):
    chance = random.Random(seed)
    layers = [random_entries(chance) for _ in range(chance.randint(1, 3))]
    for below, above in zip(layers, layers[1:]):
        names = [made.name.rstrip("/") for made, _ in below if "a" in made.name and ".wh." not in made.name]
        above[:0] = [whiteout(n) for n in chance.sample(names, min(3, len(names)))]
    layer, blob = compare(f"seed {seed}", [Layer(entries, chance.choice(["none", "gzip", "zstd"])) for entries in layers])
    judge(f"seed {seed}", layer, blob)

usr = [folder("usr/lib"), link("lib", "usr/lib"), file("etc/x", "x" * 9000), folder("d"), file("d/a", "1"), file("gone", "x"),
       folder("replaced"), file("replaced/a", "x"), hard_link("second", "etc/x")]
top = [file("lib/made/deep", "through a link"), opaque("d"), file("d/b", "2"), whiteout("gone"), file("replaced", "a file now"),
       hard_link("third", "etc/x"), file("exact", bytes(8192)), file("empty", ""), link("long", "/" + "y" * 3000), node("null", tarfile.CHRTYPE, 259, 70000)]
many = [file(f"many/{i:04}-{'n' * (i % 90)}", str(i) * (i % 2000)) for i in range(700)]
layer, blob = compare("stacked", [Layer(usr), Layer(top), Layer(many)])
judge("stacked", layer, blob)
convert(box.layout, again)
report.claim(manifest_digest(lazy) == manifest_digest(again), "the same source gave another image")
config = get_json(lazy, get_json(lazy, manifest_digest(lazy))["config"]["digest"])
report.claim(config["rootfs"]["diff_ids"] == [layer["digest"]], "diff_id")

# files with holes, as GNU tar writes them
tree = box.path / "tree"
tree.mkdir()
for name, pieces in {"holes": [(0, 10), (1 << 20, 4096), ((1 << 22) + 5, 1)], "hole-only": [], "many": [(i * 16384, 512) for i in range(60)]}.items():
    with open(tree / name, "wb") as out:
        for offset, length in pieces:
            out.seek(offset)
            out.write(os.urandom(length))
        out.truncate((1 << 23) + 5)
made = subprocess.run(["tar", "-C", tree, "--format=pax", "-S", "-c", "."], stdout=subprocess.PIPE, check=True).stdout
layer, blob = compare("holes", [Layer(made)])
judge("holes", layer, blob, has_holes=True)  # fsck.erofs 1.5 extracts them short; kernels do not: lazy_images_test.py
report.claim(layer["size"] < 1 << 20, f"holes take room: {layer['size']} bytes")

# encrypted, and back; and what a liar changed in between
def crypt(verb, source, out, wanted=0):
    shutil.rmtree(out, ignore_errors=True)
    key_id = ["--key-id", "kbs:///a/b/c"] if verb == "encrypt" else []
    ran = subprocess.run([BUILD / "cloister", "image", verb, *key_id, "--key-file", box.path / "key", f"oci:{source}", f"oci:{out}"],
                         capture_output=True, text=True, timeout=300)
    report.claim(ran.returncode == wanted, f"{verb}: {ran.stderr}")
    return ran.stderr


def with_other_layer(layout, change):
    """The sealed image with another layer blob or annotation under a manifest that fits it."""
    shutil.rmtree(layout, ignore_errors=True)
    shutil.copytree(sealed, layout)
    manifest = get_json(layout, manifest_digest(layout))
    layer = manifest["layers"][0]
    layer["digest"] = oci_image.put_blob(layout, change(oci_image.get_blob(layout, layer["digest"]), layer["annotations"]))
    oci_image.write_index(layout, oci_image.put_json(layout, manifest))


def flip_first(blob, annotations):
    return bytes([blob[0] ^ 1]) + blob[1:]


def other_root(blob, annotations):
    words = annotations["org.cloister.image.verity"].split()
    annotations["org.cloister.image.verity"] = " ".join([*words[:4], "0" * 64])
    return blob


sealed, opened, lie = box.path / "sealed", box.path / "opened", box.path / "lie"
(box.path / "key").write_bytes(os.urandom(32))
crypt("encrypt", lazy, sealed)
crypt("decrypt", sealed, opened)
report.claim(manifest_digest(opened) == manifest_digest(lazy), "decryption gives another image")
judge("sealed", *blob_of(sealed), is_readable=False)
for change, phrase in ((flip_first, "its blocks are not what the root in its annotation says"), (other_root, "HMAC does not match")):
    with_other_layer(lie, change)
    said = crypt("decrypt", lie, opened, wanted=1)
    report.claim(phrase in said and not (opened / "index.json").exists(), f"{change.__name__}: {said}")

# what is refused
refused("converted already", lazy, "layer 1 of 1: converted already")
oci_image.write_layout(box.layout, [Layer([file("a", "1")])], change=lambda m, c: c["rootfs"].update(diff_ids=["sha256:" + "0" * 64]))
refused("diff_id", box.layout, "layer 1 of 1: diff_id does not match")
digest = oci_image.write_layout(box.layout, [Layer([file("a", "1")], "none")])
path = pathlib.Path(box.layout, "blobs", *get_json(box.layout, digest)["layers"][0]["digest"].split(":"))
path.write_bytes(path.read_bytes()[:512] + b"2" + path.read_bytes()[513:])
refused("changed bytes", box.layout, "layer 1 of 1: its bytes are not what its digest says")
oci_image.write_layout(box.layout, [Layer([file("../a", "1")])])
refused("a path that leads out", box.layout, "\"../a\"")
oci_image.write_layout(box.layout, [Layer([link("l", "nowhere"), file("l/a", "1")])])
refused("a link to nothing", box.layout, "its folder is missing, or a link to nothing")

box.close()
report.end()
