#!/usr/bin/env python3
"""An image that is larger than the guest's memory runs where the host lends a scratch disk; and the host, which holds that
disk, finds nothing on it."""
import os, pathlib, subprocess, sys

sys.path.insert(0, str(pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "tests/e2e"))
from oci_image import file  # noqa: E402
from world import CLOISTER, World, descendants, run_tests  # noqa: E402

MIB = 1 << 20
CANARY = b"a canary that was unpacked and pushed out of memory\n"


def scratch_disk():
    """The file without a name that QEMU has for the guest, of the size that was asked for."""
    for pid, words in descendants():
        if "qemu-system" in words:
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                if fd.stat().st_size == 320 * MIB:
                    return fd
    raise AssertionError("QEMU has no scratch disk")


def a_large_image_runs_in_a_small_guest_and_leaves_no_plaintext(world):
    blob = CANARY * (MIB // len(CANARY))
    image = world.image("large", ["/bin/sh", "-c", "head -n 1 /blob; grep -c canary /blob; sleep 4"], [file("blob", blob * 112)],
                        packings=("gzip", "gzip", "gzip"))
    world.expect(image)
    world.refused("unpack: .*No space left", "--memory", "192", image)
    world.refused("unpack: .*No space left", "--memory", "192", "--scratch", "16", image)  # nor does that hold it
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words("--memory", "192", "--scratch", "320", image))],
                           cwd=world.folder, env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout.readline() == CANARY.decode(), run.communicate()
    disk = scratch_disk()
    used = disk.stat().st_blocks * 512
    content = disk.read_bytes()
    said, complaint = run.communicate(timeout=600)
    assert run.returncode == 0 and int(said) == blob.count(b"canary") * 112, (run.returncode, said, complaint)
    assert used > 16 * MIB, f"only {used} bytes of the disk were used"
    assert CANARY[:16] not in content, "the host found plaintext on the scratch disk"
    assert content.count(bytes(4096)) > 0, "the disk was not read at all"


with World() as world:
    world.start_broker()
    world.image("first")
    world.put_key()
    run_tests([a_large_image_runs_in_a_small_guest_and_leaves_no_plaintext], world)
