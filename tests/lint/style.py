#!/usr/bin/env python3
"""House rules that a machine can check (docs/style.md). Prints file:line and what to do instead."""
import pathlib, re, subprocess, sys

root = pathlib.Path(sys.argv[1])
listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True).stdout.split("\0")
files = [root / f for f in listed if f] or [f for f in root.rglob("*") if f.is_file() and ".git" not in f.parts]
files = [f for f in files if f.is_file()]
problems = []


def problem(file, line, what):
    problems.append(f"{file.relative_to(root)}:{line}: {what}")


BANNED_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager|handle|process_?data|stuff)(_|$)|^info$")
LINES = [  # pattern, what to do instead; for C files
    (re.compile(r"\bgoto\s+\w+\s*;"), "no goto: AUTO(kind) releases on every path"),
    (re.compile(r"\b(TODO|FIXME|XXX)\b"), "finish it, or say in the folder's README what is deliberately not there"),
    (re.compile(r"\b(strcpy|strcat|sprintf|gets|strtok)\s*\("), "use a buffer or a writer"),
    (re.compile(r"\bmemcmp\s*\([^;]*\b(hmac|mac|tag|secret)\b"), "compare with CRYPTO_memcmp or secret_equal"),
]
for file in files:
    relative = file.relative_to(root).as_posix()
    if file.suffix in (".c", ".h", ".S"):
        if BANNED_NAMES.search(file.stem):
            problem(file, 1, "a name that says nothing; name it after what it holds")
        depth = 0
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), file.read_text(), flags=re.S)
        is_product = not file.stem.endswith(("_test", "_bench", "_fuzz"))
        for n, line in enumerate(text.splitlines(), 1):
            for pattern, advice in LINES:
                if pattern.search(line) and (is_product or "buffer or a writer" not in advice):
                    problem(file, n, advice)
            if depth > 0 and is_product and re.match(r"\s*#\s*(if|ifdef|ifndef)\b", line) and not relative.startswith("firmware/stage0"):
                problem(file, n, "no #if inside a body: another file for the other platform")
            if re.match(r"^\{", line):
                depth = 1
            elif re.match(r"^\}", line):
                depth = 0
        if len(text.splitlines()) > 1000:
            problem(file, 1, f"{len(text.splitlines())} lines: split it")
    if file.name == "README.md" and relative.split("/")[0] != "tests" and file.parent != root and len(file.read_text().splitlines()) > 40:
        problem(file, 1, "a folder's README has at most 40 lines")
    if file.name.endswith("_fuzz.c"):
        corpus = root / "tests/corpus" / relative.removesuffix("_fuzz.c").replace("/", "_")
        if not corpus.is_dir() or not any(corpus.iterdir()):
            problem(file, 1, f"no corpus in {corpus.relative_to(root)}")

for folder in {f.parent for f in files if f.suffix == ".c" and f.relative_to(root).parts[0] != "tests"}:
    if not (folder / "README.md").exists() and folder.relative_to(root).parts[-1] not in ("targets",):
        problem(folder, 0, "no README.md: what lives here, what it may use, where foreign bytes enter")

print("\n".join(problems))
print(f"{len(files)} files, {len(problems)} problems")
sys.exit(bool(problems))
