"""A machine of a volume's owner, on which cryptsetup may use the kernel's device mapper: a VM with Debian's tools in it and nothing of ours."""
import os, pathlib, re, shutil, subprocess, sys

from world import SOURCE

sys.path.insert(0, str(SOURCE / "guest/initrd"))
import build_initrd  # noqa: E402

KERNEL = SOURCE / "build/kernel"
QEMU = "/usr/bin/qemu-system-x86_64"
TOOLS = ["cryptsetup", "mkfs.ext4", "e2fsck"]
MODULES = ["virtio_blk", "xts", "authenc", "dm_integrity", "dm_crypt", "algif_skcipher", "aesni_intel", "sha256_ssse3"]
SECONDS = 900  # against a machine that hangs; it takes ten
END = "the owner's machine is done"

# Without udev libdevmapper makes the nodes itself. What fails is told by its command, since -e ends the script there.
INIT = r"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/sbin:/bin DM_DISABLE_UDEV=1
mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
for m in /modules/*; do insmod $m; done
sh -e /script 2>&1 && echo "@END@"
poweroff -f
"""


def missing():
    """What this host lacks for it; None when nothing is."""
    if not (KERNEL / "vmlinuz").exists():
        return "a kernel: tests/setup unpacks one"
    return next((tool for tool in [*TOOLS, "busybox", "qemu-system-x86_64"] if not shutil.which(tool)), None)


def initrd(script, files):
    content = {"bin/busybox": (0o755, pathlib.Path(shutil.which("busybox")).read_bytes())}
    for tool in TOOLS:
        build_initrd.add_with_libraries(content, f"sbin/{tool}", pathlib.Path(shutil.which(tool)).read_bytes())
    for i, (name, module) in enumerate(build_initrd.modules_in_order(KERNEL, MODULES)):
        content[f"modules/{i:02}-{name}.ko"] = (0o644, module)
    content |= {name: (0o600, data) for name, data in files.items()}
    content["init"] = (0o755, INIT.replace("@END@", END).encode())
    content["script"] = (0o644, script.encode())
    folders = {str(above) for name in content for above in pathlib.PurePath(name).parents} - {"."}
    return build_initrd.archive(content, sorted(folders | {"dev", "proc", "sys", "tmp", "run", "etc", "mnt"}))


def run(world, script, disks, files):
    """Runs the script with `disks` as /dev/vda and so on, and `files` in /. Returns what it said; all of it has to succeed."""
    archive = world.path("owner.cpio")
    archive.write_bytes(initrd(script, files))
    words = [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512",
             "-display", "none", "-serial", "stdio", "-kernel", KERNEL / "vmlinuz", "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1"]
    for i, disk in enumerate(disks):
        words += ["-drive", f"if=none,id=d{i},format=raw,file={disk}", "-device", f"virtio-blk-pci,drive=d{i}"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS)
    said = re.sub(r"\r", "", done.stdout)
    assert f"{END}\n" in said, f"the owner's machine failed:\n{said}"
    return said.replace(f"{END}\n", "")
