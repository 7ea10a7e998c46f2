#!/usr/bin/env python3
"""Images against other tools, in one run: unpacking an encrypted gzip layer against `tar xzf` and umoci on the plain one;
decrypting and verifying against skopeo; memory while a large layer is pulled; a second pod of the same image. CPU seconds,
since other work on the machine does not count in them. Usage: images.py [MIB]"""
import os, pathlib, random, resource, shutil, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
import oci_image  # noqa: E402
from oci_image import Layer, file, manifest_digest  # noqa: E402
from registries import Authority, Puller, Registry, settings  # noqa: E402
from unpacking import BUILD  # noqa: E402

MIB = int(sys.argv[1]) if sys.argv[1:] else 400
ENTRIES, ROUNDS, KEY_ID = 15000, 2, "kbs:///default/image/one"
work = pathlib.Path(tempfile.mkdtemp(prefix="bench-images-"))
missing = []


def seconds(*command, **options):
    """CPU seconds of the command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(word) for word in command], check=True, capture_output=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fresh(name):
    """A new folder. None is removed before the end: ext4 walks past inodes that were freed lately, one by one for each new file,
    which would be counted as the work of whoever comes next."""
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=work))


def best(*makes):
    """The least of each, in turns, so that what else goes on hits all alike."""
    rounds = [[make() for make in makes] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds)]


def show(what, ours, theirs, aim):
    print(f"{what:58} {ours:7.2f} s against {theirs:7.2f} s: {ours / theirs:5.2f}   (aim {aim})", flush=True)


def make_layer():
    """Text-like content, which gzip shortens to less than half; small files and a few large ones."""
    dice = random.Random(1)
    words = " ".join("".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=dice.randint(2, 9))) for _ in range(1 << 20)).encode()
    entries, left = [], MIB << 20
    for i in range(ENTRIES):
        size = min(left, dice.choice((0, 300, 2000, 9000, 30000, 90000)) if i % 50 else (left // (ENTRIES - i)) * 30)
        left -= size
        at = dice.randrange(max(1, len(words) - size))
        entries.append(file(f"usr/lib/d{i % 97}/f{i}", (words[at:] + words * (size // len(words) + 1))[:size]))
    return Layer(entries, "gzip")


try:
    key = work / "key"
    key.write_bytes(os.urandom(32))
    private, public = work / "ec.pem", work / "ec.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    layer = make_layer()
    plain, sealed, tar = work / "plain", work / "sealed", work / "layer.tar.gz"
    oci_image.write_layout(plain, [layer])
    tar.write_bytes(layer.blob)
    subprocess.run([BUILD / "cloister", "image", "encrypt", "--key-id", KEY_ID, "--key-file", key, "--recipient", public, f"oci:{plain}", f"oci:{sealed}"], check=True, capture_output=True)
    print(f"one layer: {len(layer.tar) >> 20} MiB of tar, {len(layer.blob) >> 20} MiB of gzip, {ENTRIES} entries")

    def unpack():
        return seconds(BUILD / "unpack-layout", "--key-file", key, sealed, manifest_digest(sealed), fresh("ours"))

    def by_tar():
        return seconds("tar", "-xzf", tar, "-C", fresh("tar"))

    def by_umoci():
        return seconds("umoci", "unpack", "--image", f"{plain}:latest", fresh("umoci") / "bundle")

    has_umoci = shutil.which("umoci")
    ours, theirs, *umoci = best(unpack, by_tar, *([by_umoci] if has_umoci else []))
    show("verify, decrypt and unpack / tar xzf of the plain one", ours, theirs, "1.1")
    if has_umoci:
        show("the same / umoci unpack", ours, umoci[0], "0.25; what it would take: docs/decisions/gzip-by-zlib.md")
    else:
        missing.append("umoci")

    def decrypt_ours():
        return seconds(BUILD / "cloister", "image", "decrypt", "--key-file", key, f"oci:{sealed}", f"oci:{fresh('by-us')}/layout:x")

    def decrypt_skopeo():
        return seconds("skopeo", "copy", "-q", "--decryption-key", private, f"oci:{sealed}", f"oci:{fresh('by-skopeo')}/layout:x")

    if shutil.which("skopeo"):
        show("decrypt a layout to a layout / skopeo", *best(decrypt_ours, decrypt_skopeo), "0.25")
    else:
        missing.append("skopeo")

    if shutil.which("docker-registry"):
        authority, puller = Authority(work / "ca"), Puller(work / "puller")
        puller.put_resource(KEY_ID, key.read_bytes())
        registry = Registry(work, authority)
        try:
            name, text = registry.push(f"oci:{sealed}", "bench/app:v1"), settings(ca=authority.ca)
            pinned, scratch = manifest_digest(sealed), fresh("scratch")
            # a round is a pod; the first one fills the node's cache
            first = puller.pull(f"{name}:v1", text, "--pinned", pinned, "--scratch", scratch, cache=True, timeout=600)
            second = puller.pull(f"{name}:v1", text, "--pinned", pinned, "--scratch", scratch, cache=True, timeout=600)
            assert first[0] == second[0] == 0, (first, second)
            show("pull phase of a second pod / of the first (wall time)", float(second[2]["pull_ms"]) / 1000, float(first[2]["pull_ms"]) / 1000, "0.5")
            assert second[2]["cached"] == second[2]["pulled"]
            for process in ("keeper", "fetcher"):
                print(f"memory of the {process} while {len(layer.blob) >> 20} MiB are pulled, beyond idle: "
                      f"{(int(first[2][process + '_rss_kib']) - int(first[2][process + '_idle_kib'])) / 1024:.1f} MiB   (aim 16 together)")
        finally:
            registry.stop()
    else:
        missing.append("docker-registry")
finally:
    shutil.rmtree(work, ignore_errors=True)
if missing:
    print(f"not compared, not installed: {', '.join(missing)}")
