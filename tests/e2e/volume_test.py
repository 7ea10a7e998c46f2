#!/usr/bin/env python3
"""Persistent encrypted volumes: written in one guest, read in the next; and every lie of the host about its own disk is refused."""
import fcntl, os, shutil, subprocess

from world import World, run_tests

MIB = 1 << 20
CANARY = "a canary that only a guest may read"
KEY = "kbs:///default/volume/data"
SCRIPT = ["/bin/sh", "-c"]


def volume(world, mode="", name="disk"):
    return ["--volume", f"data={world.path(name)}:/data{mode}"]


def blank(world, name="disk", size=64 * MIB):
    world.path(name).unlink(missing_ok=True)
    with world.path(name).open("wb") as disk:
        disk.truncate(size)


def expect(world, script, mode=""):
    """Registers the initdata of a run with the volume; returns the words of that run."""
    words = [*volume(world, mode), world.image_name, *SCRIPT, script]
    digest = world.cloister("initdata", "--digest", "--broker", world.url, "--broker-ca", world.ca, *words)
    world.cloister("reference", "add", "--measurement", world.measure(), "--initdata", digest.stdout.strip(), *world.admin)
    return words


def a_volume_outlives_its_guest_and_shows_the_host_nothing(world):
    blank(world)
    write = expect(world, f"cat /data/* 2>/dev/null; id -u; echo {CANARY} > /data/canary && ls -la /data && echo written", ":new")
    done = world.run(*write)
    assert done.stdout.endswith("written\n") and "lost+found" not in done.stdout, done.stdout + done.stderr
    read = expect(world, "cat /data/canary && df /data | tail -n 1")
    assert CANARY in world.run(*read).stdout
    content = world.path("disk").read_bytes()
    assert CANARY.encode()[:12] not in content, "the host found plaintext on the volume"
    assert content[:6] == b"LUKS\xba\xbe" and content[16 << 10:(16 << 10) + 6] == b"SKUL\xba\xbe"


def cryptsetup_opens_what_the_guest_made(world):
    dump = subprocess.run(["cryptsetup", "luksDump", world.path("disk")], check=True, capture_output=True, text=True).stdout
    assert "integrity: hmac(sha256)" in dump and "cipher: aes-xts-plain64" in dump, dump
    for key, wanted in ((world.path("volume.key"), 0), (world.path("image.key"), 2)):
        done = subprocess.run(["cryptsetup", "open", "--test-passphrase", "--key-file", key, world.path("disk")], capture_output=True)
        assert done.returncode == wanted, done.stderr


def a_read_only_volume_is_read_and_stays_as_it_is(world):
    read = expect(world, "cat /data/canary; echo more > /data/more || echo refused", ":ro")
    before = world.path("disk").read_bytes()
    done = world.run(*read)
    assert CANARY in done.stdout and done.stdout.endswith("refused\n") and "Read-only file system" in done.stderr, done
    assert world.path("disk").read_bytes() == before, "the host's file was changed"


def an_old_copy_and_a_blank_disk_are_refused(world):
    write = expect(world, "dd if=/dev/zero of=/data/fill bs=64k 2>&1; rm /data/fill; cat /data/canary")
    shutil.copy(world.path("disk"), world.path("old"))
    done = world.run(*write)
    assert "No space left on device" in done.stdout and CANARY in done.stdout, done.stdout
    shutil.copy(world.path("disk"), world.path("current"))
    shutil.copy(world.path("old"), world.path("disk"))
    world.refused("start: volume data: it is at epoch 2, but was brought to 3: an old copy$", *write)
    world.refused("start: volume data: it is at epoch 2, but was brought to 3: an old copy$", *expect(world, "cat /data/canary", ":ro"))
    blank(world)
    world.refused("the disk is blank, but the volume was brought to epoch 3", *expect(world, "true", ":new"))
    assert not any(world.path("disk").read_bytes()), "something was written to a disk that was refused"
    shutil.copy(world.path("current"), world.path("disk"))


def flip(world, begin, end):
    with world.path("disk").open("r+b") as disk:
        for at in range(begin, end, 4096):
            disk.seek(at)
            byte = disk.read(1)
            disk.seek(at)
            disk.write(bytes([byte[0] ^ 1]))


def what_the_host_changed_reads_as_an_error(world):
    read = expect(world, "cat /data/canary")
    shutil.copy(world.path("disk"), world.path("whole"))
    flip(world, 8 * MIB, 62 * MIB)  # what lies behind the journal
    done = world.run(*read, wanted=1)
    assert "Input/output error" in done.stderr and done.stdout == "", done
    shutil.copy(world.path("current"), world.path("disk"))
    flip(world, 100, 101)
    flip(world, (16 << 10) + 100, (16 << 10) + 101)
    world.refused("start: volume data: LUKS2 header: ", *read)


def without_its_key_a_volume_stays_shut(world):
    read = expect(world, "cat /data/canary")
    shutil.copy(world.path("whole"), world.path("disk"))
    flip(world, 100, 101)  # one copy of the header: the other is there for that
    world.cloister("key", "put", KEY, world.path("image.key"), *world.admin)
    world.refused("start: volume data: the key opens none of 1 keyslots$", *read)
    world.cloister("key", "rm", KEY, *world.admin)
    world.refused("key: volume data: .*", *read)
    world.cloister("key", "put", KEY, world.path("volume.key"), *world.admin)
    world.cloister("key", "rewind", KEY, *world.admin)  # what the guest whose reads failed had advanced
    assert CANARY in world.run(*read).stdout


def what_policy_does_not_say_does_not_happen(world):
    world.cloister("key", "rewind", KEY, *world.admin)
    blank(world)
    world.refused("start: volume data: the disk is blank, and policy does not let it be formatted$", *expect(world, "true"))
    assert not any(world.path("disk").read_bytes())
    world.path("disk").write_bytes(bytes(MIB) + b"somebody's" + bytes(63 * MIB - 10))
    world.refused("start: volume data: LUKS2 header: no LUKS header$", *expect(world, "true", ":new"))
    assert world.path("disk").read_bytes()[MIB:MIB + 10] == b"somebody's"
    document, plain = world.path("other.toml"), ("--broker", world.url, "--broker-ca", world.ca, world.image_name, *SCRIPT, "true")
    world.cloister("initdata", "--output", document, *plain)
    world.cloister("reference", "add", "--initdata", world.cloister("initdata", "--digest", *plain).stdout.strip(), *world.admin)
    world.refused("config: policy does not list the volume /data for this container$", "--initdata", document, *volume(world),
                  world.image_name, *SCRIPT, "true")


def a_file_is_one_guests_at_a_time(world):
    with world.path("disk").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        world.refused("config: volume data: .*disk is in use$", *volume(world), world.image_name)
    world.refused("config: volume data: .*No such file", *volume(world, name="missing"), world.image_name)


with World() as world:
    world.start_broker()
    world.image_name = world.image("volumes", ["/bin/sh"])
    world.put_key()
    world.path("volume.key").write_bytes(os.urandom(32))
    world.cloister("key", "put", KEY, world.path("volume.key"), *world.admin)
    run_tests([a_volume_outlives_its_guest_and_shows_the_host_nothing, cryptsetup_opens_what_the_guest_made,
               a_read_only_volume_is_read_and_stays_as_it_is, an_old_copy_and_a_blank_disk_are_refused,
               what_the_host_changed_reads_as_an_error, without_its_key_a_volume_stays_shut,
               what_policy_does_not_say_does_not_happen, a_file_is_one_guests_at_a_time], world)
