#!/usr/bin/env python3
"""Writes the guest's initrd: an uncompressed newc cpio archive that depends on its inputs' bytes and on nothing else.

In it: the agent as /init, crun, the shared libraries that both need (by DT_NEEDED, no more), the kernel modules named
and those that they depend on. Names are sorted; owners, times and modes are fixed.
"""
import argparse, hashlib, lzma, os, pathlib, stat, struct, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stand_ins import find_library, stand_in  # noqa: E402

DIRECTORIES = ["bin", "dev", "etc", "lib", "lib/x86_64-linux-gnu", "lib64", "modules", "modules-images", "modules-scratch", "modules-vsock", "proc", "run", "sys", "tmp"]
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB = 1, 5


class Elf:
    """A 64-bit little-endian ELF file: just the parts that say what it needs."""

    def __init__(self, name, content):
        self.name, self.content = name, content
        if content[:6] != b"\x7fELF\x02\x01":
            sys.exit(f"build_initrd: {name}: not a 64-bit ELF file")
        offset, = struct.unpack_from("<Q", content, 32)
        size, n = struct.unpack_from("<HH", content, 54)
        self.segments = [struct.unpack_from("<IIQQQQQQ", content, offset + i * size) for i in range(n)]

    def text(self, offset):
        return self.content[offset:self.content.index(b"\0", offset)].decode()

    def offset_of(self, address):
        for kind, _, offset, vaddr, _, file_size, _, _ in self.segments:
            if kind == PT_LOAD and vaddr <= address < vaddr + file_size:
                return address - vaddr + offset
        sys.exit(f"build_initrd: {self.name}: address {address:#x} is in no segment")

    def interpreter(self):
        return next((self.text(s[2]) for s in self.segments if s[0] == PT_INTERP), None)

    def needed(self):
        dynamic = next((s for s in self.segments if s[0] == PT_DYNAMIC), None)
        if dynamic is None:
            return []
        entries = [struct.unpack_from("<QQ", self.content, dynamic[2] + i) for i in range(0, dynamic[5], 16)]
        strings = self.offset_of(next(value for tag, value in entries if tag == DT_STRTAB))
        return [self.text(strings + value) for tag, value in entries if tag == DT_NEEDED]

    def section(self, wanted):
        """The bytes of a section by name (modules have no segments)."""
        table, = struct.unpack_from("<Q", self.content, 40)
        size, n, names = struct.unpack_from("<HHH", self.content, 58)
        rows = [struct.unpack_from("<IIQQQQ", self.content, table + i * size) for i in range(n)]
        for name, _, _, _, offset, length in rows:
            if self.text(rows[names][4] + name) == wanted:
                return self.content[offset:offset + length]
        return b""


def stripped(path):
    """Without symbols and without the build id, which differs when only paths in debug records do."""
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "out")
        subprocess.run(["objcopy", "--strip-all", "--remove-section=.note.gnu.build-id", str(path), out], check=True)
        return pathlib.Path(out).read_bytes()


def add_with_libraries(files, target, content, absent=()):
    """Adds a program and, to the end of the chain, what it is linked with; `absent` libraries and theirs stay away."""
    files[target] = (0o755, content)
    queue = [Elf(target, content)]
    while queue:
        elf = queue.pop()
        interpreter = elf.interpreter()
        if interpreter:
            files[interpreter.lstrip("/")] = (0o755, pathlib.Path(interpreter).read_bytes())
        for name in elf.needed():
            where = f"lib/x86_64-linux-gnu/{name}"
            if name.startswith("ld-linux") or where in files or name in absent:
                continue
            files[where] = (0o644, pathlib.Path(find_library(name)).read_bytes())
            queue.append(Elf(name, files[where][1]))


def add_stand_ins(files, absent, compiler):
    """For each absent library that something in the image wants: one with its symbols and no code."""
    with tempfile.TemporaryDirectory() as folder:
        consumers, wanted = [], set()
        for i, (target, (_, content)) in enumerate(sorted(files.items())):
            if content[:4] == b"\x7fELF" and not target.endswith(".ko"):
                consumers.append(pathlib.Path(folder) / str(i))
                consumers[-1].write_bytes(content)
                wanted |= set(Elf(target, content).needed())
        for name in sorted(set(absent) & wanted):
            files[f"lib/x86_64-linux-gnu/{name}"] = (0o644, stand_in(name, find_library(name), consumers, compiler))


def module_name(path):
    return path.name.split(".ko")[0].replace("-", "_")


