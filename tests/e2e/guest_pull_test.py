#!/usr/bin/env python3
"""A guest pulls its image itself, from a real registry, through its network device; the node keeps the ciphertext."""
import base64, ctypes, hashlib, json, os, pathlib, re, shutil, socket, struct, subprocess, threading

from oci_image import manifest_digest
from registries import Authority, DyingRelay, Registry, Signer, settings, signature_layout
from world import CLOISTER, KEY_ID, World, run_tests, skip

CLONE_NEWNS, CLONE_NEWNET, MS_REC_PRIVATE = 0x20000, 0x40000000, 0x44000
HOST, LOGIN = "10.88.0.1", "anna:sesame"


def make_namespaces():
    """This process becomes the host of one pod; what it makes ends with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) != 0:
        skip("namespaces need root")
    subprocess.run(["sh", "-ec", "mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; ip link set lo up\n"
                    f"ip link add bridge0 type bridge; ip addr add {HOST}/16 dev bridge0; ip link set bridge0 up\n"
                    "ip netns add guest; ip link add vguest type veth peer name eth0 netns guest; ip link set vguest master bridge0 up\n"
                    "ip -n guest link set eth0 up; ip -n guest addr add 10.88.0.10/16 dev eth0; ip -n guest link set lo up"], check=True)


class Names:
    """A name server with one answer for A: this host."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 53))
        self.asked = set()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            name, kind = query[12:end - 5], struct.unpack(">H", query[end - 4:end - 2])[0]
            self.asked.add(name)
            n = kind == 1
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(HOST) if n else b""
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", 0x8180, 1, n, 0, 0) + query[12:end] + answer, peer)


class Stage:
    """The registry with an encrypted image in it, the owner's keys at the broker, and runs of it."""

    def __init__(self, world):
        self.world, self.names = world, Names()
        self.authority, self.signer = Authority(world.path("ca")), Signer(world.folder, "owner")
        self.registry = Registry(world.folder, self.authority, LOGIN, address=HOST)
        port = self.registry.host.split(":")[1]
        self.host = f"registry.test:{port}"
        world.image("shop", ["/bin/sh", "-c", "cat /etc/word"], self.files())
        world.put_key()
        self.layout = world.path("shop")
        self.digest = manifest_digest(self.layout)
        self.registry.push(f"oci:{self.layout}", "team/shop:v1")
        self.put("kbs:///default/credential/registry", json.dumps({"auths": {self.host: {"auth": base64.b64encode(LOGIN.encode()).decode()}}}).encode())
        self.put("kbs:///default/signature/owner", self.signer.public.read_bytes())
        self.cache = world.path("cache")
        world.path("resolv.conf").write_text(f"nameserver {HOST}\n")

    @staticmethod
    def files():
        from oci_image import file
        return [file("etc/word", "pulled by the guest\n"), file("etc/noise", os.urandom(3 << 20))]

    def put(self, uri, content):
        path = self.world.path("resource")
        path.write_bytes(content)
        self.world.cloister("key", "put", uri, path, *self.world.admin)

    def sign(self):
        layout, _ = signature_layout(self.world.folder, lambda layout: [self.signer.layer(layout, f"{self.host}/team/shop", self.digest)])
        self.registry.push(f"oci:{layout}:latest", f"team/shop:{self.digest.replace(':', '-')}.sig")

    def words(self, image, policy=None, ca=None):
        config = self.world.path("cdh.toml")
        config.write_text(settings(ca=ca or self.authority.ca, credentials="kbs:///default/credential/registry", policy=policy))
        words = ["--image-config", config, "--resolv-conf", self.world.path("resolv.conf")]
        digest = self.world.cloister("initdata", "--digest", "--network", *words, "--broker", self.world.url, "--broker-ca", self.world.ca, image)
        self.world.cloister("reference", "add", "--measurement", self.world.measure(), "--initdata", digest.stdout.strip(), *self.world.admin)
        return ["--netns", "/run/netns/guest", "--cache", self.cache, "--console", *words, image]


def the_guest_pulls_by_digest_and_the_node_keeps_the_ciphertext(world):
    image = f"{stage.host}/team/shop@{stage.digest}"
    done = world.run("--timeline", *stage.words(image))
    assert done.stdout == "pulled by the guest\n", done.stdout + done.stderr
    assert any(b"registry" in name for name in stage.names.asked), stage.names.asked
    kept = {"sha256:" + path.name for path in (stage.cache / "blobs/sha256").iterdir()}
    named = json.loads((stage.layout / "blobs/sha256" / stage.digest[7:]).read_text())
    assert kept == {stage.digest, named["config"]["digest"], *(layer["digest"] for layer in named["layers"])}, kept
    assert not any(b"pulled by the guest" in path.read_bytes() for path in (stage.cache / "blobs/sha256").iterdir())


