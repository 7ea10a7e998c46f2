#!/usr/bin/env python3
"""Newer QEMUs as judges of the golden command lines: no object, device, property or CPU model in them is invented, and
a value with a defect is refused. Without KVM and without a TEE: QEMU parses, and lists what it knows through QMP.

tests/newer_qemu unpacks the QEMUs; CLOISTER_NEWER_QEMU names one more. Skips when there is none."""
import fcntl, json, os, pathlib, re, socket, subprocess, sys, tempfile

SOURCE = pathlib.Path(os.environ.get("CLOISTER_SOURCE", pathlib.Path(__file__).parents[2]))
GOLDEN = SOURCE / "tests/golden/runtime_vmm_qemu"
FOUND = sorted((SOURCE / "build/qemu").glob("*/qemu"))
if os.environ.get("CLOISTER_NEWER_QEMU"):
    FOUND.append(pathlib.Path(os.environ["CLOISTER_NEWER_QEMU"]))
if not FOUND:
    print("skipped: no QEMU newer than Debian 12's; tests/newer_qemu unpacks one")
    sys.exit(77)

SUGAR = {"memory-backend", "confidential-guest-support"}  # of -machine: links, listed by newer QEMUs only
failures = []


def check(what, holds, detail=""):
    if not holds:
        failures.append(f"{what}: {detail}")


class Qemu:
    """One QEMU at its monitor, without a machine."""

    def __init__(self, program, *words):
        self.process = subprocess.Popen([program, "-machine", "none", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio", *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        self.greeting = self.process.stdout.readline()
        if self.greeting:
            self.ask("qmp_capabilities")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, what, **arguments):
        try:
            self.process.stdin.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"error": {"desc": "QEMU ended"}}
        while True:
            line = self.process.stdout.readline()
            answer = json.loads(line) if line else {"error": {"desc": "QEMU ended"}}
            if "return" in answer or "error" in answer:
                return answer

    def properties(self, type_name, of="qom"):
        answer = self.ask(f"{of}-list-properties", typename=type_name)
        return {p["name"] for p in answer["return"]} if "return" in answer else None


def options(name):
    """[(option, value)] of a golden command line; flags have None."""
    words = (GOLDEN / name).read_text().splitlines()[1:]
    out, i = [], 0
    while i < len(words):
        has_value = i + 1 < len(words) and not words[i + 1].startswith("-")
        out.append((words[i], words[i + 1] if has_value else None))
        i += 1 + has_value
    return out


def keys(value):
    """The type and the property names of "type,a=b,c=d" or of its JSON form."""
    if value.startswith("{"):
        read = json.loads(value)
        return read.pop("qom-type"), set(read) - {"id"}
    kind, *rest = value.split(",")
    return kind, {r.split("=")[0] for r in rest} - {"id"}


def known(qemu, program, name):
    machines = [m["name"] for m in qemu.ask("query-machines")["return"] if m.get("alias") == "q35"]
    cpus = subprocess.run([program, "-cpu", "help"], capture_output=True, text=True).stdout.split()
    for option, value in options(name):
        where = f"{name}: {option} {(value or '')[:60]}"
        if option == "-object":
            kind, used = keys(value)
            has = qemu.properties(kind)
            check(where, has is not None and used <= has, f"unknown: {used - (has or set())}")
        elif option == "-device":
            kind, used = keys(value)
            has = qemu.properties(kind, "device")
            check(where, has is not None and used - {"bus"} <= has, f"unknown: {used - (has or set())}")
        elif option == "-machine":
            kind, used = keys(value)
            has = qemu.properties(machines[0] + "-machine")
            check(where, kind == "q35" and used <= has | SUGAR, f"unknown: {used - has - SUGAR}")
        elif option == "-accel":
            kind, used = keys(value)
            has = qemu.properties(kind + "-accel")
            check(where, has is not None and used <= has, f"unknown: {used - (has or set())}")
        elif option == "-cpu":
            check(where, value.split(",")[0] in cpus, "no such model")


def parsed(program, name):
    """What QEMU says of the objects of a command line when it parses them: only that there is no KVM, if anything."""
    for option, value in options(name):
        if option != "-object":
            continue
        said = object_refusal(program, value)
        check(f"{name}: {value[:60]}", not said or "kvm" in said.lower(), said)


def object_refusal(program, value):
    """Why QEMU does not make this object; nothing when it does."""
    with Qemu(program, "-object", value) as qemu:
        if qemu.greeting and "error" not in qemu.ask("qom-list", path="/objects"):
            return ""
        return qemu.process.communicate()[1].strip()


def defects(program, name):
    """The same object with one thing wrong is refused, and for that thing: so the check above can fail."""
    value = next(v for o, v in options(name) if o == "-object" and "guest" in v)
    if value.startswith("{"):
        cases = [(value.replace("sept-ve-disable", "sept-ve-disabled"), "sept-ve-disabled"),
                 (value.replace('"cid":"2"', '"cid":2'), "cid"), (value.replace('"type":"vsock"', '"type":"tipc"'), "tipc")]
    else:
        cases = [(value.replace("kernel-hashes", "kernel-hash"), "kernel-hash"), (value.replace("host-data=/wAA", "host-data="), "29 not equal to 32"),
                 (re.sub("id-block=....", "id-block=", value), "93 not equal to 96"), (value.replace("policy=0x30000", "policy=x"), "policy")]
    for bad, wanted in cases:
        said = object_refusal(program, bad)
        check(f"{name}: refuses {wanted}", wanted.replace("-", "") in said.lower().replace("-", "").replace("_", ""), said or "accepted")


def starts(program, name, folder):
    """A whole command line without a TEE: the machine is made, and waits. TCG; descriptors as qemu_command.h numbers them."""
    words = [program, "-L", pathlib.Path(program).parent / "usr/share/qemu", *[w for o, v in options(name) for w in (o, v) if w is not None]]
    descriptors, ends = {}, []
    for word in map(str, words):
        for number in map(int, re.findall(r"(?:/proc/self/fd/|\bfd=)(\d+)", word)):
            if "socket," in word:
                ours, theirs = socket.socketpair()
                ends += [ours, theirs]
                descriptors[number] = theirs.fileno()
            else:
                (folder / f"file{number}").write_bytes(bytes(65536))
                ends.append(open(folder / f"file{number}", "rb"))
                descriptors[number] = ends[-1].fileno()

    def place():
        above = {number: fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for number, fd in descriptors.items()}
        for number, fd in above.items():
            os.dup2(fd, number)

    process = subprocess.Popen([*map(str, words), "-S", "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, preexec_fn=place, close_fds=False)
    greeting = process.stdout.readline()
    process.kill()
    check(f"{name}: starts", "QMP" in greeting, process.communicate()[1].strip())


with tempfile.TemporaryDirectory() as folder:
    for program in FOUND:
        version = tuple(map(int, re.search(r"version (\d+)\.(\d+)", subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout).groups()))
        lines = ["sim", "tpm"] + (["snp"] if version >= (9, 1) else []) + (["tdx", "tdx-quote-socket", "tdx-stage0"] if version >= (10, 1) else [])
        with Qemu(program) as qemu:
            for name in lines:
                known(qemu, program, name)
        for name in lines[2:]:
            parsed(program, name)
        for name in set(lines) & {"snp", "tdx"}:
            defects(program, name)
        starts(program, "sim", pathlib.Path(folder))
        print(f"QEMU {version[0]}.{version[1]}: {', '.join(lines)}")
print("\n".join(failures))
sys.exit(bool(failures))
