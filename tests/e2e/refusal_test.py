#!/usr/bin/env python3
"""What does not run, and the one line that says why. Nothing is left behind by any of it."""
import json, os, pathlib, shutil, socket, subprocess

from oci_image import get_json, put_json, write_index
from world import BUILD, GUEST, KEY_ID, World, run_tests


def changed(source, target, offset, world):
    """A copy of a file with one bit flipped."""
    content = bytearray(pathlib.Path(source).read_bytes())
    content[offset] ^= 1
    world.path(target).write_bytes(content)
    return world.path(target)


def layout_with(world, name, change):
    """A copy of the encrypted layout whose files `change` may alter."""
    layout = world.path(name)
    shutil.copytree(world.path("good"), layout)
    change(layout)
    return f"oci:{layout}"


def blob(layout, digest):
    return layout / "blobs" / digest.replace(":", "/")


def flip(path, offset=1000):
    content = bytearray(path.read_bytes())
    content[min(offset, len(content) - 1)] ^= 1
    path.write_bytes(content)


def manifest_of(layout):
    index = json.loads((layout / "index.json").read_text())
    digest = index["manifests"][0]["digest"]
    return digest, json.loads(blob(layout, digest).read_text())


def the_good_image_runs(world):
    world.good = world.image("good", ["/bin/sh", "-c", "echo ran"])
    world.put_key()
    world.expect(world.good)
    assert world.run(world.good).stdout == "ran\n"


def a_platform_that_this_host_lacks(world):
    for tee, parameter in (("snp", "/sys/module/kvm_amd/parameters/sev_snp"), ("tdx", "/sys/module/kvm_intel/parameters/tdx")):
        if pathlib.Path(parameter).exists() and pathlib.Path(parameter).read_text()[0] in "Y1":
            continue
        world.refused(f"config: --tee {tee}( needs KVM|: not on this host)", "--tee", tee, world.good)


def another_command_line(world):
    world.refused("(attest|key): .*measurement", "--append", world.append().replace("loglevel=3", "loglevel=7"), world.good)


def a_command_line_that_the_agent_does_not_know(world):
    world.refused("(config|boot): ", "--append", world.append() + " init=/bin/sh", world.good)


def one_byte_of_the_initrd(world):
    initrd = changed(GUEST / "initrd", "initrd", (GUEST / "initrd").stat().st_size - 100, world)
    world.refused("((attest|key): .*measurement|boot: )", "--initrd", initrd, world.good)


def one_byte_more_of_the_initrd(world):
    """Padding: the kernel does not mind it, so only the measurement can tell."""
    world.path("initrd-longer").write_bytes((GUEST / "initrd").read_bytes() + b"\0")
    world.refused("(attest|key): .*measurement", "--initrd", world.path("initrd-longer"), world.good)


def one_bit_of_a_layer(world):
    def change(layout):
        flip(blob(layout, manifest_of(layout)[1]["layers"][0]["digest"]))
    world.refused("(pull|verify): .*sha256", layout_with(world, "layer-flipped", change))


def one_bit_of_the_config(world):
    def change(layout):
        flip(blob(layout, manifest_of(layout)[1]["config"]["digest"]), 20)
    world.refused("(pull|verify): ", layout_with(world, "config-flipped", change))


def a_manifest_that_lies_about_sizes(world):
    def change(layout):
        digest, manifest = manifest_of(layout)
        manifest["layers"][0]["size"] += 1
        write_index(str(layout), put_json(str(layout), manifest))
    image = layout_with(world, "size-lie", change)
    world.expect(image)
    world.refused("(pull|verify): .*(size|bytes)", image)


def an_image_that_is_not_there(world):
    world.refused("config: ", f"oci:{world.path('nowhere')}")
    world.refused("config: .*no tag", world.good + ":missing")


def a_layer_that_is_not_there(world):
    def change(layout):
        blob(layout, manifest_of(layout)[1]["layers"][1]["digest"]).unlink()
    world.refused("pull: ", layout_with(world, "layer-missing", change))


def an_unknown_key_id(world):
    world.cloister("key", "rm", KEY_ID, *world.admin)
    world.refused("key: ", world.good)


def a_wrong_key(world):
    world.path("other.key").write_bytes(os.urandom(32))
    world.cloister("key", "put", KEY_ID, world.path("other.key"), *world.admin)
    world.refused("(key|verify): ", world.good)
    world.put_key()


def a_broker_with_another_ca(world):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-out",
                    world.path("other-ca.pem"), "-days", "2", "-subj", "/CN=other"], check=True, capture_output=True)
    ca, world.ca = world.ca, world.path("other-ca.pem")
    world.refused("attest: .*certificate", world.good)
    world.ca = ca


def initdata_that_the_broker_does_not_expect(world):
    world.refused("(attest|key): .*initdata", world.good, "/bin/true")


def too_little_memory(world):
    world.refused("(boot|unpack|pull|start): ", "--memory", "64", world.good)


def no_qemu(world):
    path, world.environment["PATH"] = world.environment["PATH"], "/nonexistent"
    world.refused("boot: .*qemu-system-x86_64.*apt-get install", world.good)
    world.environment["PATH"] = path


def bad_options(world):
    for words in (["--cpus", "0"], ["--memory", "1"], ["--tee", "sgx"], ["--tee", "snp"], ["--accel", "x"], ["--env", "novalue"], ["--kernel", "/nonexistent"],
                  ["--broker", "http://x"], ["--initdata", "/nonexistent"]):
        world.refused("(config|initdata): ", *words, world.good)
    world.refused("config: the guest pulls .*--netns PATH, .*skopeo copy docker://.* oci:DIR:TAG", "registry.test/x@sha256:" + "a" * 64)
    world.refused("config: guest image /nonexistent: .*name another with --guest", "--guest", "/nonexistent", world.good)


def no_broker(world):
    world.stop_broker()
    world.refused("attest: ", world.good)


with World() as world:
    world.start_broker()
    run_tests([the_good_image_runs, a_platform_that_this_host_lacks, another_command_line, a_command_line_that_the_agent_does_not_know, one_byte_of_the_initrd, one_byte_more_of_the_initrd,
               one_bit_of_a_layer, one_bit_of_the_config, a_manifest_that_lies_about_sizes, an_image_that_is_not_there,
               a_layer_that_is_not_there, an_unknown_key_id, a_wrong_key, a_broker_with_another_ca,
               initdata_that_the_broker_does_not_expect, too_little_memory, no_qemu, bad_options, no_broker], world)