def a_second_pod_takes_no_byte_from_the_registry(world):
    n = len(stage.registry.requests())
    done = world.run(*stage.words(f"{stage.host}/team/shop@{stage.digest}"))
    assert done.stdout == "pulled by the guest\n", done.stdout + done.stderr
    assert "note:" not in done.stderr, done.stderr
    assert stage.registry.requests()[n:] == [], stage.registry.requests()[n:]


def a_cache_that_lies_is_told_of_and_made_up_for(world):
    biggest = max((stage.cache / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    whole = biggest.read_bytes()
    biggest.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = world.run(*stage.words(f"{stage.host}/team/shop@{stage.digest}"))
    assert done.stdout == "pulled by the guest\n", done.stdout + done.stderr
    assert "cloister-agent note: pull: the node's cache: digest does not match" in done.stderr, done.stderr


def a_tag_runs_when_its_signature_holds(world):
    image = f"{stage.host}/team/shop:v1"
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {f"{stage.host}/team": [
        {"type": "sigstoreSigned", "keyPath": "kbs:///default/signature/owner", "signedIdentity": {"type": "matchRepository"}},
        {"type": "encryptedWith", "keyId": KEY_ID}]}}}
    refused(world, r"verify: image policy: no signature by the wanted key \(0 found\)", *stage.words(image, policy))
    stage.sign()
    done = world.cloister("job", *world.run_words(*stage.words(image, policy)))
    assert done.stdout == "pulled by the guest\n", done.stdout + done.stderr
    said = json.loads(world.cloister("job", "verify", "--ca", world.environment["CLOISTER_DEVELOPMENT_ROOT"], "receipt.json").stdout)
    assert said["claims"]["statement"]["image"] == stage.digest, said  # and not the tag, nor nothing


def what_cannot_be_pulled_is_refused_by_name(world):
    shutil.rmtree(stage.cache)
    other = Authority(world.path("other-ca"))
    refused(world, r"pull: .*registry.test.*certificate", *stage.words(f"{stage.host}/team/shop@{stage.digest}", ca=other.ca))
    refused(world, "pull: .*no sha256:0+ in team/shop", *stage.words(f"{stage.host}/team/shop@sha256:{'0' * 64}"))
    world.cloister("run", f"{stage.host}/team/shop:v1", wanted=125)


def a_registry_that_dies_within_a_layer_is_named(world):
    """And nothing of what came is run, or kept as if it were whole."""
    shutil.rmtree(stage.cache, ignore_errors=True)
    relay = DyingRelay(stage.registry.host, 1 << 20)
    login = {"auth": base64.b64encode(LOGIN.encode()).decode()}
    stage.put("kbs:///default/credential/registry", json.dumps({"auths": {f"registry.test:{relay.port}": login}}).encode())
    refused(world, r"pull: layer \d of 3: .*registry registry\.test:\d+: after 5 tries: ", *stage.words(f"registry.test:{relay.port}/team/shop@{stage.digest}"))
    assert relay.left <= 0, relay.left
    for path in (stage.cache / "blobs/sha256").glob("*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, path


def refused(world, phrase, *words):
    done = world.run(*words, wanted=125)
    lines = [line for line in done.stderr.splitlines() if line.startswith("cloister: ") and "PROTECTS NOTHING" not in line]
    assert len(lines) == 1 and re.search(phrase, lines[0]), done.stderr
    assert done.stdout == "", done.stdout
    print(f"refused: {lines[0]}", flush=True)


if not shutil.which("docker-registry"):
    skip("docker-registry is not installed: tests/setup check")
make_namespaces()
with World() as world:
    world.start_broker()
    stage = Stage(world)
    try:
        run_tests([the_guest_pulls_by_digest_and_the_node_keeps_the_ciphertext, a_second_pod_takes_no_byte_from_the_registry,
                   a_cache_that_lies_is_told_of_and_made_up_for, a_tag_runs_when_its_signature_holds, what_cannot_be_pulled_is_refused_by_name,
                   a_registry_that_dies_within_a_layer_is_named], world)
    finally:
        stage.registry.stop()
