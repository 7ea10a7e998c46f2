#!/usr/bin/env python3
"""Fails when a header does not compile alone. Usage: headers.py SOURCE BUILD CC"""
import concurrent.futures, json, pathlib, shlex, subprocess, sys

source, build, cc = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
commands = json.loads((build / "compile_commands.json").read_text())
includes = sorted({w for c in commands for w in shlex.split(c["command"]) if w.startswith("-I/")})
headers = [h for part in ("base", "attestation", "policy", "keys", "guest", "runtime", "firmware/image", "firmware/measure")
           for h in sorted((source / part).rglob("*.h"))]


def compiles(header):
    run = subprocess.run([cc, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c",
                          "-I", source, "-I", build, *includes, "-"], text=True, capture_output=True,
                         input=f'#include "{header.relative_to(source)}"\n')
    return header, run.returncode == 0, run.stderr


bad = 0
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for header, good, why in pool.map(compiles, headers):
        if not good:
            bad += 1
            print(f"{header}: does not compile alone\n{why}")
print(f"{len(headers)} headers, {bad} of them do not compile alone")
sys.exit(bad > 0 or not headers)
