#!/usr/bin/env python3
"""Benign archives unpack to what GNU tar makes of them; layers stack as the image specification says, and look the same
whether they are applied to one folder or kept apart and shown by overlayfs."""
import ctypes, os, pathlib, random, shutil, subprocess, sys, tarfile, time

from oci_image import Layer, file, folder, hard_link, link, node, opaque, tar_of, whiteout, write_layout
from unpacking import BUILD, Report, Sandbox, listing, random_entries

if os.geteuid() != 0:
    print("skipped: owners and device nodes want root")
    sys.exit(77)
CLONE_NEWNS, MS_REC_PRIVATE, BEGAN = 0x20000, 0x44000, time.time() - 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) != 0:
    print("skipped: no mount namespace of our own")
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
class Apart:
    """Layers in folders of their own, in memory as in the guest, shown by overlayfs."""

    def __init__(self):
        self.path = box.path / "s"
        self.path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.path], check=True)

    def unpack(self, *digests, options=()):
        """Returns the exit code, what was printed for each image, and the line of a failure."""
        self.fresh()
        words = [w for i, digest in enumerate(digests) for w in (digest, self.root(i))]
        for i in range(len(digests)):
            self.root(i).mkdir()
        ran = subprocess.run([BUILD / "unpack-layout", *options, "--layers", self.path / "l", box.layout, *words], capture_output=True, text=True, timeout=120)
        self.n_mounted = len(ran.stdout.splitlines())
        return ran.returncode, [dict(w.split("=") for w in line.split()) for line in ran.stdout.splitlines()], ran.stderr.strip()

    def root(self, i):
        return self.path / f"root{i}"

    def fresh(self):
        for i in range(getattr(self, "n_mounted", 0)):
            subprocess.run(["umount", self.root(i)], check=True)
        self.n_mounted = 0
        for path in self.path.iterdir():
            shutil.rmtree(path)

    def close(self):
        self.fresh()
        subprocess.run(["umount", self.path], check=True)


def seen(root):
    """Names of one file that lie in two layers are two files where layers are kept apart."""
    found = listing(root, since=BEGAN, with_groups=False)
    found["."] = found["."][:3]  # a container's own root, made with the image's owner and mode
    return found


def compare_apart(name, layers):
    """The root that was just unpacked, as one and as layers."""
    code, said, line = apart.unpack(write_layout(box.layout, layers))
    report.claim(code == 0, f"{name}, apart: {line}")
    if code == 0:
        flat, shown = seen(box.root), seen(apart.root(0))
        differing = [(path, flat.get(path), shown.get(path)) for path in {**flat, **shown} if flat.get(path) != shown.get(path)]
        report.claim(not differing, f"{name}, apart: {differing[:2]}")
        report.claim(said[0]["layers"] == str(len(layers)), f"{name}, apart: {said}")


def stack(name, layers, wanted, absent=()):
    layers = [Layer(entries, "none") for entries in layers]
    code, line = box.unpack(layers)
    report.claim(code == 0, f"{name}: {line}")
    compare_apart(name, layers)
    for path, content in wanted.items():
        found = box.root / path
        report.claim(found.is_file() and found.read_text() == content, f"{name}: {path} is not {content!r}")
    for path in absent:
        report.claim(not os.path.lexists(box.root / path), f"{name}: {path} is still there")


apart = Apart()
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

# what only layers that are kept apart can get wrong: folders that an archive leaves out, links between layers, marks of overlayfs
stack("a folder that only a lower layer has", [[folder("d", mode=0o2750, uid=5, gid=6), folder("d/e", mode=0o700, uid=7)], [file("d/e/x", "x")]], {"d/e/x": "x"})
stack("a root that only a lower layer has", [[folder(".", mode=0o750, uid=5)], [file("x", "x")], [file("y", "y")]], {"x": "x", "y": "y"})
stack("a hard link to a file of a lower layer", [[file("a", "1" * 9000, mode=0o4711, uid=3)], [hard_link("b", "a")], [hard_link("c", "b"), whiteout("a")]],
      {"b": "1" * 9000, "c": "1" * 9000}, ["a"])
