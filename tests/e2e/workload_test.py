#!/usr/bin/env python3
"""What a workload may ask of its own guest, on http://127.0.0.1:8006: secrets, a token, evidence, each if policy says so."""
import base64, hashlib, json, os, pathlib, shutil, struct, sys, time

sys.path.insert(0, str(pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "tests/e2e"))
from debug_session import Session  # noqa: E402
from oci_image import manifest_digest  # noqa: E402
from world import GUEST, World, run_tests  # noqa: E402

SECRET = "kbs:///default/app/secret"
SIGNER, WRAP = "kbs:///default/signer/owner", "kbs:///default/wrap/owner"
ASK = "ask() { /bin/busybox wget -q -O- \"http://127.0.0.1:8006$1\" 2>&1 || echo refused $1; echo; }; "


def bound(world, name, image, more, initrd="initrd"):
    """Initdata for this run with `more` in its container's entry, of which the broker was told."""
    text = world.cloister("initdata", "--broker", world.url, "--broker-ca", world.ca, image).stdout
    changed = text.replace('"output":true', '"output":true' + more)
    assert changed != text or not more
    path = world.path(name + ".toml")
    path.write_text(changed)
    world.cloister("reference", "add", "--measurement", world.measure(initrd=initrd), "--initdata",
                   hashlib.sha256(changed.encode()).hexdigest(), *world.admin)
    return path


def a_workload_gets_what_its_policy_lists(world):
    image = world.image("asks", ["/bin/sh", "-c", ASK + "ask /cdh/resource/default/app/secret; ask /cdh/resource/default/app/other; "
                        "ask /aa/evidence?runtime_data=hello; ask '/aa/token?token_type=kbs'; ask /info"])
    initdata = bound(world, "asks", image, f',"resources":["{SECRET}"],"token":true,"evidence":true')
    said = world.run("--initdata", initdata, image).stdout
    parts = [line for line in said.split("\n") if line]
    assert len(parts) == 6, said
    secret, why, other, evidence, token, info = parts
    assert secret == "of the workload", secret
    assert "403" in why and other == "refused /cdh/resource/default/app/other", said
    check_evidence(json.loads(evidence))
    check_token(json.loads(token))
    assert json.loads(info)["tee"] == "sim", info


def check_evidence(evidence):
    """A report of this guest whose report data is in the workload's role, not the bytes that it chose."""
    report = evidence["attestation_report"]
    wanted = hashlib.sha384(b"cloister workload evidence\0hello").digest()
    given = bytes(report["report_data"]) if isinstance(report["report_data"], list) else base64.b64decode(report["report_data"])
    assert given[:48] == wanted and given[48:] == bytes(16), given.hex()


def check_token(pair):
    assert pair["tee_keypair"].startswith("-----BEGIN PRIVATE KEY-----"), pair
    payload = json.loads(base64.urlsafe_b64decode(pair["token"].split(".")[1] + "=="))
    assert payload["exp"] > payload["iat"], payload


def connections_that_it_leaves_idle_are_its_own_loss(world):
    """Of forty, which is more than its share, the oldest are closed at once; and it is served all the same."""
    image = world.image("greedy", ["/bin/sh", "-c", ASK + "mkfifo /tmp/quiet; exec 9<>/tmp/quiet; n=0; "
                        "while [ $n -lt 40 ]; do (/bin/busybox nc 127.0.0.1 8006 <&9; echo >> /tmp/closed) & n=$((n+1)); done; "
                        "until [ $(cat /tmp/closed 2>/dev/null | wc -l) -ge 24 ]; do sleep 0.1; done; ask /cdh/resource/default/app/secret; exit 0"])
    said = world.run("--initdata", bound(world, "greedy", image, f',"resources":["{SECRET}"]'), image).stdout
    assert said.startswith("of the workload"), said


