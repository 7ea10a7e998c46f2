#!/usr/bin/env python3
"""Libraries that the agent opens when it first calls them: tpm2-tss, which only a guest with a TPM wants.

What is linked is mapped, bound and looked up in by every guest, and makes the linker give out each symbol that the agent has in
common with the libraries behind it. Writes what the agent is linked with instead of them:

  assembly         for each function SYMBOL that a source file calls and a library has: one that asks on_demand_find for the
                   real one at the first call (guest/agent/on_demand.h), then goes there
  linker script    brings in what these libraries want of the archive of OpenSSL, and
  dynamic list     lets them find it in the agent
"""
import argparse, pathlib, re, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stand_ins import find_library, symbols  # noqa: E402

HEAD = '''	.section .note.GNU-stack,"",@progbits
	.text
find:	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %r8
	push %r9
	push %rax
	mov %r11, %rdi
	call on_demand_find
	mov %rax, %r11
	pop %rax
	pop %r9
	pop %r8
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	jmp *%r11
'''
FUNCTION = '''	.globl {name}
	.type {name}, @function
{name}:	lea text_{name}(%rip), %r11
	jmp find
	.section .rodata
text_{name}:	.asciz "{name}"
	.text
'''


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--library", action="append", required=True)
    options.add_argument("--lent", required=True, help="the library whose symbols they find in the agent: its version's prefix")
    options.add_argument("--out", nargs=3, required=True, type=pathlib.Path, metavar=("ASSEMBLY", "SCRIPT", "LIST"))
    options.add_argument("source", nargs="+", type=pathlib.Path)
    o = options.parse_args()

    called = {word for source in o.source for word in re.findall(r"\b[A-Za-z_]\w*", source.read_text())}
    rows = [row for name in o.library for row in symbols(find_library(name))]
    mine = sorted({name for name, _, is_defined, is_object, _ in rows if is_defined and not is_object} & called)
    lent = sorted({name for name, version, is_defined, _, _ in rows if not is_defined and version.startswith(o.lent)})
    o.out[0].write_text(HEAD + "".join(FUNCTION.format(name=name) for name in mine))
    o.out[1].write_text(f"EXTERN({' '.join(lent)})\n")
    o.out[2].write_text("{ " + "; ".join(lent) + "; };\n")


if __name__ == "__main__":
    main()
