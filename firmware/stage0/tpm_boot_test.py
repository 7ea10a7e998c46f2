#!/usr/bin/env python3
"""Linux booted by stage0 beside a swtpm, through TIS and through CRB: PCRs in the guest equal those computed from the files,
the event log replays to them, and each event's bytes are what its digest says. Argument: stage0.bin."""
import hashlib, os, pathlib, re, shutil, struct, subprocess, sys, tempfile, time

KERNEL = pathlib.Path(os.environ.get("CLOISTER_KERNEL", sys.argv[2]))
for needed in ("qemu-system-x86_64", "swtpm", "gcc"):
    if not shutil.which(needed):
        print("skipped: no", needed), sys.exit(77)
if not KERNEL.exists():
    print("skipped: no kernel; CLOISTER_KERNEL names one"), sys.exit(77)

PLACE, HEAD = bytes.fromhex("0e7f6c5b0c9f0a4c8f6c2a6e6f1d3b52"), bytes.fromhex("06d63894224fc94cb479a793d411fd21a800")
ENTRIES = [bytes.fromhex(g) for g in ("d82dd09720bd944caa78e7714d36ab2a", "31f7ba442f3ad74b9af141e29169781d",
                                      "3794e74dd2ab7f42b835d5b172d2045b")]
APPEND = "console=ttyS0 panic=-1 quiet"
INIT = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>
static void show(int to, const char *name, const char *path)
{
    static unsigned char b[65536];
    int f = open(path, O_RDONLY), n = 0, k;
    while (f >= 0 && n < (int) sizeof b && (k = (int) read(f, b + n, sizeof b - (size_t) n)) > 0)
        n += k;
    dprintf(to, "%s=", name);
    for (int i = 0; i < n; i++)
        dprintf(to, "%02x", b[i]);
    dprintf(to, ";\n");
}
int main(void)
{
    char name[16], path[64];
    mkdir("/dev", 0755); mkdir("/sys", 0755);
    mount("d", "/dev", "devtmpfs", 0, 0); mount("s", "/sys", "sysfs", 0, 0);
    mount("s", "/sys/kernel/security", "securityfs", 0, 0);
    int to = open("/dev/ttyS0", O_RDWR);
    for (int i = 0; i < 13; i++) {
        snprintf(name, sizeof name, "PCR%d", i);
        snprintf(path, sizeof path, "/sys/class/tpm/tpm0/pcr-sha256/%d", i);
        show(to, name, path);
    }
    show(to, "LOG", "/sys/kernel/security/tpm0/binary_bios_measurements");
    reboot(RB_POWER_OFF);
}
"""
LENGTHS = {4: 20, 11: 32, 12: 48, 13: 64, 18: 32}
sha256 = lambda b: hashlib.sha256(b).digest()


def newc(name, mode, content):
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name + b"\0"
    pad = lambda b: b + bytes(-len(b) % 4)
    return pad(head) + pad(content)


def make_initrd(folder):
    (folder / "init.c").write_text(INIT)
    subprocess.run(["gcc", "-static", "-Os", "-o", folder / "init", folder / "init.c"], check=True)
    return newc(b"init", 0o100755, (folder / "init").read_bytes()) + newc(b"TRAILER!!!", 0, b"")


def patched(image, blobs):
    image = bytearray(image)
    at = len(image) - struct.unpack("<I", image[image.rindex(PLACE) - 6:][:4])[0]
    table = HEAD + b"".join(g + struct.pack("<H", 50) + sha256(b) for g, b in zip(ENTRIES, blobs))
    image[at:at + len(table)] = table
    return bytes(image)


def boot(folder, device):
    state = folder / device
    state.mkdir()
    swtpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl",
                              f"type=unixio,path={state}/socket"])
    try:
        while not (state / "socket").exists():
            time.sleep(0.02)
        words = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-display", "none", "-nodefaults",
                 "-no-reboot", "-serial", "stdio", "-bios", folder / "bios", "-chardev", f"socket,id=c,path={state}/socket",
                 "-tpmdev", "emulator,id=t,chardev=c", "-device", f"{device},tpmdev=t"]
        for name in ("kernel", "initrd", "cmdline"):
            words += ["-fw_cfg", f"name=opt/org.cloister/{name},file={folder / name}"]
        out = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=240).stdout
    finally:
        swtpm.kill()
        swtpm.wait()
    found = dict(re.findall(rb"(PCR\d+|LOG)=([0-9a-f]*);", out))
    assert len(found) == 14 and found[b"PCR0"], out[-2000:].decode(errors="replace")
    return {int(n[3:]): bytes.fromhex(bytes.fromhex(v.decode()).decode()) for n, v in found.items() if n != b"LOG"}, \
        bytes.fromhex(found[b"LOG"].decode())


def replay(log):
    at, registers = 32 + struct.unpack_from("<I", log, 28)[0], {}
    while at < len(log):
        pcr, kind, n = struct.unpack_from("<III", log, at)
        at, digests = at + 12, {}
        for _ in range(n):
            algorithm = struct.unpack_from("<H", log, at)[0]
            digests[algorithm] = log[at + 2:at + 2 + LENGTHS[algorithm]]
            at += 2 + LENGTHS[algorithm]
        length = struct.unpack_from("<I", log, at)[0]
        event, at = log[at + 4:at + 4 + length], at + 4 + length
        assert digests[11] == sha256(event) and digests[12] == hashlib.sha384(event).digest()
        registers[pcr] = sha256(registers.get(pcr, bytes(32)) + digests[11])
    return registers


def expected(blob, separated):
    value = sha256(bytes(32) + sha256(sha256(blob)))
    return sha256(value + sha256(bytes(4))) if separated else value


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    blobs = {"cmdline": APPEND.encode() + b"\0", "initrd": make_initrd(folder), "kernel": KERNEL.read_bytes()}
    image = patched(pathlib.Path(sys.argv[1]).read_bytes(), blobs.values())
    (folder / "bios").write_bytes(image)
    for part in blobs:
        (folder / part).write_bytes(blobs[part])
    for device in ("tpm-tis", "tpm-crb"):
        pcrs, log = boot(folder, device)
        assert pcrs[0] == expected(image, True), f"{device}: PCR 0 is not the firmware"
        assert pcrs[4] == expected(blobs["kernel"], True), f"{device}: PCR 4 is not the kernel"
        assert pcrs[12] == expected(blobs["cmdline"], False), f"{device}: PCR 12 is not the command line"
        assert pcrs[9] == expected(blobs["initrd"], False), f"{device}: PCR 9 is not the initrd"
        replayed = replay(log)
        assert all(replayed.get(n, bytes(32)) == pcrs[n] for n in (*range(10), 12)), f"{device}: the log does not replay to the PCRs"
        print(f"{device}: eleven PCRs as computed, {len(log)} bytes of log replay to them")
