#!/usr/bin/env python3
"""cloister job: a batch job's receipt, made in a guest under real QEMU, checked offline, and every lie about it found."""
import base64, hashlib, json, os, pathlib, subprocess

from world import GUEST, World, run_tests

SCRIPT = ["/bin/sh", "-c"]
NONCE = "00112233445566778899aabbccddeeff"


def verify(world, *words, receipt="receipt.json", wanted=0):
    done = world.cloister("job", "verify", "--ca", world.environment["CLOISTER_DEVELOPMENT_ROOT"], *words, receipt, wanted=wanted)
    return json.loads(done.stdout)


def a_job_leaves_a_receipt_that_holds(world):
    image = world.image("job", SCRIPT + ["echo 42; echo thinking >&2; exit 3"])
    world.put_key()
    world.expect(image)
    done = world.cloister("job", *world.run_words("--nonce", NONCE, image), wanted=3)
    assert done.stdout == "42\n", done.stdout
    world.path("output").write_text(done.stdout)
    world.cloister("initdata", "--broker", world.url, "--broker-ca", world.ca, "--output", world.path("job.toml"), image)
    digest = json.loads((world.path("job") / "index.json").read_text())["manifests"][0]["digest"]
    answer = verify(world, "--nonce", NONCE, "--output", world.path("output"), "--initdata", world.path("job.toml"), "--image", digest,
                    "--measurement", world.measure())
    statement = answer["claims"]["statement"]
    assert answer["verdict"] == "accepted" and statement["exit_code"] == 3 and statement["image"] == digest, answer
    assert statement["stdout"] == {"sha256": hashlib.sha256(b"42\n").hexdigest(), "bytes": 3}, statement
    assert statement["stderr"]["bytes"] == len("thinking\n"), statement


def what_is_not_as_expected_is_rejected(world):
    world.path("other").write_text("43\n")
    world.path("other.toml").write_text(world.path("job.toml").read_text() + "# another digest\n")
    for option, value, detail in (("--nonce", "00", "the nonce"), ("--output", world.path("other"), "the output"),
                                  ("--image", "sha256:" + 64 * "0", "the image"), ("--initdata", world.path("other.toml"), "the initdata")):
        answer = verify(world, option, value, wanted=1)
        assert answer["verdict"] == "rejected" and detail in answer["detail"], answer
    assert verify(world, "--measurement", 96 * "0", wanted=1)["reason"] == "snp-measurement"


def what_the_owner_asks_of_the_platform_counts(world):
    policy = {"signers": ["VCEK"], "vmpl": [0], "measurement": "any", "crl": "off"}
    world.path("policy.json").write_text(json.dumps(policy))
    assert verify(world, "--policy", world.path("policy.json"))["verdict"] == "accepted"
    for change, reason in (({"vmpl": [1]}, "snp-vmpl"), ({"min_tcb": {"Genoa": {"bootloader": 255, "tee": 255, "snp": 255, "microcode": 255}}}, "snp-tcb"),
                           ({"min_guest_svn": 7}, "snp-guest-svn")):
        world.path("policy.json").write_text(json.dumps(dict(policy, **change)))
        answer = verify(world, "--policy", world.path("policy.json"), wanted=1)
        assert answer["verdict"] == "rejected" and answer["reason"].startswith(reason), answer
    world.path("policy.json").write_text("{")
    assert "--policy" in world.cloister("job", "verify", "--ca", world.environment["CLOISTER_DEVELOPMENT_ROOT"], "--policy", world.path("policy.json"),
                                        "receipt.json", wanted=2).stderr


def a_receipt_that_was_changed_is_rejected(world):
    original = json.loads(world.path("receipt.json").read_text())
    statement = json.loads(base64.b64decode(original["statement"]))

    def change(name, content):
        changed = json.loads(json.dumps(original))
        content(changed)
        world.path(name).write_text(json.dumps(changed))
        return verify(world, receipt=name, wanted=1)

    def other_exit(r):
        r["statement"] = base64.b64encode(json.dumps(dict(statement, exit_code=0)).encode()).decode()

    def other_key(r):  # signed by whoever likes: the evidence is not about that key
        r["key"], r["signature"] = sign_with_another_key(world, base64.b64decode(original["statement"]))

    def other_report(r):
        r["evidence"]["attestation_report"]["guest_svn"] ^= 1

    assert "the signature does not hold" in change("exit.json", other_exit)["detail"]
    assert change("report.json", other_report)["verdict"] == "rejected"
    answer = change("key.json", other_key)
    assert answer["reason"] == "snp-report-data", answer


def sign_with_another_key(world, statement):
    key, content = world.path("foreign.pem"), world.path("statement.bin")
    content.write_bytes(statement)
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True, capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key, content], check=True, capture_output=True).stdout
    x, y = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (der[-64:-32], der[-32:]))
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y}, base64.b64encode(signature).decode()