def modules_in_order(kernel_dir, wanted):
    """The wanted modules after those that they depend on, as (name, content); what is built in is left out."""
    folders = sorted((kernel_dir / "lib/modules").iterdir())
    if len(folders) != 1:
        sys.exit(f"build_initrd: {kernel_dir}/lib/modules: {len(folders)} kernel versions, wanted one")
    paths = {module_name(p): p for p in folders[0].rglob("*.ko*")}
    built_in = {module_name(pathlib.Path(line)) for line in (folders[0] / "modules.builtin").read_text().split()}
    done = {}

    def add(name):
        if name in done or name in built_in:
            return
        if name not in paths:
            sys.exit(f"build_initrd: the kernel has no module {name}")
        content = paths[name].read_bytes()
        if paths[name].suffix == ".xz":
            content = lzma.decompress(content)
        fields = Elf(name, content).section(".modinfo").split(b"\0")
        for field in fields:
            if field.startswith(b"depends="):
                for other in filter(None, field[8:].decode().split(",")):
                    add(other.replace("-", "_"))
        done[name] = content

    for name in wanted:
        add(name)
    return list(done.items())


def entry(inode, name, mode, content=b"", device=(0, 0)):
    encoded = name.encode() + b"\0"
    fields = [inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + encoded
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


def archive(files, directories=DIRECTORIES):
    rows = {name: (stat.S_IFDIR | 0o755, b"", (0, 0)) for name in directories}
    rows["dev/console"] = (stat.S_IFCHR | 0o600, b"", (5, 1))
    rows.update({name: (stat.S_IFREG | mode, content, (0, 0)) for name, (mode, content) in files.items()})
    out = b"".join(entry(i + 1, name, *rows[name]) for i, name in enumerate(sorted(rows)))
    out += entry(0, "TRAILER!!!", 0)
    return out + b"\0" * (-len(out) % 512)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--agent", required=True, type=pathlib.Path, help="becomes /init, stripped")
    options.add_argument("--crun", required=True, type=pathlib.Path)
    options.add_argument("--program", action="append", default=[], type=pathlib.Path, help="one more for /bin, linked statically: a debug image's shell")
    options.add_argument("--library", action="append", default=[], help="a library that is opened by name at run time")
    options.add_argument("--absent", action="append", default=[], help="a library that is never called: a stand-in takes its place")
    options.add_argument("--compiler", default="cc", help="for the stand-ins")
    options.add_argument("--kernel-dir", type=pathlib.Path, help="an unpacked Debian kernel package")
    options.add_argument("--module", action="append", default=[], help="a kernel module to carry, by name")
    options.add_argument("--scratch-module", action="append", default=[], help="one that is loaded only when there is a scratch disk")
    options.add_argument("--image-module", action="append", default=[], help="one that is loaded, after those, only when there is an image disk")
    options.add_argument("--vsock-module", action="append", default=[], help="one that is loaded only when the host gives a vsock device")
    options.add_argument("--out", required=True, type=pathlib.Path)
    o = options.parse_args()

    files = {}
    add_with_libraries(files, "init", stripped(o.agent), o.absent)
    add_with_libraries(files, "bin/crun", o.crun.read_bytes(), o.absent)
    for name in o.library:
        add_with_libraries(files, f"lib/x86_64-linux-gnu/{name}", pathlib.Path(find_library(name)).read_bytes(), o.absent)
    add_stand_ins(files, o.absent, o.compiler.split())
    for program in o.program:
        files[f"bin/{program.name}"] = (0o755, program.read_bytes())
    if o.kernel_dir:
        for i, (name, content) in enumerate(modules_in_order(o.kernel_dir, o.module)):
            files[f"modules/{i:02}-{name}.ko"] = (0o644, content)
        scratch = modules_in_order(o.kernel_dir, o.scratch_module)
        for i, (name, content) in enumerate(scratch):
            files[f"modules-scratch/{i:02}-{name}.ko"] = (0o644, content)
        more = [module for module in modules_in_order(o.kernel_dir, o.image_module) if module not in scratch]
        for i, (name, content) in enumerate(more):
            files[f"modules-images/{i:02}-{name}.ko"] = (0o644, content)
        for i, (name, content) in enumerate(modules_in_order(o.kernel_dir, o.vsock_module)):
            files[f"modules-vsock/{i:02}-{name}.ko"] = (0o644, content)
    packed = archive(files)
    o.out.write_bytes(packed)
    for name, (_, content) in sorted(files.items(), key=lambda f: -len(f[1][1])):
        print(f"{len(content):9}  {name}")
    print(f"initrd: {len(packed)} bytes ({len(packed) / 2**20:.2f} MiB), {len(files)} files, "
          f"sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
