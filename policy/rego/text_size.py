#!/usr/bin/env python3
"""Prints the size of the engine's code; fails when it is over the limit (given: archive, most KiB)."""
import subprocess, sys

sections = {".text": 0, ".rodata": 0}
for line in subprocess.run(["size", "-A", sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines():
    fields = line.split()
    for name in sections:
        if fields and (fields[0] == name or fields[0].startswith(name + ".")):
            sections[name] += int(fields[1])
text = sections[".text"] / 1024
print(f"policy/rego: {text:.0f} KiB of text (at most {sys.argv[2]}), {sections['.rodata'] / 1024:.0f} KiB of constants")
sys.exit(text > int(sys.argv[2]))
