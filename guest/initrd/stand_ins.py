"""Stand-ins for shared libraries that the guest's programs are linked with and never call.

Debian builds libcurl with Kerberos, LDAP, SSH and RTMP, libmicrohttpd with GnuTLS, crun with systemd's bus. Nothing of it
is used in a guest, and all of it would be in its memory, be initialised at each start, and be measured as part of what is
trusted. A stand-in has the symbols that are asked for and no code behind them: a function that is called all the same says
so on standard error and ends its process; a few that are called anyhow do nothing and give 0.
"""
import pathlib, re, subprocess, tempfile

# Called by the constructors and the global initialisation of libmicrohttpd and libcurl; idn2_check_version by libcurl for
# a host name that is no ASCII, which then is not converted.
AT_START = {"gnutls_global_init", "gnutls_global_deinit", "libssh2_init", "libssh2_exit", "idn2_check_version"}
CODE = '''	.section .note.GNU-stack,"",@progbits
	.section .rodata
text:	.ascii "{name}: not in this guest, but called\\n"
	.set length, . - text
	.text
refuse:	mov $1, %eax
	mov $2, %edi
	lea text(%rip), %rsi
	mov $length, %edx
	syscall
	ud2
fine:	xor %eax, %eax
	ret
'''


def symbols(path):
    """(name, version, is defined, is an object, size) of each dynamic symbol. One that is wanted has no version of its own."""
    table = subprocess.run(["objdump", "-T", str(path)], capture_output=True, text=True, check=True).stdout
    for line in table.splitlines():
        found = re.match(r"([0-9a-f]{16}) (.{7}) (\S+)\t([0-9a-f]{16})\s+(.*)$", line)
        if found:
            *version, name = found[5].split()
            yield name, (version or [""])[0].strip("()"), found[3] != "*UND*", found[2][6] == "O", int(found[4], 16)


def assembly(name, exports):
    out = CODE.format(name=name)
    for symbol, (_, is_object, size) in sorted(exports.items()):
        if is_object:
            out += f"\t.globl {symbol}\n\t.type {symbol}, @object\n\t.size {symbol}, {size}\n\t.bss\n\t.balign 16\n{symbol}:\t.zero {size}\n"
        else:
            out += f"\t.globl {symbol}\n\t.type {symbol}, @function\n\t.set {symbol}, {'fine' if symbol in AT_START else 'refuse'}\n"
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
