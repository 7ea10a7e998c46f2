#!/usr/bin/env python3
"""Encrypted images between our tools, Debian's skopeo and the guest's unpacking; and what tampering leads to."""
import json, os, pathlib, resource, shutil, signal, subprocess, sys

import oci_image
from oci_image import Layer, file, folder, get_blob, get_json, manifest_digest, put_blob, put_json, write_index
from unpacking import BUILD, Report, Sandbox, listing

report = Report()
box = Sandbox()
plain, work = box.path / "plain", box.path
KEY_ID = "kbs:///default/image/one"
key, wrong_key, short_key = work / "key", work / "wrong", work / "short"
key.write_bytes(os.urandom(32)), wrong_key.write_bytes(os.urandom(32)), short_key.write_bytes(os.urandom(31))
noise = os.urandom(40000)
CANARY = b"canary-" + os.urandom(8).hex().encode()
layers = [Layer([folder("bin"), file("bin/app", noise, mode=0o755)], "gzip"), Layer([file("canary", CANARY)], "zstd"), Layer([file("plain", "p" * 9000)], "none")]
RUN = {"Cmd": ["/bin/app", "-x"], "Env": ["PATH=/bin"], "User": "1000:100", "WorkingDir": "/srv"}
plain_digest = oci_image.write_layout(plain, layers, RUN)


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)


def cloister(*arguments):
    return run(BUILD / "cloister", "image", *arguments)


def unpack_from(layout, digest, *options):
    box.fresh()
    shutil.copytree(layout, box.layout)
    return box.unpack_layout(digest, *options)


def expect_image(name, layout, key_file=key):
    code, line = unpack_from(layout, manifest_digest(layout), "--key-file", key_file)
    report.claim(code == 0, f"{name}: {line}")
    report.claim(code == 0 and (box.root / "canary").read_bytes() == CANARY and (box.root / "bin/app").read_bytes() == noise, f"{name}: other content")


def expect_refusal(name, layout, digest, phase, wanted, key_file=key, *options):
    code, line = unpack_from(layout, digest, "--key-file", key_file, *options)
    report.claim(code == 1 and line.startswith(phase + ":") and wanted in line, f"{name}: wanted {phase}: {wanted}, got {code} {line}")
    report.claim(box.is_root_empty(), f"{name}: plaintext was left behind")


def holds(layout, secret):
    return any(secret in path.read_bytes() for path in pathlib.Path(layout).rglob("*") if path.is_file())


# --- ours to ours ---
sealed = work / "sealed"
made = cloister("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{plain}:latest", f"oci:{sealed}:v1")
report.claim(made.returncode == 0 and made.stdout.strip() == manifest_digest(sealed, "v1"), f"encrypt: {made.stderr}")
report.claim(not holds(sealed, b"p" * 100), "the encrypted layout holds plaintext of a plain layer")
expect_image("ours to the guest", sealed)
again = cloister("decrypt", "--key-file", key, f"oci:{sealed}:v1", f"oci:{work}/opened:v1")
report.claim(again.stdout.strip() == plain_digest, f"decrypt gives the very manifest that was encrypted: {again.stderr}")
code, _ = unpack_from(sealed, manifest_digest(sealed), "--key-file", key, "--piece", "1000")
report.claim(code == 0, "a source that gives 1000 bytes at a time")
code, _ = unpack_from(sealed, manifest_digest(sealed), "--key-file", key, "--scratch", work)
report.claim(code == 0, "ciphertext kept in a folder instead of memory")
twice = cloister("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{plain}", f"oci:{work}/twice")
report.claim(manifest_digest(work / "twice") != manifest_digest(sealed), "each encryption has fresh keys")

