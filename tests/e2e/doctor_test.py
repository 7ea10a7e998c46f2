#!/usr/bin/env python3
"""cloister doctor on this host: what a person and a script get, and the exit code. What it finds is in diagnosis_test.c."""
import json, os, pathlib, subprocess, sys, tempfile

CLOISTER = pathlib.Path(os.environ["CLOISTER_BUILD"]) / "cloister"
GUEST = pathlib.Path(os.environ["CLOISTER_BUILD"]) / "runtime/guest"


def doctor(*words, **environment):
    return subprocess.run([CLOISTER, "doctor", *map(str, words)], capture_output=True, text=True, env=dict(os.environ, **environment))


def rows(done):
    return {row["check"]: row for row in json.loads(done.stdout)}


found = doctor("--json", *(["--guest", GUEST] if GUEST.exists() else []))
by_name = rows(found)
assert found.returncode == any(row["level"] == "missing" for row in by_name.values()), found.stdout
assert {"CPU", "host kernel", "/dev/kvm", "QEMU", "swtpm", "cgroups", "guest image", "platform snp", "platform tdx", "platform tpm",
        "--tee auto chooses", "--accel auto chooses"} <= set(by_name), sorted(by_name)
for row in by_name.values():
    assert row["level"] in ("ok", "note", "missing") and row["found"], row
    assert row["level"] != "missing" or row["mend"], row

text = doctor(*(["--guest", GUEST] if GUEST.exists() else []))
assert text.returncode == found.returncode and text.stderr == "", text.stderr
assert all(f"{row['level']:<8} {name}" in text.stdout for name, row in by_name.items()), text.stdout

lost = rows(doctor("--json", PATH="/nonexistent"))
assert lost["QEMU"]["level"] == "missing" and "apt-get install" in lost["QEMU"]["mend"], lost["QEMU"]
assert doctor(PATH="/nonexistent").returncode == 1

with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder)
    for name, content in {"proc/cpuinfo": "model name\t: AMD EPYC 9654\nflags\t\t: svm sev_snp\n", "proc/sys/kernel/osrelease": "6.12.1\n",
                          "sys/module/kvm_amd/parameters/sev_snp": "Y\n", "dev/kvm": ""}.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(content)
    other = rows(doctor("--json", "--root", copy))
    assert other["--tee auto chooses"]["found"].startswith("snp: "), other["--tee auto chooses"]
    assert other["CPU"]["found"] == "AMD EPYC 9654", other["CPU"]

for words in (["--root", "/nonexistent"], ["operand"], ["--nonsense"]):
    refused = doctor(*words)
    assert refused.returncode == 2 and refused.stderr.startswith("cloister: doctor: ") and refused.stderr.count("\n") == 1, refused
print("doctor: text, JSON, another machine's files, exit codes")
sys.exit(0)
