#!/usr/bin/env python3
"""What the agent's processes hold while one small container runs, and the smallest guest that runs it.

Looks from the shell of a debug guest, whose agent is the same, once its keeper rests. PSS counts each page once. The pages of
files lie in the guest's initramfs whether they are mapped or not, so what a file costs is its size; the anonymous ones come on
top of that."""
import pathlib, re, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from debug_session import Session  # noqa: E402
from oci_image import file  # noqa: E402
from world import GUEST, World, skip  # noqa: E402

ANONYMOUS_AIM_KIB, PSS_AIM_KIB, GUEST_AIM_MIB, STEP_MIB = 1024, 3072, 96, 4
LOOK = ("echo; for p in /proc/[0-9]*; do grep -q ^Pss $p/smaps_rollup 2>/dev/null && [ $(readlink $p/exe) = /init ] && "
        "echo PROCESS $(cat $p/comm) $(sed -n 's/^\\(Rss\\|Pss_Anon\\|Pss\\): */\\1 /p' $p/smaps_rollup); done; "
        "du -skx /; grep -E 'MemTotal|MemAvailable' /proc/meminfo; echo LOOKED''NOW")


def look(world, image):
    with Session(world, image) as session:
        session.sees("guest# ")
        session.type("until ps | grep -q 'sleep [6]00' && [ $(cat /proc/[0-9]*/comm | grep -cx keeper) = 1 ]; do sleep 1; done; " + LOOK)
        session.sees("LOOKEDNOW")
        text = session.said["output"]
        assert session.end() == 0, session.said
    return text


def show(text):
    sums = {"Pss_Anon": 0, "Pss": 0}
    print(f"{'process':16} {'anonymous':>10} {'PSS':>8} {'RSS':>8}  KiB")
    for name, rest in re.findall(r"^PROCESS (\S+) (.*)$", text, re.M):
        row = {key: int(value) for key, value in re.findall(r"(\w+) (\d+) kB", rest)}
        print(f"{name:16} {row['Pss_Anon']:10} {row['Pss']:8} {row['Rss']:8}")
        for key in sums:
            sums[key] += row[key]
    assert sums["Pss"] > 0, text
    print(f"{'sum':16} {sums['Pss_Anon']:10} {sums['Pss']:8}")
    print(f"{'aim':16} {ANONYMOUS_AIM_KIB:10} {PSS_AIM_KIB:8}")
    files, total, available = (re.search(pattern, text, re.M)[1] for pattern in (r"^(\d+)\t/$", r"MemTotal: +(\d+)", r"MemAvailable: +(\d+)"))
    print(f"initramfs after boot, with the debug image's busybox: {files} KiB; of {total} KiB the guest has {available} to give")


def smallest(world, image, words):
    world.expect(image, *words)
    found, mib = None, 128
    while mib > 0 and world.run("--memory", str(mib), image, *words, wanted=None).returncode == 0:
        found, mib = mib, mib - STEP_MIB
    print(f"smallest guest that runs a small encrypted image: {found} MiB (steps of {STEP_MIB}), aim {GUEST_AIM_MIB}")


if not (GUEST / "initrd-debug").exists():
    skip("no debug image was built: busybox is not installed")
with World() as world:
    world.start_broker()
    image = world.image("small", ["/bin/sh", "-c", "sleep 600"], [file("etc/word", "tea\n")])
    world.put_key()
    world.expect(image, initrd="initrd-debug")
    show(look(world, image))
    smallest(world, image, ["/bin/sh", "-c", "true"])
