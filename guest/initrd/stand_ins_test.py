#!/usr/bin/env python3
"""Stand-ins: programs that are linked with the real library start with one, a call into it is told and ends them, and the
same inputs give the same bytes."""
import os, pathlib, subprocess, sys, tempfile, unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stand_ins import archive_stand_in, stand_in, symbols  # noqa: E402

REAL = "/usr/lib/x86_64-linux-gnu/libz.so.1"
PROGRAM = '''
#include <stdio.h>
#include <zlib.h>
int main(int argc, char **argv)
{
    (void) argv;
    if (argc > 1)
        return crc32(0, (const unsigned char *) "a", 1) == 0;
    return puts("started") < 0 || (argc < 0 && adler32(0, NULL, 0) == 0);
}
'''
OBJECT = '''
int table[5] = { 1, 2, 3, 4, 5 };
int last(void) { return table[4]; }
'''
READER = '''
extern int table[5];
int last(void);
int main(int argc, char **argv) { (void) argv; return argc > 1 ? last() : table[4]; }
'''


class StandIns(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def cc(self, source, *words):
        (self.root / "x.c").write_text(source)
        subprocess.run(["cc", "x.c", *words], check=True, cwd=self.root)

    def run_with(self, content, name, *words):
        (self.root / "lib").mkdir(exist_ok=True)
        (self.root / "lib" / name).write_bytes(content)
        return subprocess.run([self.root / "program", *words], capture_output=True, text=True, timeout=300,
                              env=dict(os.environ, LD_LIBRARY_PATH=str(self.root / "lib"), LD_BIND_NOW="1"))

    def test_a_program_starts_and_a_call_ends_it(self):
        self.cc(PROGRAM, "-o", "program", "-lz")
        made = stand_in("libz.so.1", REAL, [self.root / "program"], ["cc"])
        self.assertLess(len(made), 20000)
        started = self.run_with(made, "libz.so.1")
        self.assertEqual((started.returncode, started.stdout, started.stderr), (0, "started\n", ""))
        called = self.run_with(made, "libz.so.1", "call")
        self.assertLess(called.returncode, 0)
        self.assertEqual(called.stderr, "libz.so.1: not in this guest, but called\n")

    def test_it_has_what_is_wanted_in_its_version_and_nothing_else(self):
        self.cc(PROGRAM, "-o", "program", "-lz")
        (self.root / "made").write_bytes(stand_in("libz.so.1", REAL, [self.root / "program"], ["cc"]))
        has = {name for name, _, is_defined, _, _ in symbols(self.root / "made") if is_defined}
        self.assertEqual(has, {"crc32", "adler32"})

    def test_an_object_is_there_with_its_size_and_zero(self):
        self.cc(OBJECT, "-shared", "-fPIC", "-Wl,-soname,libreal.so", "-o", "libreal.so")
        self.cc(READER, "-o", "program", "-L.", "-lreal")
        made = stand_in("libreal.so", self.root / "libreal.so", [self.root / "program"], ["cc"])
        self.assertEqual(self.run_with((self.root / "libreal.so").read_bytes(), "libreal.so").returncode, 5)
        self.assertEqual(self.run_with(made, "libreal.so").returncode, 0)
        self.assertLess(self.run_with(made, "libreal.so", "call").returncode, 0)

    def test_archives_are_linked_without_what_they_name_and_never_call(self):
        self.cc(PROGRAM.replace("main", "entry"), "-c", "-o", "entry.o")
        subprocess.run(["ar", "rcsD", "entry.a", "entry.o"], check=True, cwd=self.root)
        made = archive_stand_in(["libz.so.1"], [self.root / "entry.a"])
        self.assertEqual(made, archive_stand_in(["libz.so.1"], [self.root / "entry.a"]))
        (self.root / "made.S").write_text(made)
        self.cc("int entry(int argc, char **argv);\nint main(int argc, char **argv) { return entry(argc, argv); }",
                "-pie", "-o", "program", "entry.a", "made.S")
        started, called = (subprocess.run([self.root / "program", *words], capture_output=True, text=True) for words in ([], ["call"]))
        self.assertEqual((started.returncode, started.stdout, started.stderr), (0, "started\n", ""))
        self.assertLess(called.returncode, 0)
        self.assertEqual(called.stderr, "libz.so.1: not in this guest, but called\n")

    def test_the_same_inputs_give_the_same_bytes(self):
        self.cc(PROGRAM, "-o", "program", "-lz")
        first, second = (stand_in("libz.so.1", REAL, [self.root / "program"], ["cc"]) for _ in range(2))
        self.assertEqual(first, second)


if __name__ == "__main__":
    unittest.main()