# --- Debian's skopeo, both ways: it knows recipients of scheme jwe, no key providers ---
if shutil.which("skopeo"):
    private, public = work / "ec.pem", work / "ec.pub"
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private)
    run("openssl", "pkey", "-in", private, "-pubout", "-out", public)
    theirs = run("skopeo", "copy", "-q", "--encryption-key", f"jwe:{public}", f"oci:{plain}:latest", f"oci:{work}/skopeo:x")
    report.claim(theirs.returncode == 0, theirs.stderr)
    code, line = unpack_from(work / "skopeo", manifest_digest(work / "skopeo"), "--key-file", key)
    report.claim(code == 1 and line.startswith("key:") and "not for provider.attestation-agent (found: jwe)" in line, line)
    adopted = cloister("encrypt", "--key-id", KEY_ID, "--key-file", key, "--opener", private, f"oci:{work}/skopeo:x", f"oci:{work}/adopted")
    report.claim(adopted.returncode == 0, f"adopting skopeo's image: {adopted.stderr}")
    digests = lambda layout: [layer["digest"] for layer in get_json(layout, manifest_digest(layout))["layers"]]
    report.claim(digests(work / "adopted") == digests(work / "skopeo"), "skopeo's ciphertext is kept as it is")
    expect_image("skopeo to the guest", work / "adopted")
    ours = cloister("encrypt", "--key-id", KEY_ID, "--key-file", key, "--recipient", public, f"oci:{plain}", f"oci:{work}/both:x")
    report.claim(ours.returncode == 0, f"encrypt for a public key too: {ours.stderr}")
    opened = run("skopeo", "copy", "-q", "--decryption-key", private, f"oci:{work}/both:x", f"oci:{work}/by-skopeo:x")
    report.claim(opened.returncode == 0 and manifest_digest(work / "by-skopeo") == plain_digest, f"skopeo decrypts ours: {opened.stderr}")
    expect_image("the same to the guest", work / "both")

    # a skopeo that was built with key providers (Debian's 1.9.3 was not) is tried with ours
    (work / "providers.json").write_text(json.dumps({"key-providers": {"attestation-agent": {"cmd": {"path": str(BUILD / "cloister-keyprovider")}}}}))
    env = {**os.environ, "OCICRYPT_KEYPROVIDER_CONFIG": str(work / "providers.json")}
    through = run("skopeo", "copy", "-q", "--encryption-key", f"provider:attestation-agent:keyid={KEY_ID}::keypath={key}::algorithm=A256GCM",
                  f"oci:{plain}:latest", f"oci:{work}/provided:x", env=env)
    if "protocol not recognized" in through.stderr:
        print("note: this skopeo has no key providers; that form is covered by the vectors of ocicrypt in Go")
    else:
        report.claim(through.returncode == 0, through.stderr)
        expect_image("skopeo with our key provider", work / "provided")
        back = run("skopeo", "copy", "-q", "--decryption-key", f"provider:attestation-agent:keypath={key}", f"oci:{sealed}:v1", f"oci:{work}/back:x", env=env)
        report.claim(back.returncode == 0 and manifest_digest(work / "back") == plain_digest, f"skopeo with our key provider opens ours: {back.stderr}")
else:
    print("note: no skopeo")

# --- refusals of the tool ---
for arguments, wanted in [
    (("encrypt", "--key-id", KEY_ID, "--key-file", short_key, f"oci:{plain}", f"oci:{work}/no"), "openssl rand"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", work / "none", f"oci:{plain}", f"oci:{work}/no"), "openssl rand"),
    (("encrypt", "--key-id", "kbs:///a/b", "--key-file", key, f"oci:{plain}", f"oci:{work}/no"), "REPOSITORY/TYPE/TAG"),
    (("encrypt", "--key-file", key, f"oci:{plain}", f"oci:{work}/no"), "--key-id is missing"),
    (("encrypt", "--key-id", KEY_ID, f"oci:{plain}", f"oci:{work}/no"), "--key-file is missing"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{plain}"), "SRC and DST"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{plain}", f"oci:{plain}:other"), "another folder"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{work}/none", f"oci:{work}/no"), "not an OCI image layout"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{plain}:none", f"oci:{work}/no"), "no tag"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, "docker://x/y", f"oci:{work}/no"), "oci:DIR"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{sealed}", f"oci:{work}/no"), "encrypted already"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, "docker://x/y", f"oci:{work}/no"), "skopeo copy docker://x/y oci:DIR:TAG"),
    (("decrypt", "--key-file", wrong_key, f"oci:{sealed}", f"oci:{work}/no"), "wrong key"),
    (("decrypt", f"oci:{sealed}", f"oci:{work}/no"), "the key that the image was encrypted with"),
    (("encrypt", "--key-id", KEY_ID, "--key-file", key, "--recipient", key, f"oci:{plain}", f"oci:{work}/no"), "openssl pkey -in PRIVATE -pubout"),
    (("decrypt", "--opener", key, f"oci:{sealed}", f"oci:{work}/no"), "no private key in PEM"),
    (("decrypt", "--key-file", key, f"oci:{plain}", f"oci:{work}/no"), "not encrypted"),
]:
    refused = cloister(*arguments)
    report.claim(refused.returncode in (1, 2) and refused.stderr.startswith("cloister: image: ") and refused.stderr.count("\n") == 1 and wanted in refused.stderr,
                 f"{arguments[:3]}: wanted {wanted!r}, got {refused.returncode} {refused.stderr}")
    report.claim(not (work / "no").exists(), f"{arguments[:3]}: something was left behind")

