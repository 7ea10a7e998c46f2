#!/usr/bin/env python3
"""What the guest's own processes take of its memory while a container sleeps. The guest's image is the real one with an
observer beside the agent: a shell that reads /proc once the container runs, and leaves what it read with the container."""
import os, pathlib, re, shutil, struct, subprocess, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from world import BUILD, GUEST, World  # noqa: E402

OBSERVER = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir /p
$b mount -t proc proc /p
(
while :; do
    for ready in /p/1/root/run/containers/*/rootfs/ready; do [ -e "$ready" ] && break 2; done
    $b sleep 1
done
$b sleep 3
root=${ready%/ready}
for d in /p/[0-9]*; do
    $b test -s $d/cmdline || continue
    echo "process ${d#/p/} $($b cat $d/status | $b sed -n 's/^PPid:[^0-9]*//p') $($b tr '\\\\0' ' ' < $d/cmdline)"
    $b cat $d/smaps_rollup
done > $root/memory.part 2>/dev/null
$b cat /p/meminfo >> $root/memory.part
$b mv $root/memory.part $root/memory
) &
exec /init.agent
"""
COMMAND = "/bin/busybox touch /ready; while [ ! -e /memory ]; do /bin/busybox sleep 1; done; /bin/busybox cat /memory"
NAMES = ["agent, PID 1", "fetcher", "tunnel", "keeper", "workload services"]  # in the order in which PID 1 starts them


def entry(inode, name, mode, content):
    fields = [inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def observed(folder):
    """A guest image whose initrd has a second archive behind the first."""
    folder.mkdir()
    for name in ("firmware", "kernel", "cmdline"):
        shutil.copy(GUEST / name, folder)
    subprocess.run(["objcopy", "--strip-all", BUILD / "cloister-agent", folder / "agent"], check=True)
    files = {"bin/busybox": pathlib.Path("/bin/busybox").read_bytes(), "init": OBSERVER.encode(), "init.agent": (folder / "agent").read_bytes()}
    more = b"".join(entry(i + 900, name, 0o100755, content) for i, (name, content) in enumerate(files.items())) + entry(0, "TRAILER!!!", 0, b"")
    first = (GUEST / "initrd").read_bytes()
    (folder / "initrd").write_bytes(first + b"\0" * (-len(first) % 512) + more)


def kib(text, field):
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.M)
    return int(found[1]) if found else 0


with World() as world:
    observed(world.path("guest"))
    world.environment["CLOISTER_GUEST"] = str(world.path("guest"))
    world.start_broker()
    image = world.image("idle", ["/bin/sh", "-c", COMMAND])
    world.put_key()
    measurement = world.cloister("measure", "snp", "--firmware", world.path("guest") / "firmware", "--kernel", GUEST / "kernel", "--initrd",
                                 world.path("guest") / "initrd", "--append", world.append(), "--vcpus", 1, "--vcpu-type", "EPYC-v4").stdout.strip()
    digest = world.cloister("initdata", "--digest", "--broker", world.url, "--broker-ca", world.ca, image).stdout.strip()
    world.cloister("reference", "add", "--measurement", measurement, "--initdata", digest, *world.admin)
    said = world.run(image).stdout
    parts = re.split(r"^process ", said, flags=re.M)[1:]
    ours = [part for part in parts if part.split("\n")[0].split(" ", 2)[2].startswith("/init.agent")]
    total = private = 0
    print("process                     PSS KiB   private KiB   anonymous KiB")
    for name, part in zip(NAMES, sorted(ours, key=lambda p: int(p.split()[0]))):
        mine = kib(part, "Private_Clean") + kib(part, "Private_Dirty")
        total, private = total + kib(part, "Pss"), private + mine
        print(f"  {name:22} {kib(part, 'Pss'):10}   {mine:11}   {kib(part, 'Pss_Anon'):13}")
    print(f"all of the agent's: {total} KiB PSS ({total / 1024:.2f} MiB), aim 3 MiB; {len(ours)} processes, {private} KiB private")
    memory = said[said.index("MemTotal:"):]
    print(f"guest: {kib(memory, 'MemTotal')} KiB in all, {kib(memory, 'MemAvailable')} KiB available, {kib(memory, 'Unevictable')} KiB of initrd and locked")