def what_the_keeper_had_is_there_when_it_wakes(world):
    """While nobody asks it rests, as one process; then the same secret and the same token come, and nobody attests again."""
    if not (GUEST / "initrd-debug").exists():
        return print("     without a debug image nobody can look", flush=True)
    both = "(ask /cdh/resource/default/app/secret; ask '/aa/token?token_type=kbs')"
    image = world.image("waits", ["/bin/sh", "-c", ASK + f"{both} > /one; until [ -e /go ]; do sleep 0.1; done; {both} > /two; mv /two /done; sleep 600"])
    initdata = bound(world, "waits", image, f',"resources":["{SECRET}"],"token":true', "initrd-debug")
    with Session(world, "--initdata", initdata, image) as session:
        session.sees("guest# ")
        session.type("until R=$(echo /proc/[0-9]*/root/one) && [ -s ${R%% *} ]; do sleep 0.1; done; R=$(dirname ${R%% *}); "
                     "until [ $(cat /proc/[0-9]*/comm | grep -cx keeper) = 1 ]; do sleep 0.1; done; echo it re''sts")
        session.sees("it rests")
        attested = world.path("broker.log").read_text().count("/kbs/v0/attest")
        session.type("touch $R/go; until [ -s $R/done ]; do sleep 0.1; done; cmp $R/one $R/done && cat $R/done && echo the sa''me")
        session.sees("of the workload(.|\n)*the same")
        assert attested > 0 and world.path("broker.log").read_text().count("/kbs/v0/attest") == attested
        assert session.end() == 0, session.said


def without_a_grant_nothing_is_given(world):
    image = world.image("bare", ["/bin/sh", "-c", ASK + "ask /cdh/resource/default/app/secret; ask /aa/evidence?runtime_data=x; ask '/aa/token?token_type=kbs'"])
    said = world.run("--initdata", bound(world, "bare", image, ""), image).stdout
    assert said.count("refused /") == 3 and "of the workload" not in said, said


def a_secret_that_the_broker_does_not_have_is_refused(world):
    image = world.image("missing", ["/bin/sh", "-c", ASK + "ask /cdh/resource/default/app/none; echo after"])
    said = world.run("--initdata", bound(world, "missing", image, ',"resources":["kbs:///default/app/none"]'), image).stdout
    assert "404" in said and said.endswith("after\n"), said


def records(log):
    """(register, event, digest) of each record of an AAEL log."""
    at = 0
    while at < len(log):
        register, kind, n, algorithm = struct.unpack_from("<IIIH", log, at)
        assert (kind, n, algorithm) == (6, 1, 12), (kind, n, algorithm)
        digest, at = log[at + 14:at + 62], at + 62
        length = struct.unpack_from("<I", log, at)[0]
        tagged, at = log[at + 4:at + 4 + length], at + 4 + length
        assert hashlib.sha384(tagged).digest() == digest and tagged[:4] == b"LEAA", tagged
        yield register, tagged[8:].decode(), digest


def check_events(said, image):
    """What was pulled, started and said is in the log; its replay is the register; a report is over that and our nonce."""
    value, events = bytes(48), []
    for register, event, digest in records(base64.b64decode(said["eventlog"])):
        value = hashlib.sha384(value + digest).digest()
        events.append(event)
        assert register == 4
    assert said["register"] == "software" and value.hex() == said["value"], said
    pulled, started, ours = events
    assert pulled == 'github.com/confidential-containers PullImage {"image":"oci", "digest":"%s"}' % image, pulled
    assert started.startswith("cloister StartContainer {") and image in started, started
    assert ours == "example.org/app ready all is well", ours
    report = said["evidence"]["attestation_report"]["report_data"]
    given = bytes(report) if isinstance(report, list) else base64.b64decode(report)
    assert given[:48] == hashlib.sha384(b"cloister runtime measurements\0" + value + b"nonce").digest(), given.hex()


def what_runs_is_measured_and_a_workload_may_add_to_it(world):
    post = "tell() { /bin/busybox wget -q -O- --post-data \"$1\" http://127.0.0.1:8006/aa/aael 2>&1 || echo refused; echo; }; "
    event = '{\\"domain\\":\\"%s\\",\\"operation\\":\\"ready\\",\\"content\\":\\"all is well\\"}'
    image = world.image("measured", ["/bin/sh", "-c", ASK + post + f'tell "{event % "example.org/app"}"; tell "{event % "cloister"}"; '
                        "ask '/aa/eventlog?runtime_data=nonce'"])
    said = world.run("--initdata", bound(world, "measured", image, ',"measure":true,"evidence":true'), image).stdout
    told, why, other, log = [line for line in said.split("\n") if line]
    assert told == '{"success":"true"}' and "403" in why and other == "refused", said
    check_events(json.loads(log), manifest_digest(world.path("measured")))


