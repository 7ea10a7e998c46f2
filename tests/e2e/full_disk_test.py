#!/usr/bin/env python3
"""Disks that are full, on the host and in the guest: a clear line, and nothing half made is left behind."""
import os, subprocess

from oci_image import file
from world import BUILD, HAS_OWN_MOUNTS, KEY_ID, World, libc, run_tests, skip

if not HAS_OWN_MOUNTS:
    skip("small disks need a mount namespace: run as root")


class SmallDisk:
    """A tmpfs of so many KiB, in a mount namespace of this test's own."""

    def __init__(self, world, kib):
        self.path, self.kib = world.path("small"), kib

    def __enter__(self):
        self.path.mkdir(exist_ok=True)
        assert libc.mount(b"none", bytes(self.path), b"tmpfs", 0, f"size={self.kib}k".encode()) == 0
        return self.path

    def __exit__(self, *_):
        assert libc.umount2(bytes(self.path), 2) == 0


def an_image_that_does_not_fit_is_not_half_there(world):
    with SmallDisk(world, 64) as disk:
        refused = world.cloister("image", "encrypt", "--key-id", KEY_ID, "--key-file", world.path("image.key"),
                                 f"oci:{world.path('good-plain')}", f"oci:{disk}/encrypted", wanted=1)
        assert refused.stderr.startswith("cloister: image: layer 1 of ") and "No space left" in refused.stderr, refused.stderr
        refused = world.cloister("image", "decrypt", "--key-file", world.path("image.key"), world.good, f"oci:{disk}/plain", wanted=1)
        assert "No space left" in refused.stderr, refused.stderr
        assert list(disk.iterdir()) == []


def no_room_for_the_simulated_platforms_key(world):
    with SmallDisk(world, 16) as disk:
        (disk / "ballast").write_bytes(bytes(12 << 10))
        before, world.environment["CLOISTER_DEVELOPMENT_ROOT"] = world.environment["CLOISTER_DEVELOPMENT_ROOT"], str(disk / "dev-tee")
        world.refused("boot: .*No space left", world.good)
        world.environment["CLOISTER_DEVELOPMENT_ROOT"] = before
        assert [p.name for p in disk.iterdir()] == ["ballast"]


def a_broker_that_had_no_room_starts_once_it_has(world):
    with SmallDisk(world, 1024) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1016 << 10))
        broker = [BUILD / "cloister-broker", "--dev", disk / "broker", "--listen", "127.0.0.1:0"]
        refused = subprocess.run(broker, capture_output=True, text=True, timeout=60, env=world.environment)
        assert refused.returncode != 0 and "No space left" in refused.stderr, refused
        ballast.unlink()
        with subprocess.Popen(broker, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=world.environment) as started:
            assert started.stdout.readline().startswith("listening on ")
            started.terminate()


def an_image_that_is_larger_than_the_guest(world):
    for name, packing, why in (("fetched", "none", "pull: .* do not fit into the guest's memory"), ("unpacked", "gzip", "unpack: .*No space left")):
        image = world.image(name, ["/bin/true"], [file("blob", os.urandom(1 << 13).hex().encode() * (9 << 10))],
                            packings=("gzip", "gzip", packing))
        world.expect(image)
        world.refused(why, "--memory", "192", image)


def a_workload_that_takes_all_memory(world):
    """As files, as shared memory, then as its own: it is refused or killed, and the guest goes on."""
    fill = "(dd if=/dev/zero of=%s bs=1048576) 2>&1 | grep -o 'No space left on device'; rm %s;"
    balloon = "head -c 900000000 /dev/zero | /bin/busybox tail -n 1 > /dev/null; echo $?; cat /etc/word"
    image = world.image("balloon", ["/bin/sh", "-c", fill % ("/fill", "/fill") + fill % ("/dev/shm/fill", "/dev/shm/fill") + balloon],
                        [file("etc/word", "still here\n")])
    world.expect(image)
    done = world.run("--memory", "160", "--console", image, wanted=None)
    assert done.returncode == 0 and done.stdout == "No space left on device\n" * 2 + "137\nstill here\n", done


with World() as world:
    world.start_broker()
    world.good = world.image("good", ["/bin/true"])
    world.put_key()
    world.expect(world.good)
    run_tests([an_image_that_does_not_fit_is_not_half_there, no_room_for_the_simulated_platforms_key,
               a_broker_that_had_no_room_starts_once_it_has, an_image_that_is_larger_than_the_guest,
               a_workload_that_takes_all_memory], world)
