#!/usr/bin/env python3
"""Reset to the kernel's first instruction: stage0 against SeaBIOS, qboot and OVMF, in one run; and how long
`cloister measure snp` takes. Prints milliseconds and ratios. Arguments: stage0.bin, cloister, kernel (may be missing)."""
import hashlib, os, pathlib, resource, statistics, struct, subprocess, sys, tempfile, time

ROUNDS = 7
STAGE0, CLOISTER, KERNEL = (pathlib.Path(a) for a in sys.argv[1:4])
QBOOT, OVMF = pathlib.Path("/usr/share/qemu/qboot.rom"), pathlib.Path("/usr/share/ovmf/OVMF.fd")
PLACE = bytes.fromhex("0e7f6c5b0c9f0a4c8f6c2a6e6f1d3b52")
ENTRIES = [bytes.fromhex(g) for g in ("d82dd09720bd944caa78e7714d36ab2a", "31f7ba442f3ad74b9af141e29169781d",
                                      "3794e74dd2ab7f42b835d5b172d2045b")]
HEAD = bytes.fromhex("06d63894224fc94cb479a793d411fd21") + struct.pack("<H", 168)
PRINT_64 = bytes.fromhex("488d351900000066baf803ac84c07403eeebf866ba040666b8002066eff4ebfd") + b"entered\n\0"
PRINT_16 = bytes.fromhex("baf803be8602ac84c07403eeebf8ba0406b80020eff4ebfd0000") + b"entered\n\0"


def tiny_kernel(length):
    """Prints a line and switches off, from the 16-bit entry, from the 64-bit one, and as an EFI program, which OVMF wants."""
    k = bytearray(length)
    put = lambda at, fmt, value: struct.pack_into("<" + fmt, k, at, value)
    text = length - 1536
    k[0:2], k[0x80:0x84] = b"MZ", b"PE\0\0"
    put(0x3C, "I", 0x80)
    struct.pack_into("<HHIIIHH", k, 0x84, 0x8664, 1, 0, 0, 0, 240, 0x206)
    struct.pack_into("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", k, 0x98, 0x20B, 0, 0, text, 0, 0, 0x1000, 0x1000, 0, 0x1000, 0x200,
                     0, 0, 0, 0, 0, 0, 0, 0x1000 + (text + 4095 & ~4095), 512, 0, 10, 0, 0, 0, 0, 0, 0, 16)
    struct.pack_into("<8sIIIIIIHHI", k, 0x188, b".text", text, 0x1000, text, 1536, 0, 0, 0, 0, 0x60000020)
    put(0x1F1, "B", 1), put(0x1F4, "I", (length - 1024) // 16), put(0x1FE, "H", 0xAA55), put(0x200, "H", 0x6AEB)
    k[0x202:0x206] = b"HdrS"
    put(0x206, "H", 0x20F), put(0x211, "B", 1), put(0x22C, "I", 0x7FFFFFFF), put(0x230, "I", 0x200000)
    put(0x234, "B", 1), put(0x236, "H", 1), put(0x238, "I", 2047), put(0x260, "I", length + 0x100000)
    k[0x26C:0x26C + len(PRINT_16)] = PRINT_16
    k[1024 + 512:1024 + 512 + len(PRINT_64)] = PRINT_64
    return bytes(k)


def patched(kernel, initrd, append):
    image = bytearray(STAGE0.read_bytes())
    at = len(image) - struct.unpack("<I", image[image.rindex(PLACE) - 6:][:4])[0]
    table = HEAD
    for guid, content in zip(ENTRIES, (append.encode() + b"\0", initrd, kernel)):
        table += guid + struct.pack("<H", 50) + hashlib.sha256(content).digest()
    image[at:at + len(table)] = table
    return bytes(image)


def until(word, words):
    began = time.monotonic()
    qemu = subprocess.Popen(["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512", "-display",
                             "none", "-nodefaults", "-no-reboot", "-serial", "stdio", *map(str, words)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for line in qemu.stdout:
            if word in line:
                return (time.monotonic() - began) * 1000
    finally:
        qemu.kill()
        qemu.wait()
    raise AssertionError(f"never saw {word}: {words}")


def compare(title, folder, kernel, initrd, append, word, firmwares, rounds=ROUNDS):
    files = {name: folder / name for name in ("kernel", "initrd", "append", "bios")}
    for name, content in (("kernel", kernel), ("initrd", initrd), ("append", append.encode()),
                          ("bios", patched(kernel, initrd, append))):
        files[name].write_bytes(content)
    own = ["-bios", files["bios"]]
    for option, name in (("kernel", "kernel"), ("initrd", "initrd"), ("cmdline", "append")):
        own += ["-fw_cfg", f"name=opt/org.cloister/{option},file={files[name]}"]
    direct = ["-kernel", files["kernel"], "-append", append] + (["-initrd", files["initrd"]] if initrd else [])
    took = {"stage0": []} | {name: [] for name in firmwares}
    for _ in range(rounds):
        took["stage0"].append(until(word, own))
        for name, bios in firmwares.items():
            took[name].append(until(word, direct + (["-bios", bios] if bios else [])))
    least = {name: min(times) for name, times in took.items()}
    print(f"{title}:")
    for name, times in took.items():
        ratio = "" if name == "stage0" else f"   stage0 / {name} {least['stage0'] / least[name]:.2f}"
        print(f"  {name:8} least {least[name]:6.0f} ms, median {statistics.median(times):6.0f} ms{ratio}")


small = {"SeaBIOS": None} | ({"qboot": QBOOT} if QBOOT.exists() else {})
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    compare("start of QEMU to kernel entry, 2 KiB kernel (hashing costs nothing)", folder, tiny_kernel(2048), b"", "x",
            b"entered", small)
    compare("the same, 12 MiB kernel and 8 MiB initrd (stage0 hashes both, the others check nothing)", folder,
            tiny_kernel(12 << 20), os.urandom(8 << 20), "x", b"entered", small)
    if OVMF.exists():
        compare("the same, without initrd, against OVMF (aim: 0.2)", folder, tiny_kernel(12 << 20), b"", "x", b"entered",
                {"OVMF": OVMF}, 3)
    if KERNEL.exists() and OVMF.exists():
        compare("start of QEMU to Linux' first line", folder, KERNEL.read_bytes(), b"", "earlyprintk=ttyS0 panic=-1",
                b"Linux version", {"SeaBIOS": None, "OVMF": OVMF})
    if KERNEL.exists() and CLOISTER.exists():
        times, spent = [], []
        for _ in range(3 * ROUNDS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            subprocess.run([CLOISTER, "measure", "snp", "--firmware", STAGE0, "--kernel", KERNEL, "--vcpus", "4"],
                           check=True, stdout=subprocess.DEVNULL)
            times.append((time.monotonic() - began) * 1000)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
        print(f"cloister measure snp, {KERNEL.stat().st_size >> 20} MiB kernel: least {min(times):.1f} ms, median "
              f"{statistics.median(times):.1f} ms; of the CPU {statistics.median(spent):.1f} ms (sev-snp-measure: 50 to 90 ms)")
