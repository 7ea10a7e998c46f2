#!/usr/bin/env python3
"""Volumes between a guest and Debian's cryptsetup: each opens what the other made, by the commands of docs/storage.md; and a header that
the guest does not open is refused with the options that would have made one that it does."""
import os, shutil, subprocess

import owner_machine
from world import SOURCE, World, run_tests, skip

MIB = 1 << 20
CANARY, ANSWER = "written on the owner's machine", "written in the guest"
GUEST_SCRIPT = f"cat /theirs/canary; echo {ANSWER} | tee /theirs/answer > /ours/answer; cat /flipped/large > /dev/null || echo an error"
ARGON2 = ["--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-force-iterations", "4"]
# A file over all that is free, so that the disk's end is known to be of a file.
FILL = f"""
mount -t ext4 /dev/mapper/made /mnt
echo "{CANARY}" > /mnt/canary
dd if=/dev/zero of=/mnt/room bs=64k count=1
cat /dev/zero > /mnt/large || rm /mnt/room
umount /mnt
cryptsetup close made
"""
OTHER_CIPHER = "cryptsetup luksFormat -q --type luks2 --cipher aes-cbc-plain64 --key-size 256 --integrity hmac-sha256 --integrity-no-wipe --pbkdf pbkdf2 --key-file /data.key /dev/vdb\n"
LOOK = "".join(f"""
cryptsetup open --key-file /data.key /dev/vd{letter} {name}
e2fsck -fn /dev/mapper/{name}
mount -t ext4 -o ro /dev/mapper/{name} /mnt
cat /mnt/answer
umount /mnt
""" for letter, name in (("a", "theirs"), ("b", "ours")))


def cryptsetup(*words):
    """What needs no device mapper."""
    subprocess.run(["cryptsetup", "-q", *words], check=True)


def documented():
    """The page's commands that make a volume, one a line and for this machine, but for the last, which closes it."""
    lines = [line.strip() for line in (SOURCE / "docs/storage.md").read_text().splitlines() if line.startswith("    cryptsetup ")]
    commands = [part for line in lines for part in line.split(" && ")]
    assert [part.split()[:2] for part in commands][0::3] == [["cryptsetup", "luksFormat"], ["cryptsetup", "close"]], commands
    text = "\n".join(commands[:-1])
    for there, here in (("data.key", "/data.key"), ("FILE", "/dev/vda"), ("NAME", "made"), ("luksFormat", "luksFormat -q"), ("mkfs.ext4", "mkfs.ext4 -q")):
        text = text.replace(there, here)
    return text


def on_the_owners_machine(world, script, *disks):
    return owner_machine.run(world, script, [world.path(name) for name in disks], {"data.key": world.path("volume.key").read_bytes()})


def blank(world, name):
    with world.path(name).open("wb") as disk:
        disk.truncate(24 * MIB)  # 16 of them for header and keyslots


def volumes(world, *names):
    """`NAME` or `NAME:new`, each at /NAME."""
    return [word for name, _, mode in (n.partition(":") for n in names)
            for word in ("--volume", f"{name}={world.path(name)}:/{name}" + (f":{mode}" if mode else ""))]


def expect(world, *words):
    digest = world.cloister("initdata", "--digest", "--broker", world.url, "--broker-ca", world.ca, *words)
    world.cloister("reference", "add", "--measurement", world.measured, "--initdata", digest.stdout.strip(), *world.admin)
    return words


def the_owner_makes_volumes(world):
    for name in ("theirs", "cbc", "ours"):
        blank(world, name)
    on_the_owners_machine(world, documented() + FILL + OTHER_CIPHER, "theirs", "cbc")
    for name in ("flipped", "argon", "another"):
        shutil.copy(world.path("theirs"), world.path(name))
    with world.path("flipped").open("r+b") as disk:
        disk.seek(-MIB, os.SEEK_END)
        end = disk.read()
        disk.seek(-MIB, os.SEEK_END)
        disk.write(bytes(b ^ (i % 4096 == 0) for i, b in enumerate(end)))
    world.path("passphrase").write_text("the owner's own")
    cryptsetup("luksAddKey", *ARGON2, "--key-file", world.path("volume.key"), world.path("theirs"), world.path("passphrase"))


def a_guest_opens_them_and_finds_what_was_changed(world):
    words = expect(world, *volumes(world, "theirs", "ours:new", "flipped"), world.image_name, "/bin/sh", "-c", GUEST_SCRIPT)
    done = world.run(*words)
    assert done.stdout == f"{CANARY}\nan error\n" and "Input/output error" in done.stderr, done


def the_owner_reads_what_the_guest_wrote(world):
    said = on_the_owners_machine(world, LOOK, "theirs", "ours")
    assert said.count(ANSWER) == 2, said


def what_a_guest_does_not_open_says_how_it_would(world):
    cryptsetup("luksConvertKey", *ARGON2, "--key-file", world.path("volume.key"), world.path("argon"))
    for name, why in (("argon", "LUKS2 header: keyslot 0: type argon2id; only pbkdf2 is opened: cryptsetup luksConvertKey --pbkdf pbkdf2$"),
                      ("cbc", "LUKS2 header: segment: encryption aes-cbc-plain64; only aes-xts-plain64 is opened: cryptsetup luksFormat --cipher aes-xts-plain64 --key-size 512$"),
                      ("another", "the key opens none of 1 keyslots$")):
        world.refused(f"start: volume {name}: {why}", *expect(world, *volumes(world, name), world.image_name, "/bin/true"))


missing = owner_machine.missing()
if missing:
    skip(f"no machine for the owner: it wants {missing}")
with World() as world:
    world.start_broker()
    world.image_name = world.image("volumes", ["/bin/sh"])
    world.put_key()
    world.measured = world.measure()
    world.path("volume.key").write_bytes(os.urandom(32))
    for name in ("theirs", "ours", "flipped", "argon", "cbc", "another"):
        key = "image.key" if name == "another" else "volume.key"
        world.cloister("key", "put", f"kbs:///default/volume/{name}", world.path(key), *world.admin)
    run_tests([the_owner_makes_volumes, a_guest_opens_them_and_finds_what_was_changed, the_owner_reads_what_the_guest_wrote,
               what_a_guest_does_not_open_says_how_it_would], world)
