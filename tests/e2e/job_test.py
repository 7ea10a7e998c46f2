#!/usr/bin/env python3
"""cloister job: a batch job's receipt, made in a guest under real QEMU, checked offline, and every lie about it found."""
import base64, hashlib, json, pathlib, subprocess

from world import World, run_tests

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


def another_root_is_not_trusted(world):
    done = world.cloister("job", "verify", "--ca", world.path("nowhere"), "receipt.json", wanted=2)
    assert "nowhere/ark.der" in done.stderr, done.stderr
    other = world.path("other-root")
    other.mkdir()
    for name in ("ask.der",):  # an intermediate is no root
        (other / "ark.der").write_bytes((pathlib.Path(world.environment["CLOISTER_DEVELOPMENT_ROOT"]) / name).read_bytes())
    assert json.loads(world.cloister("job", "verify", "--ca", other, "receipt.json", wanted=1).stdout)["verdict"] == "rejected"


with World() as world:
    world.start_broker()
    run_tests([a_job_leaves_a_receipt_that_holds, what_is_not_as_expected_is_rejected, a_receipt_that_was_changed_is_rejected,
               another_root_is_not_trusted], world)
