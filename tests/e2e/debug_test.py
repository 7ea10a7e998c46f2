#!/usr/bin/env python3
"""cloister debug: a shell in a guest whose measurement says that it is a debug image, and in no other."""
from debug_session import Session
from oci_image import file
from world import GUEST, World, run_tests, skip

GREETING = "cloister-agent debug: "
IMAGE_KEY = b"tea-at-five-is-the-key-of-images"  # a text, so that a shell can look for it
MEMORY_OF_PID_1 = "while read r w x; do case $w in rw*) dd if=/proc/1/mem bs=4096 skip=$((0x${r%-*} / 4096)) " \
                  "count=$(((0x${r#*-} - 0x${r%-*}) / 4096)) 2>/dev/null;; esac; done < /proc/1/maps | tr '\\0' '\\n' > /tmp/memory"


def the_image_for_use_has_neither_a_shell_nor_what_would_start_one(world):
    in_use, with_shell = (GUEST / "initrd.cpio").read_bytes(), (GUEST / "initrd-debug.cpio").read_bytes()
    for mark in (GREETING.encode(), b"bin/busybox"):
        assert mark not in in_use, mark
    assert GREETING.encode() in with_shell and b"bin/busybox" in with_shell
    assert world.measure() != world.measure(initrd="initrd-debug")


def a_guest_of_the_image_for_use_refuses(world):
    with Session(world, "--initrd", GUEST / "initrd", world.good) as session:
        session.type("id")
        code = session.end()
    lines = [line for line in session.said["complaints"].splitlines() if line.startswith("cloister: ") and "warning" not in line]
    assert code == 125 and len(lines) == 1 and lines[0].startswith("cloister: config: this guest is no debug image"), (code, session.said)
    assert session.said["output"] == "", session.said  # nor did the workload run


def the_broker_gives_a_debug_guest_nothing_and_the_shell_stays(world):
    """What is registered is the image for use. One can look why, and what there is."""
    with Session(world, world.good) as session:
        session.sees("cloister: (attest|key): .*measurement|cloister-agent: attest: .*measurement")
        session.type("echo I am $(id -u) of $(ps | grep -c '[i]nit')")
        session.sees(r"\nI am 0 of [1-9]")
        session.type("exit")
        assert session.end() == 0, session.said


def a_signal_ends_the_guest_whatever_its_workload_does(world):
    with Session(world, f"oci:{world.path('good-plain')}", "/bin/true") as session:
        session.sees("the workload ended with code 0")
        session.process.terminate()
        assert session.process.wait(60) == 128 + 15, session.said


def told_of_it_the_broker_gives_it_keys_as_any(world):
    world.expect(world.good, initrd="initrd-debug")
    with Session(world, world.good) as session:
        session.sees("guest# ")
        session.type("until grep tea /run/images/*/tree/etc/word 2>/dev/null; do sleep 1; done")
        session.sees("\ntea\nguest# ")
        session.type("ls -ld /run; for s in /proc/[0-9]*/status; do grep -qs '^Uid:.40000' $s && grep -E '^(CapEff|CapBnd|Seccomp):' $s; done; echo lo''oked")
        session.sees(r"\ndrwx------ .* /run\n(CapEff:\s0{16}\nCapBnd:\s0{16}\nSeccomp:\s2\n){3}looked")  # tunnel, fetcher, workload services
        session.type(MEMORY_OF_PID_1)  # which serves the host, and knows the policy, but not a key
        session.type("echo keys $(grep -cF 'tea-at-fi''ve' /tmp/memory), images $(grep -cF sha256: /tmp/memory)")
        session.sees(r"\nkeys 0, images [1-9]")
        assert session.end() == 0, session.said  # the end of the input is the shell's


def a_script_may_be_a_file(world):
    """Which cannot be waited for as a pipe can; its end is the shell's. /dev/null is one that is empty."""
    script = world.path("script")
    script.write_text("echo I am $(id -u)\n" + "true a line that is longer than what is typed at once\n" * 60 + "echo at the e''nd\n")
    with script.open() as opened:
        done = world.cloister("debug", *world.run_words(world.good)[1:], stdin=opened)
    assert "\nI am 0" in done.stdout and "\nat the end" in done.stdout, (done.stdout, done.stderr)


if not (GUEST / "initrd-debug").exists():
    skip("no debug image was built: busybox is not installed")
with World() as world:
    world.start_broker()
    world.path("image.key").write_bytes(IMAGE_KEY)
    world.good = world.image("good", ["/bin/sh", "-c", "sleep 600"], [file("etc/word", "tea\n")])
    world.put_key()
    world.expect(world.good)
    run_tests([the_image_for_use_has_neither_a_shell_nor_what_would_start_one, a_guest_of_the_image_for_use_refuses,
               the_broker_gives_a_debug_guest_nothing_and_the_shell_stays,
               a_script_may_be_a_file, a_signal_ends_the_guest_whatever_its_workload_does, told_of_it_the_broker_gives_it_keys_as_any], world)
