#!/usr/bin/env python3
"""Somebody exchanges folders of the root for links to the outside while a layer is unpacked: nothing gets out."""
import ctypes, os, subprocess, threading

import oci_image
from oci_image import Layer, file, folder, hard_link, opaque, whiteout
from unpacking import BUILD, Report, Sandbox

ROUNDS, RENAME_EXCHANGE, AT_FDCWD = 12, 2, -100
report = Report()
box = Sandbox()
libc = ctypes.CDLL(None, use_errno=True)
names = [f"{d}/{n}" for n in range(300) for d in ("d", "e")]  # another parent each time, so that each is opened anew
bottom = Layer([folder("d"), folder("e"), *(file(name, b"evil") for name in names)], "none")
top = Layer([*(whiteout(name) for name in names), *(file(f"{name}/deep", b"evil") for name in names),
             *(hard_link(f"{d}/h{n}", f"{d}/{n}/deep") for n in range(100) for d in ("d", "e")), folder("d", mode=0o777), opaque("e")], "none")
box.fresh()
digest = oci_image.write_layout(box.layout, [bottom, top])
n_exchanges = 0


def exchange(stop):
    global n_exchanges
    links = {name: str(box.path / "root" / f"evil-{name}").encode() for name in ("d", "e")}
    while not stop.is_set():
        for name, evil in links.items():
            if not os.path.lexists(evil):
                try:
                    os.symlink(box.outside, evil)
                except OSError:
                    pass
            if libc.renameat2(AT_FDCWD, evil, AT_FDCWD, str(box.root / name).encode(), RENAME_EXCHANGE) == 0:
                n_exchanges += 1


for number in range(ROUNDS):
    subprocess.run(["rm", "-rf", box.root], check=True)
    box.root.mkdir()
    stop = threading.Event()
    racer = threading.Thread(target=exchange, args=(stop,))
    racer.start()
    for _ in range(5):
        ran = subprocess.run([BUILD / "unpack-layout", *([] if os.geteuid() == 0 else ["--our-owner"]), box.layout, digest, box.root], capture_output=True, timeout=120)
        report.claim(ran.returncode in (0, 1), f"unpack-layout ended with {ran.returncode}")
    stop.set()
    racer.join()
    report.claim(box.is_untouched(), f"round {number}: something outside the root changed")
print(f"{n_exchanges} exchanges")
report.claim(n_exchanges > 1000, "the race did not take place")
subprocess.run(["rm", "-rf", box.root], check=True)
box.close()
report.end()
