"""Runs unpack-layout on images in a sandbox and watches everything around the root that it may not touch."""
import hashlib, os, pathlib, shutil, subprocess, sys, tarfile, tempfile, time

import oci_image
from oci_image import file, folder, hard_link, link, node

BUILD = pathlib.Path(os.environ["CLOISTER_BUILD"])


class Sandbox:
    """outside/ holds files that nothing may change; root/ is where images are unpacked."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="unpacking-"))
        self.outside, self.root, self.layout = (self.path / name for name in ("outside", "root", "layout"))
        (self.outside / "deep").mkdir(parents=True)
        (self.outside / "victim").write_text("untouched\n")
        (self.outside / "deep" / "victim").write_text("untouched too\n")
        self.watched = self.look()

    def look(self):
        """All that an escape could change: names, kinds, modes, owners, times, contents; not of root and layout."""
        seen = {}
        for folder, names, files in os.walk(self.path):
            if pathlib.Path(folder) == self.path:
                names[:] = [name for name in names if name not in ("root", "layout")]
            for name in [".", *names, *files]:
                path = os.path.join(folder, name)
                if path == f"{self.path}/.":
                    continue  # its own times change as root/ is made anew
                st = os.lstat(path)
                content = pathlib.Path(path).read_bytes() if os.path.isfile(path) else b""
                seen[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_ino, st.st_nlink, st.st_mtime_ns, content)
        return seen

    def fresh(self):
        for path in (self.root, self.layout):
            shutil.rmtree(path, ignore_errors=True)
        self.root.mkdir()

    def unpack(self, layers, *options, **layout):
        """Layers as one image; returns the exit code and the line that was printed."""
        self.fresh()
        digest = oci_image.write_layout(self.layout, layers, **layout)
        return self.unpack_layout(digest, *options)

    def unpack_layout(self, digest, *options):
        owner = [] if os.geteuid() == 0 else ["--our-owner"]
        ran = subprocess.run([BUILD / "unpack-layout", *owner, *options, self.layout, digest, self.root],
                             capture_output=True, text=True, timeout=120, errors="replace")
        assert ran.returncode in (0, 1), f"unpack-layout ended with {ran.returncode}: {ran.stderr}"
        return ran.returncode, ran.stderr.strip()

    def is_untouched(self):
        return self.look() == self.watched

    def is_root_empty(self):
        return not any(self.root.iterdir())

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


def listing(root, with_times=True, since=None, with_groups=True):
    """What a tree consists of, for comparison with another one; a time from `since` on is the one at which it was made."""
    seen, groups = {}, {}
    for folder, names, files in os.walk(root):
        for name in [".", *names, *files] if folder == str(root) else [*names, *files]:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            what = [oct(st.st_mode), st.st_uid, st.st_gid]
            if os.path.islink(path):
                what.append(os.readlink(path))
            elif os.path.isfile(path):
                what += [st.st_size, hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:16]]
                what += [groups.setdefault(st.st_ino, os.path.relpath(path, root)) if st.st_nlink > 1 and with_groups else ""]
            else:
                what.append(st.st_rdev)
            if with_times:
                what.append("now" if since and since <= st.st_mtime <= time.time() else st.st_mtime_ns)
            if not os.path.islink(path):
                what.append(sorted((a, os.getxattr(path, a)) for a in os.listxattr(path) if a.startswith("user.")))
            seen[os.path.relpath(path, root)] = what
    return seen


def random_entries(chance):
    """A tree of everything that tar has, in an order that an archiver would write."""
    entries, folders, files = [], [""], []
    for i in range(chance.randint(5, 60)):
        name = chance.choice(folders) + chance.choice(["a", "long-" * chance.randint(1, 30), "\u00fcml\u00e4ut", "sp ace", "x.tar"]) + str(i)
        times = {"mtime": chance.choice([0, 1, 1700000000, 2 ** 33, 1600000000.25]), "uid": chance.choice([0, 1000, 65534, 3000000]),
                 "gid": chance.choice([0, 100, 2097152])}
        kind = chance.randint(0, 7)
        if kind <= 1:
            folders.append(name + "/")
            entries.append(folder(name, mode=chance.choice([0o755, 0o700, 0o1777, 0o2755]), **times))
        elif kind <= 4:
            files.append(name)
            entries.append(file(name, chance.randbytes(chance.choice([0, 1, 511, 512, 513, 70000])), mode=chance.choice([0o644, 0o4755, 0o2755, 0o400, 0]), **times))
            if chance.random() < 0.2:
                entries[-1][0].pax_headers = {"SCHILY.xattr.user.note": "value " + str(i), "comment": "ignored"}
        elif kind == 5:
            entries.append(link(name, chance.choice(["/etc/passwd", "a", "../" * chance.randint(1, 60) + "b", "\u00e9"]), mode=0o777, **times))
        elif kind == 6 and files:
            entries.append(hard_link(name, chance.choice(files), **times))
        else:
            entries.append(node(name, chance.choice([tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]), 5, 7, mode=0o600, **times))
    return entries


class Report:
    """Counts claims; prints the ones that do not hold."""

    def __init__(self):
        self.n, self.failed = 0, 0

    def claim(self, holds, what):
        self.n += 1
        if not holds:
            self.failed += 1
            print(f"FAILED: {what}")

    def end(self):
        print(f"{self.n} claims, {self.failed} failed")
        sys.exit(self.failed > 0)