stack("a hard link to a link and to a node", [[link("l", "nowhere"), node("n", tarfile.CHRTYPE, 1, 3), node("p", tarfile.FIFOTYPE)],
                                              [hard_link(a + "2", a) for a in "lnp"]], {}, ["nowhere"])
stack("a name goes and comes", [below, [whiteout("d")], [folder("d", mode=0o711), file("d/z", "z")], [file("d/a", "new")]], {"d/z": "z", "d/a": "new"}, ["d/b", "d/e"])
stack("a whiteout of what a whiteout hid", [below, [whiteout("d/a")], [whiteout("d/a"), whiteout("d/b")], [file("d/b", "b4")]], {"d/b": "b4"}, ["d/a"])
stack("opaque over opaque", [below, [opaque("d"), file("d/1", "1")], [opaque("d"), file("d/2", "2")], [file("d/e", "file")]], {"d/2": "2", "d/e": "file"}, ["d/1", "d/a"])
stack("through a link that a middle layer made", [below, [link("m", "d/e")], [file("m/x", "x"), whiteout("m/f")]], {"d/e/x": "x"}, ["d/e/f"])
stack("a folder becomes a link, and names go through it", [below, [file("d/e/g", "g")], [link("d", "other"), folder("other")], [file("d/n", "n")]], {"other/n": "n"}, ["other/a"])
stack("the device that is overlayfs's mark", [below, [node("top", tarfile.CHRTYPE), node("d/a", tarfile.CHRTYPE), node("new", tarfile.CHRTYPE)]], {"d/b": "b"}, ["top", "d/a", "new"])
stack("... in the bottom layer", [[file("a", "1"), node("a", tarfile.CHRTYPE)], [file("b", "2")]], {"b": "2"}, ["a"])
marks = file("d/x", "x")
marks[0].pax_headers = {f"SCHILY.xattr.{space}.overlay.{name}": "y" for space in ("trusted", "user") for name in ("opaque", "redirect", "metacopy", "whiteout")}
dir_marks = folder("d")
dir_marks[0].pax_headers = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.redirect": "/etc"}
stack("marks of overlayfs in an archive", [below, [dir_marks, marks]], {"d/a": "a", "d/x": "x"})
noted = file("a", "1", mode=0o640, uid=9)
noted[0].pax_headers = {"SCHILY.xattr.user.note": "kept"}
stack("attributes of a copy", [[noted], [hard_link("b", "a")]], {"a": "1", "b": "1"})


def random_change(chance, n):
    """A layer of changes to what stands in the root now; none below a name that the same layer replaces."""
    entries, replaced = [], set()
    paths = [os.path.relpath(os.path.join(at, name), box.root) for at, names, files in os.walk(box.root) for name in [*names, *files]]
    for path in chance.sample(sorted(paths), min(len(paths), 12)):
        if any(path == r or path.startswith(r + "/") for r in replaced):
            continue
        at, times = box.root / path, {"mtime": chance.choice([3, 1600000000.5]), "uid": chance.choice([0, 77])}
        is_folder, change = at.is_dir() and not at.is_symlink(), chance.randint(0, 5)
        if change == 0:
            entries.append(whiteout(path))
        elif change == 1:
            entries.append(file(path, f"again {n}", mode=0o4755, **times))
            replaced.add(path)
        elif change == 2 and is_folder:
            entries.append(opaque(path))
        elif change == 3 and is_folder:
            entries.append(folder(path, mode=0o2711, **times))
        elif is_folder:
            entries += [file(f"{path}/in-{n}", f"in {n}", **times), folder(f"{path}/sub-{n}", **times), file(f"{path}/sub-{n}/x", "x")]
        elif change == 4:
            entries.append(link(path, "elsewhere", **times))
            replaced.add(path)
        else:
            entries.insert(0, hard_link(f"second-{n}-{len(entries)}", path))  # before what it may be gone after
    return entries


