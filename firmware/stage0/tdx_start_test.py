#!/usr/bin/env python3
"""How a TD's CPUs start, on QEMU's ordinary CPU: the image's reset vector is replaced by a few instructions that leave the
CPU as the TDX module does (32-bit mode, no paging, EFER.LME set, its number in ESI), then go where the vector would.
The first CPU must reach the C code, where TDCALL is an invalid instruction and says so; another one must wait until the
mailbox is published, take only what is addressed to it, clear the command and jump. Arguments: stage0.bin, stage0.elf."""
import pathlib, re, shutil, struct, subprocess, sys, tempfile, threading

IMAGE, ELF = map(pathlib.Path, sys.argv[1:3])
for needed in ("qemu-system-x86_64", "gcc", "objcopy", "nm"):
    if not shutil.which(needed):
        print("skipped: no", needed), sys.exit(77)

SYMBOLS = {m[2]: int(m[1], 16) for m in re.finditer(r"^(\w+) \w (\w+)$", subprocess.run(
    ["nm", ELF], capture_output=True, text=True, check=True).stdout, re.M)}
START = (SYMBOLS["stage0_used_end"] + 15) & ~15
MAILBOX, CODE = 0x50000, 0x60000
SHIM = f"""
    .code16
    cli
    lgdtl %cs:({SYMBOLS['gdt_pointer']:#x} - 0xffff0000)
    movl %cr0, %eax
    orl $0x21, %eax
    movl %eax, %cr0
    ljmpl $0x08, $1f
    .code32
1:  movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0xc0000080, %ecx
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    movl $({MAILBOX} + 0x2003), {MAILBOX} + 0x1000
    xorl %ecx, %ecx
2:  movl %ecx, %eax
    shll $30, %eax
    orl $0xe3, %eax
    movl %eax, {MAILBOX} + 0x2000(,%ecx,8)
    incl %ecx
    cmpl $4, %ecx
    jb 2b
    movl $code, %esi
    movl ${CODE}, %edi
    movl $(code_end - code), %ecx
    rep movsb
    movl $ADDRESSEE, {MAILBOX} + 4
    movl ${CODE}, {MAILBOX} + 8
    movw $1, {MAILBOX}
    movl $NUMBER, %esi
    jmp {SYMBOLS['tdx_mode']:#x}
code:                           /* runs in 64-bit mode, where these bytes mean the same: command and number, then the end */
    movw $0x3f8, %dx
    movl ${MAILBOX}, %ebx
    movb (%ebx), %al
    addb $0x30, %al
    outb %al, %dx
    movl %esi, %eax
    addb $0x30, %al
    outb %al, %dx
    movb $10, %al
    outb %al, %dx
    hlt
code_end:
"""


def build(folder, number, addressee, mailbox):
    source = SHIM.replace("NUMBER", str(number)).replace("ADDRESSEE", str(addressee))
    (folder / "shim.S").write_text(source)
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-Wl,--build-id=none", f"-Wl,-Ttext={START:#x}", "-Wl,-e,0", "-o",
                    folder / "shim", folder / "shim.S"], check=True, stderr=subprocess.PIPE)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "shim", folder / "shim.bin"], check=True)
    image, shim, at = bytearray(IMAGE.read_bytes()), (folder / "shim.bin").read_bytes(), START - 0xffff0000
    assert at + len(shim) < SYMBOLS["real_mode"] - 0xffff0000
    image[at:at + len(shim)] = shim
    image[0xfff0:0xfff3] = b"\xe9" + struct.pack("<H", (at - 0xfff3) & 0xffff)
    struct.pack_into("<I", image, SYMBOLS["tdx_mailbox"] - 0xffff0000, mailbox)
    (folder / "bios").write_bytes(image)


def start(folder):
    return subprocess.Popen(["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "64", "-display", "none",
                             "-nodefaults", "-no-reboot", "-serial", "stdio", "-bios", folder / "bios"], stdout=subprocess.PIPE)


def first_line(folder):
    qemu = start(folder)
    timer = threading.Timer(300, qemu.kill)
    timer.start()
    try:
        return qemu.stdout.readline()
    finally:
        timer.cancel()
        qemu.kill()
        qemu.wait()


def waits(folder):
    """Says nothing and does not fault, which would end QEMU."""
    qemu = start(folder)
    try:
        qemu.wait(timeout=3)
        return False
    except subprocess.TimeoutExpired:
        qemu.kill()
        return qemu.stdout.read() == b""
    finally:
        qemu.wait()


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    build(folder, number=0, addressee=0, mailbox=0)
    assert first_line(folder) == b"stage0: exception in firmware\r\n", "the first CPU does not reach 64-bit C code"
    build(folder, number=3, addressee=3, mailbox=MAILBOX)
    assert first_line(folder) == b"03\n", "the mailbox does not start CPU 3, or keeps its command"
    build(folder, number=3, addressee=2, mailbox=MAILBOX)
    assert waits(folder), "CPU 3 takes what is for CPU 2"
    build(folder, number=3, addressee=3, mailbox=0)
    assert waits(folder), "CPU 3 believes a mailbox that nobody published"
print("the first CPU reaches 64-bit mode; another one starts by the published mailbox only")
