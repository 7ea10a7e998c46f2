#!/usr/bin/env python3
"""Builds stage0.bin twice more, from copies of the sources in two other folders, and compares all three byte for byte."""
import os, pathlib, shutil, subprocess, sys, tempfile

source, built, command = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
wanted = built.read_bytes()
with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory(prefix="a-longer-name-") as second:
    for folder in map(pathlib.Path, (first, second)):
        for part in ("base", "firmware"):
            shutil.copytree(source / part, folder / "src" / part)
        out = folder / "stage0.bin"
        words = [(os.path.normpath(w) if w.startswith("/") else w).replace(str(source), str(folder / "src")) for w in command]
        subprocess.run(words + ["-o", folder / "stage0.elf"], check=True)
        subprocess.run(["objcopy", "-O", "binary", folder / "stage0.elf", out], check=True)
        if out.read_bytes() != wanted:
            sys.exit(f"stage0.bin built in {folder} differs from {built}")
print(f"three builds on three paths, {len(wanted)} bytes each, are the same")
