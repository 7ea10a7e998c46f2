#!/usr/bin/env python3
"""Compares docs/threat-model.md with the tree: each function that it names exists, and each fuzz target's module stands
in its table. Usage: threat_model.py SOURCE"""
import pathlib, re, sys

root = pathlib.Path(sys.argv[1])
text = (root / "docs/threat-model.md").read_text()
sources = {f.relative_to(root).as_posix(): f.read_text() for f in root.rglob("*.c") if f.relative_to(root).parts[0] not in ("build", "tests")}
bad = 0
named = set()
for line in text.splitlines():
    m = re.match(r"\|[^|]*\|[^|]*\| `(\w+)` in `([\w/]+\.c)`", line)
    if not m:
        continue
    function, file = m[1], m[2]
    named.add(file)
    if file not in sources or not re.search(rf"^[^\n;]*\b{function}\(", sources[file], re.M):
        bad += 1
        print(f"docs/threat-model.md: {file} has no function {function}")
    if not (root / file.replace(".c", "_fuzz.c")).exists() and "no fuzz target:" not in line:
        bad += 1
        print(f"docs/threat-model.md: {file} has no fuzz target beside it (or say in the row: no fuzz target: why)")
for file in sources:
    if file.endswith("_fuzz.c") and file.replace("_fuzz.c", ".c") not in named:
        bad += 1
        print(f"docs/threat-model.md: does not name {file.replace('_fuzz.c', '.c')}, which has a fuzz target")
print(f"{len(named)} parsers named, {bad} problems")
sys.exit(bad > 0)