# --- killed in the middle: at a byte of the first layer that a limit names, with no chance to clean up ---
def limit_files():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))


killed = run(BUILD / "cloister", "image", "decrypt", "--key-file", key, f"oci:{sealed}:v1", f"oci:{work}/killed:v1", preexec_fn=limit_files)
report.claim(killed.returncode == -signal.SIGXFSZ, f"a limit of 20000 bytes a file: {killed.returncode} {killed.stderr}")
try:
    os.close(os.open(work, os.O_TMPFILE | os.O_RDWR))
    report.claim(not any((work / "killed/blobs/sha256").iterdir()), "a decryption that was killed leaves plaintext")
except OSError:
    print("note: this file system has no files without a name; what a kill leaves there is documented, not tried")

# --- tampering ---
def tampered(change):
    """A copy of the sealed layout; `change(layout, manifest)` may also return another manifest digest."""
    copy = work / "tampered"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(sealed, copy)
    manifest = get_json(copy, manifest_digest(copy))
    return copy, change(copy, manifest) or manifest_digest(copy)


def blob_path(layout, digest):
    return pathlib.Path(layout, "blobs", *digest.split(":"))


def flip(layout, digest, at=0):
    blob = bytearray(get_blob(layout, digest))
    blob[at] ^= 1
    blob_path(layout, digest).write_bytes(blob)


def relabel(layout, manifest, index, blob):
    """The layer's bytes and, as an attacker who owns the manifest could, its digest and size."""
    manifest["layers"][index] |= {"digest": put_blob(layout, blob), "size": len(blob)}
    return put_json(layout, manifest)