for seed in range(12):
    chance = random.Random(seed)
    layers = [Layer(random_entries(chance), "none")]
    for n in range(3):
        code, line = box.unpack(layers)
        report.claim(code == 0, f"random layers, seed {seed}: {line}")
        layers.append(Layer(random_change(chance, n), "none"))
    code, line = box.unpack(layers)
    report.claim(code == 0, f"random layers, seed {seed}: {line}")
    compare_apart(f"random layers, seed {seed}", layers)

# two images that begin with the same layers, in one guest
base, mine, other = Layer(below, "gzip"), Layer([file("mine", "1"), whiteout("top")], "gzip"), Layer([file("other", "2"), file("d/a", "changed")], "gzip")
digests = [write_layout(box.layout, layers) for layers in ([base, mine], [base, other], [base, mine, other], [mine])]
code, said, line = apart.unpack(*digests, digests[0])
report.claim(code == 0, f"shared: {line}")
report.claim([(s["layers"], s["there"]) for s in said] == [("2", "0"), ("2", "1"), ("3", "2"), ("1", "0"), ("2", "2")], f"shared: {said}")
report.claim(len(list((apart.path / "l").iterdir())) == 5, "a layer was unpacked twice")
report.claim(int(said[1]["pulled"]) == int(said[4]["pulled"]) + len(other.blob), f"shared: {said}: the base came again")
report.claim(int(said[2]["inodes"]) == int(said[0]["inodes"]) + int(said[1]["inodes"]) - (len(below)), f"shared: {said}: budgets")
(apart.root(0) / "d/b").write_text("written by one")
(apart.root(0) / "d/e/f").unlink()
report.claim((apart.root(1) / "d/b").read_text() == "b" and (apart.root(1) / "d/e/f").exists() and not (apart.root(1) / "mine").exists(), "a write shows in another root")
report.claim((apart.root(1) / "top").exists() and not (apart.root(2) / "top").exists() and (apart.root(2) / "d/a").read_text() == "changed", "roots of shared layers")
for option, wanted in (("--inodes=9", "files, the budget"), ("--bytes=37000", "bytes, the budget")):
    code, said, line = apart.unpack(digests[0], digests[2], options=[option])
    report.claim(code == 1 and len(said) == 1 and wanted in line, f"{option}: {said} {line}")
    report.claim(len(list((apart.path / "l").iterdir())) == 2, f"{option}: a failed image left layers behind")
code, said, line = apart.unpack(write_layout(box.layout, [Layer([file(f"{i}", f"{i}")], "none") for i in range(256)]))
report.claim(code == 0 and said[0]["layers"] == "256" and len(list(apart.root(0).iterdir())) == 256, f"256 layers: {line}")
big = [Layer([file("a", "x" * 100000)], "none"), *[Layer([hard_link(f"b{i}", "a" if i == 0 else f"b{i - 1}")], "none") for i in range(4)]]
code, said, line = apart.unpack(write_layout(box.layout, big), options=["--bytes=400000"])
report.claim(code == 1 and "bytes, the budget" in line, f"copies of a lower layer's file are free: {line}")
apart.close()

box.unpack([Layer([folder("d", mtime=5), file("d/a", "a", mtime=6)], "none"), Layer([folder("d", mtime=7, mode=0o700, uid=3), file("d/b", "b")], "none")])
st = os.stat(box.root / "d")
report.claim((st.st_mtime, st.st_mode & 0o7777, st.st_uid) == (7, 0o700, 3), "a folder's mode, owner and time are those of the last layer")
box.unpack([Layer([folder(".", mode=0o711, uid=9, mtime=11)], "none")])
st = os.stat(box.root)
report.claim((st.st_mode & 0o7777, st.st_uid, st.st_mtime) == (0o711, 9, 11), "the entry \".\" describes the root")
box.close()
report.end()
