#!/usr/bin/env python3
"""Reset to agent, measured boot against plain boots of the same kernel and initrd in one run; then one whole
`cloister run`, by phase. Prints milliseconds and ratios."""
import pathlib, re, statistics, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from world import GUEST, World  # noqa: E402

ROUNDS = 5
OVMF = pathlib.Path("/usr/share/ovmf/OVMF.fd")


def plain(world, firmware=()):
    """QEMU's own direct boot; the agent finds no initdata and says so, which is the moment that we take."""
    words = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot",
             *firmware, "-kernel", GUEST / "kernel", "-initrd", GUEST / "initrd", "-append", world.append(), "-serial", "stdio"]
    began = time.monotonic()
    qemu = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for line in qemu.stdout:
            if b"cloister-agent:" in line:
                return (time.monotonic() - began) * 1000
    finally:
        qemu.kill()
        qemu.wait()
    raise AssertionError("the agent did not start")


def rows(world, image):
    """The timeline of one run: phase -> (begin, duration) in ms."""
    done = world.run("--timeline", image)
    return {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"^  (\w+) +(-?\d+) ms +\+(-?\d+) ms$", done.stderr, re.M)}


with World() as world:
    world.start_broker()
    image = world.image("bench", ["/bin/sh", "-c", "true"], [__import__("oci_image").file("data", __import__("os").urandom(5 << 20))])
    world.put_key()
    world.expect(image)
    measured, seabios, ovmf, timelines = [], [], [], []
    for _ in range(ROUNDS):
        timelines.append(rows(world, image))
        begin, lasts = timelines[-1]["boot"]
        measured.append(begin + lasts - timelines[-1]["launch"][1])
        seabios.append(plain(world))
        if OVMF.exists():
            ovmf.append(plain(world, ["-bios", OVMF]))
    middle = statistics.median
    print(f"reset to agent, stage0, verified   {middle(measured):7.0f} ms  ({min(measured):.0f} to {max(measured):.0f})")
    print(f"reset to agent, SeaBIOS, plain     {middle(seabios):7.0f} ms  ({min(seabios):.0f} to {max(seabios):.0f})")
    print(f"ratio stage0 / SeaBIOS             {middle(measured) / middle(seabios):7.2f}     aim 1.3")
    if ovmf:
        print(f"reset to agent, OVMF, plain        {middle(ovmf):7.0f} ms")
        print(f"ratio stage0 / OVMF                {middle(measured) / middle(ovmf):7.2f}     aim 0.45")
    print("cloister run of a 5 MiB image, encrypted, medians by phase:")
    for phase in timelines[0]:
        print(f"  {phase:10} begins {middle(t[phase][0] for t in timelines):7.0f} ms  lasts {middle(t[phase][1] for t in timelines):7.0f} ms")