cases = {
    "wrong key": (lambda l, m: None, "key", "wrong key", wrong_key),
    "short key": (lambda l, m: None, "key", "31 bytes", short_key),
    "a layer byte": (lambda l, m: flip(l, m["layers"][0]["digest"], 5000), "verify", "layer 1 of 3: digest does not match", key),
    "the last layer's last byte": (lambda l, m: flip(l, m["layers"][2]["digest"], -1), "verify", "layer 3 of 3: digest does not match", key),
    "the config": (lambda l, m: flip(l, m["config"]["digest"], 20), "verify", "image config: digest does not match", key),
    "the manifest": (lambda l, m: flip(l, manifest_digest(l), 9), "verify", "manifest: digest does not match", key),
    "a layer gone": (lambda l, m: blob_path(l, m["layers"][1]["digest"]).unlink(), "pull", "layer 2 of 3: no blob", key),
    "the config gone": (lambda l, m: blob_path(l, m["config"]["digest"]).unlink(), "pull", "image config: no blob", key),
    "a longer layer": (lambda l, m: blob_path(l, m["layers"][0]["digest"]).open("ab").write(b"x") and None, "pull", "it should have", key),
    "a shorter layer": (lambda l, m: os.truncate(blob_path(l, m["layers"][0]["digest"]), 100), "pull", "it should have", key),
    "a layer with its digest": (lambda l, m: relabel(l, m, 0, b"\0" + get_blob(l, m["layers"][0]["digest"])[1:]), "verify", "layer 1 of 3: HMAC does not match", key),
    "size too small": (lambda l, m: m["layers"][0].update(size=10) or put_json(l, m), "pull", "it should have 10", key),
    "size too large": (lambda l, m: m["layers"][0].update(size=1 << 40) or put_json(l, m), "pull", "the budget leaves", key),
    "size negative": (lambda l, m: m["layers"][0].update(size=-1) or put_json(l, m), "verify", "manifest: layer 1", key),
    "layers swapped": (lambda l, m: m["layers"].reverse() or put_json(l, m), "verify", "diff_id does not match", key),
    "a layer twice": (lambda l, m: m["layers"].append(m["layers"][0]) or put_json(l, m), "verify", "3 diff_ids for 4 layers", key),
    "annotations swapped": (lambda l, m: m["layers"][0].update(annotations=m["layers"][1]["annotations"]) or put_json(l, m), "verify", "HMAC", key),
    "no packet": (lambda l, m: m["layers"][0]["annotations"].pop("org.opencontainers.image.enc.keys.provider.attestation-agent") and put_json(l, m), "key", "no recipient", key),
    "no HMAC": (lambda l, m: m["layers"][0]["annotations"].pop("org.opencontainers.image.enc.pubopts") and put_json(l, m), "key", "no HMAC", key),
    "called plain": (lambda l, m: m["layers"][0].update(mediaType=m["layers"][0]["mediaType"].removesuffix("+encrypted")) or put_json(l, m), "unpack", "gzip", key),
    "another packing": (lambda l, m: m["layers"][0].update(mediaType=m["layers"][0]["mediaType"].replace("gzip", "zstd")) or put_json(l, m), "unpack", "zstd", key),
    "an unknown type": (lambda l, m: m["layers"][0].update(mediaType="text/html") or put_json(l, m), "verify", "text/html", key),
    "another architecture": (lambda l, m: m["config"].update(oci_image.descriptor(l, oci_image.CONFIG, put_json(l, get_json(l, m["config"]["digest"]) | {"architecture": "arm64"}))) or put_json(l, m), "verify", "not for linux/amd64", key),
    "a manifest that is HTML": (lambda l, m: put_blob(l, b"<html>"), "verify", "manifest: JSON", key),
    "an empty manifest": (lambda l, m: put_blob(l, b""), "verify", "manifest", key),
    "a huge manifest": (lambda l, m: put_blob(l, b" " * (5 << 20)), "pull", "a document of", key),
    "a digest that nothing has": (lambda l, m: "sha256:" + "0" * 64, "pull", "manifest: no blob", key),
}
for name, (change, phase, wanted, key_file) in cases.items():
    copy, digest = tampered(change)
    expect_refusal(name, copy, digest, phase, wanted, key_file)

# --- every truncation of an encrypted layer, as a mere cut and with a digest to match ---
ciphertext = get_blob(sealed, get_json(sealed, manifest_digest(sealed))["layers"][0]["digest"])
for length in [0, 1, *range(4096, len(ciphertext), 4096), len(ciphertext) - 1]:
    copy, digest = tampered(lambda l, m: os.truncate(blob_path(l, m["layers"][0]["digest"]), length))
    expect_refusal(f"cut at {length}", copy, digest, "pull", "it should have")
    copy, digest = tampered(lambda l, m: relabel(l, m, 0, ciphertext[:length]))
    expect_refusal(f"cut at {length}, relabelled", copy, digest, "verify", "HMAC does not match")

# --- an index of several platforms ---
def as_index(layout, manifest):
    entry = oci_image.descriptor(layout, oci_image.MANIFEST, manifest_digest(layout))
    others = [entry | {"platform": {"os": "linux", "architecture": a}} for a in ("arm64", "amd64")]
    return put_json(layout, {"schemaVersion": 2, "mediaType": oci_image.INDEX, "manifests": others})


copy, digest = tampered(as_index)
code, line = unpack_from(copy, digest, "--key-file", key)
report.claim(code == 0, f"an index with our platform: {line}")

# --- no room: a file system of 256 KiB for the root, then for the ciphertext ---
if os.geteuid() == 0:
    small = work / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", small], capture_output=True).returncode == 0:
        for name, root, scratch in (("disk full", small, None), ("scratch full", box.root, small)):
            box.fresh()
            options = ["--scratch", scratch] if scratch else []
            full = run(BUILD / "unpack-layout", *options, "--key-file", key, sealed, manifest_digest(sealed), root)
            report.claim(full.returncode == 1 and "No space left on device" in full.stderr and "layer 1 of 3" in full.stderr, f"{name}: {full.stderr}")
            report.claim(not any(root.iterdir()), f"{name}: files were left")
        subprocess.run(["umount", small], check=True)
    else:
        print("note: may not mount; disk full is not tried")

box.close()
report.end()
