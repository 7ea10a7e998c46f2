#!/usr/bin/env python3
"""Images of a registry that wants a login, under containerd's CRI. containerd has the node's credentials and pulls what is public of
them; the guest pulls the rest with credentials that it has from the broker, and brings what it wants to mount into the node's cache.
What goes wrong for one container has its name and phase, and leaves the pod as it is.

    pull_test.py [--suite SUITE] [TEST...]    SUITE: of tests/newer_containerd"""
import argparse, base64, json, subprocess

from node import PAUSE, allowed, enter_namespaces, run_tests

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has
import oci_image  # noqa: E402
from registries import Authority, DyingRelay, Registry, Signer, settings  # noqa: E402
from storage import StorageNode, make_image, refused  # noqa: E402
from world import KEY_ID, skip, wait_for  # noqa: E402

HOST, LOGIN = "10.88.0.1", "anna:sesame"
CREDENTIALS = "kbs:///default/credential/registry"
CANARY = "a sentence that no file of this node may hold"
LOOK = ["/bin/sh", "-c", "cat /etc/secret"]
FORBIDDEN = ["/bin/sh", "-c", "cat /etc/shadow"]


def put(node, uri, content):
    node.path("resource").write_bytes(content)
    node.cloister("key", "put", uri, node.path("resource"), *node.admin)


def trust(node, host):
    """What containerd has to know of it."""
    folder = node.path("certs.d") / host
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text(f'server = "https://{host}"\n[host."https://{host}"]\n  capabilities = ["pull", "resolve"]\n  ca = "{node.authority.ca}"\n')


class Image:
    """One that containerd has pulled and whose layers are not on the node: the snapshotter has neither CA nor login."""

    def __init__(self, node, name, host=None, **more):
        layout, self.digest, self.layer = make_image(node, name, [oci_image.file("etc/secret", f"{CANARY}: {name}\n")], **more)
        self.reference = f"{host or node.closed.host}/team/{name}:1"
        node.closed.push(f"oci:{layout}", f"team/{name}:1")
        node.cri.pull(self.reference, LOGIN)
        wait_for(lambda: f"blob not fetched digest=sha256:{self.layer}" in node.path("snapshotter.log").read_text(), "the snapshotter gives up")
        assert not node.blob(self.layer).exists()


def start_pod(node, *images):
    """May run all of them; one must be signed, and is not."""
    policy = {"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {f"{node.closed.host}/team/unsigned": [
        {"type": "sigstoreSigned", "keyData": Signer(node.folder, "owner").key_data(), "signedIdentity": {"type": "matchRepository"}}]}}}
    node.development_initdata(*(allowed(image.digest, LOOK, env_names=["HOSTNAME"]) for image in images), network=True,
                              image_config=settings(ca=node.authority.ca, credentials=CREDENTIALS, policy=policy).replace("'''", '"""'))
    return node.start_pod("closed")


def what_goes_wrong_is_named_and_what_does_not_runs(node):
    relay = DyingRelay(node.closed.host, 1 << 30)
    trust(node, f"{HOST}:{relay.port}")
    mounted, unsigned = Image(node, "mounted"), Image(node, "unsigned")
    unpacked = Image(node, "unpacked", f"{HOST}:{relay.port}", is_converted=False)
    pod, config, _ = start_pod(node, mounted, unsigned, unpacked)

    def run(name, image, argv=LOOK):
        return node.run_container(pod, config, name, argv, image.reference)
    refused(lambda: run("without", mounted), f"pull: {CREDENTIALS}: ")  # the broker has none
    put(node, CREDENTIALS, json.dumps({"auths": {h: {"auth": base64.b64encode(LOGIN.encode()).decode()} for h in (node.closed.host, f"{HOST}:{relay.port}")}}).encode())
    refused(lambda: run("unsigned", unsigned), "verify: image policy: no signature by the wanted key (0 found)")
    put(node, KEY_ID, b"another key of 32 bytes in place")
    refused(lambda: run("unopened", mounted), "key: layer 1 of 1: ", "wrong key, or a changed annotation")
    put(node, KEY_ID, node.path("image.key").read_bytes())
    assert run("first", mounted) == (0, CANARY + ": mounted\n")
    asked = len(node.closed.requests())
    assert run("second", mounted) == (0, CANARY + ": mounted\n") and len(node.closed.requests()) == asked
    assert node.blob(mounted.layer).exists(), "the guest's layer is not in the node's cache"
    refused(lambda: run("forbidden", mounted, FORBIDDEN), "start: policy allows no container with this args")
    relay.left = 100 << 10  # of a layer that is larger
    refused(lambda: run("dying", unpacked), "pull: layer ", f"registry {HOST}:{relay.port}: after 5 tries: ")
    assert run("third", mounted) == (0, CANARY + ": mounted\n")
    node.remove_pod(pod)
    kept = b"".join(path.read_bytes() for path in (node.cache / "blobs/sha256").iterdir())
    assert CANARY.encode() not in kept, "the node has plaintext"


TESTS = [what_goes_wrong_is_named_and_what_does_not_runs]
options = argparse.ArgumentParser()
options.add_argument("--suite")
options.add_argument("tests", nargs="*", metavar="TEST", choices=[[], *(t.__name__ for t in TESTS)])
options = options.parse_args()
if subprocess.run(["which", "docker-registry", "skopeo"], capture_output=True).returncode != 0:
    skip("docker-registry and skopeo are wanted")
subprocess.run(["ip", "addr", "add", f"{HOST}/32", "dev", "lo"], check=True)
with StorageNode(options.suite) as node:
    node.authority = Authority(node.path("ca"))
    node.closed = Registry(node.folder, node.authority, LOGIN, "closed", HOST)
    try:
        node.start_broker()
        trust(node, node.closed.host)
        node.start(f'[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{node.path("certs.d")}"\n')
        node.make_image("pause", PAUSE, namespaces=["k8s.io"])
        run_tests(TESTS, node, options.tests)
    finally:
        node.closed.stop()