def the_clock_is_the_brokers_whatever_the_host_says(world):
    """QEMU gives a clock that is a month ahead; the workload sees the time of the broker, which is ours."""
    folder = world.path("bin")
    folder.mkdir(mode=0o755)
    ahead = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 30 * 86400))
    (folder / "qemu-system-x86_64").write_text(f'#!/bin/sh\nexec {shutil.which("qemu-system-x86_64")} "$@" -rtc base={ahead}\n')
    (folder / "qemu-system-x86_64").chmod(0o755)
    for part in (world.folder, world.folder.parent):
        part.chmod(0o711)  # QEMU is started by nobody
    image = world.image("clock", ["/bin/busybox", "date", "+%s"])
    world.expect(image)
    began, path = int(time.time()), world.environment["PATH"]
    world.environment["PATH"] = f"{folder}:{path}"
    said = world.run(image).stdout
    world.environment["PATH"] = path
    assert began - 1 <= int(said) <= time.time() + 1, (began, said, time.time())


def sealed(world, name, *words):
    return world.cloister("key", "seal", name, "--kid", SIGNER, "--signer", world.path("signer.pem"), *words).stdout.strip()


def sealed_secrets_are_opened_in_the_guest_only(world):
    """One in a variable that the owner wrote, one that the image carries; the host sees neither."""
    world.path("signer.jwk").write_text(world.cloister("key", "signer", world.path("signer.pem")).stdout)
    world.cloister("key", "put", SIGNER, world.path("signer.jwk"), *world.admin)
    world.path("wrap").write_bytes(os.urandom(32))
    world.cloister("key", "put", WRAP, world.path("wrap"), *world.admin)
    world.path("carried").write_text("in the text itself")
    vault, envelope = sealed(world, SECRET), sealed(world, WRAP, "--secret", world.path("carried"), "--key", world.path("wrap"))
    image = world.image("sealed", run={"Env": ["PATH=/bin", "CARRIED=" + envelope, "PASSWORD=sealed.of.no.use"],
                                       "Cmd": ["/bin/sh", "-c", 'echo "$PASSWORD, $CARRIED"']})
    world.expect(image, env=["PASSWORD=" + vault])
    assert world.run("--env", "PASSWORD=" + vault, image).stdout == "of the workload, in the text itself\n"
    return image, vault


def a_sealed_secret_that_policy_does_not_take_stops_the_container(world):
    image = world.image("unsealed", ["/bin/true"])
    bare = "sealed.fakejwsheader." + base64.urlsafe_b64encode(json.dumps(
        {"version": "0.1.0", "type": "vault", "name": SECRET, "provider": "kbs", "provider_settings": {}, "annotations": {}}
    ).encode()).decode().rstrip("=") + ".fakesignature"
    world.expect(image, env=["PASSWORD=" + bare])
    world.refused("key: variable PASSWORD: policy takes no sealed secret without a signature", "--env", "PASSWORD=" + bare, image)
    vault = sealed(world, SECRET)
    forged = vault[:-8] + ("AAAAAAAA" if not vault.endswith("AAAAAAAA") else "QQQQQQQQ")
    world.expect(image, env=["PASSWORD=" + forged])
    world.refused("key: variable PASSWORD: sealed secret: token: the signature does not hold", "--env", "PASSWORD=" + forged, image)


with World() as world:
    world.start_broker()
    world.image("first")
    world.put_key()
    world.path("secret").write_text("of the workload")
    world.cloister("key", "put", SECRET, world.path("secret"), *world.admin)
    run_tests([a_workload_gets_what_its_policy_lists, connections_that_it_leaves_idle_are_its_own_loss, what_the_keeper_had_is_there_when_it_wakes, without_a_grant_nothing_is_given,
               a_secret_that_the_broker_does_not_have_is_refused, sealed_secrets_are_opened_in_the_guest_only,
               the_clock_is_the_brokers_whatever_the_host_says, what_runs_is_measured_and_a_workload_may_add_to_it,
               a_sealed_secret_that_policy_does_not_take_stops_the_container], world)