def a_job_in_a_file_leaves_its_result_in_a_volume(world):
    """What the guest found in the volume is what anybody finds in the same files; the volume itself is cryptsetup's to open."""
    image = world.image("filed", ["/bin/sh"])
    world.path("out.key").write_bytes(os.urandom(32))
    world.cloister("key", "put", "kbs:///lab/volume/out", world.path("out.key"), *world.admin)
    with world.path("out.img").open("wb") as disk:
        disk.truncate(32 << 20)
    job = world.path("job.yaml")
    job.write_text(f"image: {image}\nargs: [/bin/sh, -c, 'mkdir /out/d; echo $WHAT > /out/d/answer; ln -s d /out/l; chmod 600 /out/d/answer']\n"
                   f"env: {{ WHAT: 42 }}\nbroker: {world.url}\nbroker_ca: {world.ca}\nnonce: \"{NONCE}\"\nreceipt: filed.json\n"
                   f"volumes:\n  - {{ name: out, file: {world.path('out.img')}, path: /out, mode: new, key: \"kbs:///lab/volume/out\" }}\n")
    digest = world.cloister("initdata", "-f", job, "--digest").stdout.strip()
    world.cloister("reference", "add", "--initdata", digest, *world.admin)
    world.cloister("job", "run", "-f", job, "--tee", "sim")
    same = world.path("same")
    (same / "d").mkdir(parents=True)
    (same / "d/answer").write_text("42\n")
    (same / "d/answer").chmod(0o600)
    (same / "d").chmod(0o755)
    (same / "l").symlink_to("d")
    answer = verify(world, "--nonce", NONCE, "--volume", f"out={same}", receipt="filed.json")
    assert answer["claims"]["statement"]["volumes"]["out"]["entries"] == 3, answer
    (same / "d/answer").write_text("43\n")
    assert "volume out is not" in verify(world, "--volume", f"out={same}", receipt="filed.json", wanted=1)["detail"]
    assert "nothing of a volume in" in verify(world, "--volume", f"in={same}", receipt="filed.json", wanted=1)["detail"]
    done = subprocess.run(["cryptsetup", "open", "--test-passphrase", "--key-file", world.path("out.key"), world.path("out.img")], capture_output=True)
    assert done.returncode == 0, done.stderr
    job.write_text(job.read_text() + "hooks: [x]\n")
    refused = world.cloister("job", "run", "-f", job, wanted=125)
    assert refused.stderr == f"cloister: config: {job}: line 10, column 1: \"hooks\" is not known\n", refused.stderr


def another_root_is_not_trusted(world):
    done = world.cloister("job", "verify", "--ca", world.path("nowhere"), "receipt.json", wanted=2)
    assert "nowhere/ark.der" in done.stderr, done.stderr
    other = world.path("other-root")
    other.mkdir()
    for name in ("ask.der",):  # an intermediate is no root
        (other / "ark.der").write_bytes((pathlib.Path(world.environment["CLOISTER_DEVELOPMENT_ROOT"]) / name).read_bytes())
    assert json.loads(world.cloister("job", "verify", "--ca", other, "receipt.json", wanted=1).stdout)["verdict"] == "rejected"


def a_tpm_signs_for_its_receipt(world):
    """Under an attestation key that the owner knows, of a boot whose PCRs the owner computed."""
    register = ("measure", "tpm", "--key", "--firmware", GUEST / "firmware", "--kernel", GUEST / "kernel", "--initrd", GUEST / "initrd",
                "--append", "cloister.tee=tpm " + (GUEST / "cmdline").read_text().strip())
    values = json.loads(world.cloister(*register).stdout)
    image = world.image("tpm-job", SCRIPT + ["echo 42"])
    digest = world.cloister("initdata", "--digest", "--broker", world.url, "--broker-ca", world.ca, image).stdout.strip()
    world.cloister("reference", "add", "--tee", "tpm", "--initdata", digest, *world.admin)
    for name, value in values.items():
        world.cloister("reference", "add", "--name", name, "--value", value, *world.admin)
    world.cloister("job", *world.run_words("--tee", "tpm", "--receipt", "tpm.json", image))
    world.path("ak.der").write_bytes(base64.b64decode(values["trusted_aks"]))
    pcrs = {"pcrs": {"sha256": {str(pcr): [values[f"tpm_pcr{pcr:02}"]] for pcr in (0, 4, 9, 12)}}}
    world.path("tpm-policy.json").write_text(json.dumps(pcrs))

    def ask(*words, wanted=0):
        return world.cloister("job", "verify", *words, "tpm.json", wanted=wanted)

    answer = json.loads(ask("--ak", world.path("ak.der"), "--policy", world.path("tpm-policy.json")).stdout)
    assert answer["verdict"] == "accepted" and answer["claims"]["statement"]["exit_code"] == 0, answer
    pcrs["pcrs"]["sha256"]["9"] = [64 * "0"]
    world.path("tpm-policy.json").write_text(json.dumps(pcrs))
    for reason, words in (("tpm-pcr", ("--ak", world.path("ak.der"), "--policy", world.path("tpm-policy.json"))),
                          ("tpm-ak-untrusted", ("--ak", world.folder / "foreign.pem"))):
        answer = json.loads(ask(*words, wanted=1).stdout)
        assert answer["verdict"] == "rejected" and answer["reason"].startswith(reason), answer
    assert "--ak FILE is wanted" in ask("--ca", world.environment["CLOISTER_DEVELOPMENT_ROOT"], wanted=2).stderr
    assert "--measurement" in ask("--ak", world.path("ak.der"), "--measurement", 96 * "0", wanted=2).stderr


with World() as world:
    world.start_broker()
    run_tests([a_job_leaves_a_receipt_that_holds, what_is_not_as_expected_is_rejected, what_the_owner_asks_of_the_platform_counts, a_receipt_that_was_changed_is_rejected,
               a_job_in_a_file_leaves_its_result_in_a_volume,
               another_root_is_not_trusted, a_tpm_signs_for_its_receipt], world)
