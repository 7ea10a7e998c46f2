#!/usr/bin/env python3
"""An image that is mounted against the same one unpacked, each in a microVM of its own: how long until its root is ready, for a
small image and a large one, and until all of it was read. Usage: lazy_images.py [MIB]"""
import pathlib, random, re, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
import oci_image  # noqa: E402
from oci_image import file  # noqa: E402
from world import KEY_ID, World  # noqa: E402

MIB, SMALL_MIB, ROUNDS = int(sys.argv[1]) if sys.argv[1:] else 400, 10, 3
READ_ALL = ["/bin/sh", "-c", "cat /data/* > /dev/null; echo read"]


def contents(mib):
    """Text-like, which gzip shortens to less than half, in files of a mebibyte."""
    dice = random.Random(1)
    words = " ".join("".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=dice.randint(2, 9))) for _ in range(1 << 18)).encode()
    for i in range(mib):
        at = dice.randrange(len(words))
        yield file(f"data/{i:04}", (words[at:] + words)[:1 << 20])


def make(world, mib):
    """The same content, encrypted: to be unpacked, and to be mounted."""
    plain, lazy = world.path(f"plain{mib}"), world.path(f"lazy{mib}")
    oci_image.busybox(str(plain), list(contents(mib)), run={"Env": ["PATH=/bin"], "Cmd": READ_ALL}, packings=("gzip", "gzip", "gzip"))
    world.cloister("image", "convert", "--format", "erofs", f"oci:{plain}", f"oci:{lazy}")
    made = []
    for source in (plain, lazy):
        out = world.path(source.name + "-sealed")
        world.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", world.path("image.key"), f"oci:{source}", f"oci:{out}")
        made.append(f"oci:{out}")
    return made


def phases(world, image, memory):
    """Of each phase of the run: when it began and how long it took, in milliseconds."""
    world.expect(image)
    done = world.run("--timeline", "--memory", memory, image)
    assert done.stdout == "read\n", done.stdout + done.stderr
    return {name: (int(at), int(ms)) for name, at, ms in re.findall(r"^  (\w+) +(\d+) ms +\+(\d+) ms$", done.stderr, re.M)}


with World() as world:
    world.start_broker()
    world.path("image.key").write_bytes(bytes(range(32)))
    world.put_key()
    small, large = make(world, SMALL_MIB), make(world, MIB)
    memory = 2 * MIB + 512
    ready = {}
    for name, image in (("small", small[1]), ("large", large[1])):
        ready[name] = min(sum(phases(world, image, memory)[p][1] for p in ("verify", "unpack")) for _ in range(ROUNDS))
        print(f"mounted and ready, {SMALL_MIB if name == 'small' else MIB:4} MiB: {ready[name]:6} ms   (aim 50, whatever the size)", flush=True)
    totals = []
    for image in (large[1], large[0]):
        rows = phases(world, image, memory)
        totals.append(sum(ms for name, (_, ms) in rows.items() if name in ("pull", "verify", "unpack", "start", "workload")))
    print(f"from the first blob to all of {MIB} MiB read, mounted: {totals[0]} ms against unpacked: {totals[1]} ms: "
          f"{totals[0] / totals[1]:.2f}   (aim 1.1)")
