#!/usr/bin/env python3
"""Same inputs, other directory, umask and time: the same initrd. And what is in it, is what should be."""
import hashlib, lzma, os, pathlib, struct, subprocess, sys, tempfile, time, unittest

BUILDER = pathlib.Path(__file__).with_name("build_initrd.py")
AGENT, CRUN = os.path.abspath(sys.argv.pop()), "/usr/bin/crun"


def module(depends):
    """An ELF relocatable with nothing but .modinfo and the section names."""
    info, names = b"license=GPL\0depends=" + depends.encode() + b"\0", b"\0.modinfo\0.shstrtab\0"
    at = 64
    body = info + names
    rows = [struct.pack("<IIQQQQIIQQ", *row) for row in (
        (0,) * 10, (1, 1, 0, 0, at, len(info), 0, 0, 1, 0), (10, 3, 0, 0, at + len(info), len(names), 0, 0, 1, 0))]
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, at + len(body), 0, 64, 0, 0, 64, 3, 2)
    return head + body + b"".join(rows)


def kernel(folder):
    base = folder / "lib/modules/6.0/kernel"
    base.mkdir(parents=True)
    (base / "top.ko.xz").write_bytes(lzma.compress(module("mid-dle,built")))
    (base / "mid-dle.ko").write_bytes(module("base"))
    (base / "base.ko.xz").write_bytes(lzma.compress(module("")))
    (folder / "lib/modules/6.0/modules.builtin").write_text("kernel/x/built.ko\n")


def build(folder, out, *modules, umask=0o022):
    extra = [a for m in modules for a in ("--module", m)]
    run = subprocess.run([sys.executable, BUILDER, "--agent", AGENT, "--crun", CRUN, "--kernel-dir", folder, *extra,
                          "--out", out], capture_output=True, text=True, umask=umask, cwd=out.parent)
    return run


def entries(content):
    """name -> (mode, uid, gid, mtime, bytes), in the archive's order."""
    out, at = {}, 0
    while True:
        fields = [int(content[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        assert content[at:at + 6] == b"070701"
        name = content[at + 110:at + 110 + fields[11] - 1].decode()
        begin = at + (110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return out
        out[name] = (fields[1], fields[2], fields[3], fields[5], content[begin:begin + fields[6]])
        at = begin + (fields[6] + 3) // 4 * 4


class Initrd(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.scratch.name)
        self.addCleanup(self.scratch.cleanup)
        kernel(self.root)

    def test_directory_umask_and_time_make_no_difference(self):
        digests = []
        for name, umask in (("a", 0o022), ("a/longer/way", 0o077)):
            folder = self.root / name
            folder.mkdir(parents=True)
            self.assertEqual(build(self.root, folder / "out", "top", umask=umask).returncode, 0)
            digests.append(hashlib.sha256((folder / "out").read_bytes()).hexdigest())
            for path in self.root.rglob("*.ko*"):
                os.utime(path, (1, time.time() + 86400))
        self.assertEqual(*digests)

    def test_modules_come_after_what_they_depend_on(self):
        build(self.root, self.root / "out", "top")
        names = [n for n in entries((self.root / "out").read_bytes()) if n.startswith("modules/")]
        self.assertEqual(names, ["modules/00-base.ko", "modules/01-mid_dle.ko", "modules/02-top.ko"])

    def test_there_is_no_program_but_the_agent_and_crun(self):
        build(self.root, self.root / "out", "top")
        files = entries((self.root / "out").read_bytes())
        programs = sorted(n for n, row in files.items() if row[0] & 0o170000 == 0o100000 and row[0] & 0o111)
        self.assertEqual(programs, ["bin/crun", "init", "lib64/ld-linux-x86-64.so.2"])
        self.assertTrue(all(row[1:4] == (0, 0, 0) for row in files.values()))
        self.assertIn("lib/x86_64-linux-gnu/libc.so.6", files)

    def test_a_module_that_does_not_exist_is_told(self):
        run = build(self.root, self.root / "out", "ghost")
        self.assertEqual((run.returncode, run.stderr), (1, "build_initrd: the kernel has no module ghost\n"))


unittest.main()
