#!/usr/bin/env python3
"""Benign archives unpack to what GNU tar makes of them; layers stack as the image specification says."""
import os, pathlib, random, shutil, subprocess, sys, tarfile

from oci_image import Layer, file, folder, hard_link, link, opaque, tar_of, whiteout
from unpacking import Report, Sandbox, listing, random_entries

if os.geteuid() != 0:
    print("skipped: owners and device nodes want root")
    sys.exit(77)
report = Report()
box = Sandbox()
theirs = box.path / "root2"


def their_unpack(tar):
    shutil.rmtree(theirs, ignore_errors=True)
    theirs.mkdir()
    subprocess.run(["tar", "-xp", "--delay-directory-restore", "--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=user.*", "-C", theirs], input=tar,
                   check=True, stderr=subprocess.DEVNULL)


def compare(name, tar, packing="none"):
    code, line = box.unpack([Layer(tar, packing)])
    report.claim(code == 0, f"{name}: {line}")
    their_unpack(tar)
    ours, others = listing(box.root), listing(theirs)
    ours.pop("."), others.pop(".")  # nobody named the root
    differing = [(path, ours.get(path), others.get(path)) for path in {**ours, **others} if ours.get(path) != others.get(path)]
    report.claim(not differing, f"{name}: {differing[:2]}")


for seed in range(40):
    chance = random.Random(seed)
    entries = random_entries(chance)
    forms = [tarfile.PAX_FORMAT] + ([tarfile.GNU_FORMAT] if not any(e.pax_headers or isinstance(e.mtime, float) for e, _ in entries) else [])
    for form in forms:
        compare(f"seed {seed} form {form}", tar_of(entries, form), chance.choice(["none", "gzip", "zstd"]))

# what GNU tar itself writes, in its formats, with holes and hard links
tree = box.path / "tree"
(tree / "sub").mkdir(parents=True)
(tree / "sub" / "text").write_text("text\n" * 3000)
os.link(tree / "sub" / "text", tree / "again")
os.symlink("sub/text", tree / "soft")
os.setxattr(tree / "sub" / "text", "user.kept", b"\x00binary\xff")
for name, pieces in {"holes": [(0, 10), (1 << 20, 4096), ((1 << 22) + 5, 1)], "hole-only": [], "many": [(i * 16384, 512) for i in range(60)]}.items():
    with open(tree / name, "wb") as out:
        for offset, length in pieces:
            out.seek(offset)
            out.write(os.urandom(length))
        out.truncate(1 << 23)
for options in (["--format=gnu", "-S"], ["--format=oldgnu", "-S"], ["--format=pax", "-S", "--sparse-version=0.0"], ["--format=pax", "-S", "--sparse-version=0.1"],
                ["--format=pax", "-S", "--sparse-version=1.0", "--xattrs"], ["--format=pax", "--xattrs"], ["--format=ustar"], ["--format=v7"], ["--format=gnu"]):
    made = subprocess.run(["tar", "-C", tree, *options, "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    compare(" ".join(options), made, "gzip")
    if "-S" in options:
        report.claim((box.root / "holes").stat().st_blocks * 512 < 1 << 20, f"{options}: the holes were filled")


# layers over layers
def stack(name, layers, wanted, absent=()):
    code, line = box.unpack([Layer(entries, "none") for entries in layers])
    report.claim(code == 0, f"{name}: {line}")
    for path, content in wanted.items():
        found = box.root / path
        report.claim(found.is_file() and found.read_text() == content, f"{name}: {path} is not {content!r}")
    for path in absent:
        report.claim(not os.path.lexists(box.root / path), f"{name}: {path} is still there")


below = [folder("d"), file("d/a", "a"), file("d/b", "b"), folder("d/e"), file("d/e/f", "f"), file("top", "top"), link("l", "d")]
stack("a whiteout hides a file", [below, [whiteout("d/a")]], {"d/b": "b"}, ["d/a", "d/.wh.a"])
stack("a whiteout hides a folder", [below, [whiteout("d")]], {"top": "top"}, ["d"])
stack("a whiteout hides a link, not its target", [below, [whiteout("l")]], {"d/a": "a"}, ["l"])
stack("a whiteout spares what its own layer wrote before it", [below, [file("d/a", "new"), whiteout("d/a")]], {"d/a": "new"})
stack("... and after it", [below, [whiteout("d/a"), file("d/a", "new")]], {"d/a": "new"})
stack("a folder that was replaced", [below, [whiteout("d"), folder("d"), file("d/n", "n")]], {"d/n": "n"}, ["d/a", "d/e"])
stack("a folder that was replaced, whiteout last", [below, [folder("d"), file("d/n", "n"), whiteout("d")]], {"d/n": "n"}, ["d/a", "d/e"])
stack("opaque first", [below, [folder("d"), opaque("d"), file("d/n", "n")]], {"d/n": "n"}, ["d/a", "d/b", "d/e", "d/.wh..wh..opq"])
stack("opaque last", [below, [folder("d"), file("d/n", "n"), folder("d/e"), file("d/e/g", "g"), opaque("d")]], {"d/n": "n", "d/e/g": "g"}, ["d/a", "d/b", "d/e/f"])
stack("a hard link made beside the whiteout of its source", [below, [hard_link("kept", "top"), whiteout("top")]], {"kept": "top"}, ["top"])
stack("a file replaces a folder", [below, [file("d", "now a file")]], {"d": "now a file"})
stack("a folder replaces a file", [below, [folder("top"), file("top/x", "x")]], {"top/x": "x"})
stack("a folder replaces a link", [below, [folder("l"), file("l/x", "x")]], {"l/x": "x", "d/a": "a"}, ["d/x"])
stack("a file replaces a link", [below, [file("l", "x")]], {"l": "x", "d/a": "a"})
stack("writing through a link of a lower layer", [below, [file("l/x", "x")]], {"d/x": "x"})
stack("a hard link's twin keeps the old content", [[file("a", "1"), hard_link("b", "a")], [file("a", "2")]], {"a": "2", "b": "1"})
stack("nothing to hide in the bottom layer", [[file("a", "1"), whiteout("a"), opaque(".")]], {"a": "1"})
stack("three deep", [below, [whiteout("d/a"), file("d/b", "2")], [opaque("d"), file("d/c", "3")]], {"d/c": "3"}, ["d/a", "d/b", "d/e"])

box.unpack([Layer([folder("d", mtime=5), file("d/a", "a", mtime=6)], "none"), Layer([folder("d", mtime=7, mode=0o700, uid=3), file("d/b", "b")], "none")])
st = os.stat(box.root / "d")
report.claim((st.st_mtime, st.st_mode & 0o7777, st.st_uid) == (7, 0o700, 3), "a folder's mode, owner and time are those of the last layer")
box.unpack([Layer([folder(".", mode=0o711, uid=9, mtime=11)], "none")])
st = os.stat(box.root)
report.claim((st.st_mode & 0o7777, st.st_uid, st.st_mtime) == (0o711, 9, 11), "the entry \".\" describes the root")
box.close()
report.end()
