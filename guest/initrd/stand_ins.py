#!/usr/bin/env python3
"""Stand-ins for libraries that the guest's programs are linked with and never call.

Debian builds libcurl with Kerberos, LDAP, SSH and RTMP, libmicrohttpd with GnuTLS, crun with systemd's bus. Nothing of it
is used in a guest, and all of it would be in its memory, be initialised at each start, and be measured as part of what is
trusted. A stand-in has the symbols that are asked for and no code behind them: a function that is called all the same says
so on standard error and ends its process; a few that are called anyhow do nothing and give 0.

For a program that takes shared libraries a stand-in is one, too (build_initrd.py); for archives it is assembly that is
linked with them (the agent: `stand_ins.py --absent NAME... --out FILE ARCHIVE...`).
"""
import argparse, pathlib, re, subprocess, tempfile

LIBRARY_PATH = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"]
# Called by the constructors and the global initialisation of libmicrohttpd and libcurl; idn2_check_version by libcurl for
# a host name that is no ASCII, which then is not converted.
AT_START = {"gnutls_global_init", "gnutls_global_deinit", "libssh2_init", "libssh2_exit", "idn2_check_version"}
CODE = '''	.section .note.GNU-stack,"",@progbits
	.section .rodata
text{n}:	.ascii "{name}: not in this guest, but called\\n"
	.set length{n}, . - text{n}
	.text
refuse{n}:	mov $1, %eax
	mov $2, %edi
	lea text{n}(%rip), %rsi
	mov $length{n}, %edx
	syscall
	ud2
fine{n}:	xor %eax, %eax
	ret
'''


def find_library(name):
    for folder in LIBRARY_PATH:
        path = pathlib.Path(folder) / name
        if path.exists():
            return str(path)
    raise SystemExit(f"build_initrd: library {name} is not in {' or '.join(LIBRARY_PATH)}")


def symbols(path):
    """(name, version, is defined, is an object, size) of each dynamic symbol. One that is wanted has no version of its own."""
    table = subprocess.run(["objdump", "-T", str(path)], capture_output=True, text=True, check=True).stdout
    for line in table.splitlines():
        found = re.match(r"([0-9a-f]{16}) (.{7}) (\S+)\t([0-9a-f]{16})\s+(.*)$", line)
        if found:
            *version, name = found[5].split()
            yield name, (version or [""])[0].strip("()"), found[3] != "*UND*", found[2][6] == "O", int(found[4], 16)


def assembly(name, exports, n=0):
    out = CODE.format(name=name, n=n)
    for symbol, (_, is_object, size) in sorted(exports.items()):
        if is_object:
            out += f"\t.globl {symbol}\n\t.type {symbol}, @object\n\t.size {symbol}, {size}\n\t.bss\n\t.balign 16\n{symbol}:\t.zero {size}\n"
        else:
            out += f"\t.globl {symbol}\n\t.type {symbol}, @function\n\t.set {symbol}, {'fine' if symbol in AT_START else 'refuse'}{n}\n"
    return out


def version_script(exports):
    nodes = {}
    for symbol, (version, _, _) in sorted(exports.items()):
        nodes.setdefault("" if version == "Base" else version, []).append(symbol)
    hidden = " local: *;"
    out = ""
    for version, names in sorted(nodes.items()):
        out += f"{version} {{ global: {'; '.join(names)};{hidden} }};\n"
        hidden = ""
    return out


def stand_in(name, real, consumers, compiler):
    """The bytes of a library `name` with those symbols of the file `real` that the files `consumers` want."""
    wanted = {symbol for path in consumers for symbol, _, is_defined, is_object, _ in symbols(path)
              if is_object or not is_defined}  # a program has its own copy of a library's object
    exports = {symbol: (version, is_object, size) for symbol, version, is_defined, is_object, size in symbols(real)
               if is_defined and symbol in wanted and version != symbol}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "code.s").write_text(assembly(name, exports))
        (folder / "map").write_text(version_script(exports))
        subprocess.run([*compiler, "-shared", "-nostdlib", "-Wl,--build-id=none,-z,noexecstack,-z,relro,-z,now,-s", f"-Wl,-soname,{name}",
                        "-Wl,--version-script=map", "-o", "out", "code.s"], check=True, cwd=folder)
        return (folder / "out").read_bytes()


def wanted_by_archives(archives):
    """Symbols that the members of archives want and no member of any has."""
    wanted, defined = set(), set()
    for archive in archives:
        table = subprocess.run(["nm", "-g", str(archive)], capture_output=True, text=True, check=True).stdout
        for line in table.splitlines():
            kind, _, name = line.rpartition(" ")
            if kind.endswith("U"):
                wanted.add(name)
            elif kind and not kind.endswith(("w", "v")):
                defined.add(name)
    return wanted - defined


def archive_stand_in(names, archives):
    """Assembly with those symbols of the shared libraries `names` that the archives want."""
    wanted, out = wanted_by_archives(archives), ""
    for n, name in enumerate(names):
        exports = {symbol: (version, is_object, size) for symbol, version, is_defined, is_object, size in symbols(find_library(name))
                   if is_defined and symbol in wanted}
        wanted -= set(exports)
        out += assembly(name, exports, n)
    return out


def main():
    options = argparse.ArgumentParser(description="Writes assembly that stands in for libraries that archives name and never call.")
    options.add_argument("--absent", action="append", default=[], help="such a library, by its shared one's name")
    options.add_argument("--out", required=True, type=pathlib.Path)
    options.add_argument("archives", nargs="+", type=pathlib.Path)
    o = options.parse_args()
    o.out.write_text(archive_stand_in(o.absent, o.archives))


if __name__ == "__main__":
    main()
