#!/usr/bin/env python3
"""The agent and the firmware built again, from a copy of the sources in another directory, under another umask, today or
later: the initrd has the same SHA-256, and what SNP and TDX hardware will report of both guests is the same. Arguments: the
source root, the agent of this build, the compiler, the build type, the firmware of this build, `cloister`."""
import hashlib, json, os, pathlib, shutil, subprocess, sys, tempfile

source, agent, compiler = pathlib.Path(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
firmware, cloister = map(os.path.abspath, sys.argv[5:7])
builder = source / "guest/initrd/build_initrd.py"


def run(*words, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{words}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def digest(of, out):
    run(sys.executable, builder, "--agent", of, "--crun", "/usr/bin/crun", "--absent", "libcrypto.so.3", "--absent",
        "libsystemd.so.0", "--out", out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def measurements(firmware, initrd):
    """As the hardware will report them; the agent stands for a kernel, which is not built here."""
    files = ["--firmware", firmware, "--kernel", agent, "--initrd", initrd, "--append", "console=hvc0"]
    snp, tdx = run(cloister, "measure", "snp", "--vcpus", 4, *files), json.loads(run(cloister, "measure", "tdx", *files))
    return snp.strip(), tdx["mrtd"], tdx["rtmr1"], tdx["rtmr2"]


with tempfile.TemporaryDirectory(prefix="rebuild-") as folder:
    folder = pathlib.Path(folder)
    copy, build = folder / "somewhere/else/entirely", folder / "b"
    shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git", "*.pyc"))
    old = os.umask(0o077)
    run("meson", "setup", f"--buildtype={sys.argv[4]}", build, copy, env=dict(os.environ, CC=compiler))
    run("ninja", "-C", build, "cloister-agent", "firmware/targets/stage0.bin")
    os.umask(old)
    first, second = digest(agent, folder / "first"), digest(build / "cloister-agent", folder / "second")
    print(first, second, sep="\n")
    here = measurements(firmware, folder / "first")
    there = measurements(build / "firmware/targets/stage0.bin", folder / "second")
    print(*here, *there, sep="\n")
    sys.exit(first != second or here != there)
