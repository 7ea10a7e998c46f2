#!/usr/bin/env python3
"""Images from a real registry, as the guest obtains them: logins, names, indexes, signatures, the node's cache."""
import base64, json, os, pathlib, shutil, ssl, subprocess, sys, tempfile, urllib.request

import oci_image
from oci_image import Layer, file, folder, manifest_digest
from registries import ARTIFACT, Authority, Proxy, Puller, Registry, Signer, settings, signature_layout
from unpacking import BUILD, Report

if not shutil.which("docker-registry"):
    print("docker-registry is not installed: tests/setup check")
    sys.exit(77)

report = Report()
work = pathlib.Path(tempfile.mkdtemp(prefix="registry-"))
authority, puller = Authority(work / "ca"), Puller(work / "puller")
other_authority = Authority(work / "other-ca")
LOGIN = "anna:sesame"
registry = Registry(work, authority, LOGIN)
KEY_ID, key = "kbs:///default/image/one", work / "key"
key.write_bytes(os.urandom(32))
puller.put_resource(KEY_ID, key.read_bytes())
login_json = {"auths": {registry.host: {"auth": base64.b64encode(LOGIN.encode()).decode()}}}
puller.put_resource("kbs:///default/credential/good", json.dumps(login_json).encode())
puller.put_resource("kbs:///default/credential/bad", json.dumps(login_json).replace(base64.b64encode(LOGIN.encode()).decode(), base64.b64encode(b"anna:wrong").decode()).encode())
ANY = {"default": [{"type": "insecureAcceptAnything"}]}
GOOD = "kbs:///default/credential/good"


def ours(policy=ANY, credentials=GOOD, **more):
    return settings(**({"ca": authority.ca, "policy": policy, "credentials": credentials} | more))


def expect(name, what, text, *options, **more):
    code, line, facts = puller.pull(name, text, *options, **more)
    report.claim(code == 0, f"{what}: {line}")
    if code == 0:
        report.claim((puller.root / "hello").read_bytes() == HELLO, f"{what}: other content")
    return facts


def refuse(name, what, wanted, text, *options):
    code, line, facts = puller.pull(name, text, *options)
    report.claim(code == 1 and wanted in line, f"{what}: wanted {wanted!r}, got {code} {line}")
    report.claim(not any(puller.root.iterdir()), f"{what}: something was left behind")
    return facts


try:
    HELLO = os.urandom(700000)
    layers = [Layer([folder("bin"), file("hello", HELLO)], "gzip"), Layer([file("second", b"2" * 5000)], "zstd"), Layer([file("third", b"3")], "none")]
    plain, sealed = work / "plain", work / "sealed"
    digest = oci_image.write_layout(plain, layers, {"Cmd": ["/hello"]})
    subprocess.run([BUILD / "cloister", "image", "encrypt", "--key-id", KEY_ID, "--key-file", key, f"oci:{plain}", f"oci:{sealed}:v1"], check=True, capture_output=True)
    sealed_digest = manifest_digest(sealed)
    name = registry.push(f"oci:{plain}:latest", "team/app:v1")
    registry.push(f"oci:{sealed}:v1", "team/app:sealed")

    # --- names and logins ---
    expect(f"{name}:v1", "by tag", ours())
    expect(f"{name}@{digest}", "by digest", ours())
    expect(f"{name}:v1@{digest}", "by tag and digest: the digest counts", ours())
    expect(f"{name}:sealed", "encrypted", ours())
    expect(f"{name}:anything", "pinned by the guest's policy: the tag does not matter", ours(policy=None), "--pinned", digest)
    expect("team/app:v1", "unqualified", ours(registries=f'[image.registry_config]\nunqualified-search-registries = ["{registry.host}"]'))
    expect("far.example/x/app:v1", "remapped", ours(registries=f'[[image.registry_config.registry]]\nprefix = "far.example/x"\nlocation = "{registry.host}/team"'))
    refuse("team/app:v1", "unqualified and nowhere to search", "names no registry", ours())
    refuse(f"{name}:v2", "no such tag", "no v2 in team/app", ours())
    refuse(f"{registry.host}/team/none:v1", "no such repository", "no v1 in team/none", ours())
    refuse(f"{name}:v1", "no credentials", "wants a name and a password", ours(credentials=None))
    refuse(f"{name}:v1", "wrong credentials", "refuses our credentials", ours(credentials="kbs:///default/credential/bad"))
    refuse(f"{name}:v1", "credentials that the broker does not give", "kbs:///default/credential/none", ours(credentials="kbs:///default/credential/none"))
    refuse(f"{name}:v1", "another CA", "UNTRUSTED", ours(ca=other_authority.ca))
    refuse(f"{name}:v1", "no CA", "no CA certificate to trust", ours(ca=None))
    refuse(f"{name}:v1", "a tag without a policy", "a tag may name anything", ours(policy=None))
    refuse(f"{name}:v1", "blocked", "is blocked", ours(registries=f'[[image.registry_config.registry]]\nlocation = "{registry.host}"\nblocked = true'))
    refuse(f"{name}@{digest}", "pinned to another digest", "not the one that the policy wants", ours(), "--pinned", sealed_digest)
    refuse("oci:x", "the host's store without a digest", "by its digest", ours())

    # --- a proxy, and files from the broker instead of the initdata ---
    proxy = Proxy()
    expect(f"{name}:v1", "through a proxy", ours(proxy=f'[image.image_pull_proxy]\nhttps_proxy = "{proxy.url}"'))
    report.claim(proxy.asked and set(proxy.asked) == {f"CONNECT {registry.host}"}, f"the proxy was asked for {proxy.asked}")
    n = len(proxy.asked)
    expect(f"{name}:v1", "around a proxy", ours(proxy=f'[image.image_pull_proxy]\nhttps_proxy = "{proxy.url}"\nno_proxy = "127.0.0.1"'))
    report.claim(len(proxy.asked) == n, "no_proxy: the proxy was asked")
    refuse(f"{name}:v1", "a proxy that is not there", "ERR_OS", ours(proxy='[image.image_pull_proxy]\nhttps_proxy = "http://127.0.0.1:1"'))
    puller.put_resource("kbs:///default/policy/any", json.dumps(ANY).encode())
    puller.put_resource("kbs:///default/policy/none", json.dumps({"default": [{"type": "reject"}]}).encode())
    puller.put_resource("kbs:///default/registries/away", f'[[registry]]\nprefix = "far.example/x"\nlocation = "{registry.host}/team"\n'.encode())
    expect(f"{name}:v1", "the policy from the broker", ours(policy=None) + 'image_security_policy_uri = "kbs:///default/policy/any"\n')
    refuse(f"{name}:v1", "the broker's policy comes first", "the policy rejects it", ours() + 'image_security_policy_uri = "kbs:///default/policy/none"\n')
    refuse(f"{name}:v1", "a policy that the broker does not give is no reason to go without", "kbs:///default/policy/gone", ours() + 'image_security_policy_uri = "kbs:///default/policy/gone"\n')
    expect("far.example/x/app:v1", "registries from the broker", ours() + 'registry_configuration_uri = "kbs:///default/registries/away"\n')

    # --- an index for several machines ---
    index = work / "index"
    shutil.copytree(plain, index)
    entries = [oci_image.descriptor(index, oci_image.MANIFEST, digest, platform={"os": "linux", "architecture": "amd64"}),
               oci_image.descriptor(index, oci_image.MANIFEST, oci_image.write_layout(index, layers, architecture="arm64"), platform={"os": "linux", "architecture": "arm64"})]
    index_digest = oci_image.put_json(index, {"schemaVersion": 2, "mediaType": oci_image.INDEX, "manifests": entries})
    (index / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [oci_image.descriptor(index, oci_image.INDEX, index_digest)]}))
    subprocess.run(["skopeo", "copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", LOGIN, f"oci:{index}", f"docker://{registry.host}/team/app:many"], check=True)
    report.claim(expect(f"{name}:many", "an index", ours())["manifest"] == index_digest, "an index: its digest is the image's")

    # --- mirrors: one that is not there, one that lacks it, then the origin ---
    mirrors = f'[[image.registry_config.registry]]\nlocation = "{registry.host}"\n' + "".join(
        f'[[image.registry_config.registry.mirror]]\nlocation = "{place}"\n' for place in ("127.0.0.1:1", f"{registry.host}/nothing/here"))
    expect(f"{name}:v1", "mirrors that fail", ours(registries=mirrors))

    # --- signatures ---
    owner, stranger = Signer(work, "owner"), Signer(work, "stranger")
    puller.put_resource("kbs:///default/sig/owner", owner.public.read_bytes())

    def signed_by(signer, identity="matchRepository", **more):
        rule = {"type": "sigstoreSigned", "keyData": signer.key_data(), "signedIdentity": {"type": identity}} | more
        return {"default": [{"type": "reject"}], "transports": {"docker": {name: [rule]}}}

    refuse(f"{name}:v1", "not signed", "no signature by the wanted key (0 found)", ours(policy=signed_by(owner)))

    def put_signatures(layers_of, of=digest):
        layout, made = signature_layout(work, layers_of)
        registry.push(f"oci:{layout}:latest", f"team/app:{of.replace(':', '-')}.sig")
        return layout, made

    put_signatures(lambda layout: [stranger.layer(layout, name, digest)])
    refuse(f"{name}:v1", "signed by a stranger", "no signature by the wanted key (1 found)", ours(policy=signed_by(owner)))
    put_signatures(lambda layout: [stranger.layer(layout, name, digest), owner.layer(layout, name, digest, {"version": "7"})])
    expect(f"{name}:v1", "signed, tag form", ours(policy=signed_by(owner)))
    expect(f"{name}:v1", "the key from the broker", ours(policy={"default": [{"type": "sigstoreSigned", "keyPath": "kbs:///default/sig/owner", "signedIdentity": {"type": "matchRepository"}}]}))
    expect(f"{name}:v1", "at the floor", ours(policy=signed_by(owner, floor={"annotation": "version", "atLeast": 7})))
    refuse(f"{name}:v1", "below the floor", "below the floor, 8", ours(policy=signed_by(owner, floor={"annotation": "version", "atLeast": 8})))
    refuse(f"{name}:v1", "no tag was signed", "signedIdentity matchRepository", ours(policy=signed_by(owner, "matchExact")))
    expect(f"{name}@{digest}", "by digest the repository is enough", ours(policy=signed_by(owner, "matchRepoDigestOrExact")))
    refuse(f"{name}:sealed", "another image of the repository", "no signature by the wanted key (0 found)", ours(policy=signed_by(owner)))
    put_signatures(lambda layout: [owner.layer(layout, name, digest)], of=sealed_digest)
    refuse(f"{name}:sealed", "a signature of another image", "of another image", ours(policy=signed_by(owner)))
    put_signatures(lambda layout: [owner.layer(layout, f"{registry.host}/team/other", sealed_digest)], of=sealed_digest)
    refuse(f"{name}:sealed", "signed under another name", f"signed as {registry.host}/team/other", ours(policy=signed_by(owner)))
    refuse(f"{name}:v1", "signed, but another scope rejects", "the policy rejects it", ours(policy={"default": signed_by(owner)["transports"]["docker"][name], "transports": {"docker": {f"{name}:v1": [{"type": "reject"}]}}}))
    # the rule for the name that was asked for applies, whoever serves the image
    away = f'[[image.registry_config.registry]]\nprefix = "far.example/x"\nlocation = "{registry.host}/team"'
    refuse("far.example/x/app:v1", "a mirror does not escape the rule", "the policy rejects it",
           ours(policy=ANY | {"transports": {"docker": {"far.example": [{"type": "reject"}], registry.host: ANY["default"]}}}, registries=away))
    refuse("far.example/x/app:v1", "nor does its name count for the signature", "wanted as far.example/x/app",
           ours(policy={"default": [{"type": "sigstoreSigned", "keyData": owner.key_data(), "signedIdentity": {"type": "matchRepository"}}]}, registries=away))
    expect(f"far.example/x/app@{digest}", "unless the owner says so", ours(registries=away, policy={"default": [
        {"type": "sigstoreSigned", "keyData": owner.key_data(), "signedIdentity": {"type": "remapIdentity", "prefix": "far.example/x", "signedPrefix": f"{registry.host}/team"}}]}))
    # referrers: the registry has no such API, so the list stands under a tag
    layout, made = signature_layout(work, lambda layout: [owner.layer(layout, name, sealed_digest)], tag="x")
    registry.push(f"oci:{layout}:x", "team/app:referring")
    listed = {"schemaVersion": 2, "mediaType": oci_image.INDEX, "manifests": [oci_image.descriptor(layout, oci_image.MANIFEST, made, artifactType=ARTIFACT)]}
    listed_digest = oci_image.put_json(layout, listed)
    request = urllib.request.Request(f"https://{name.replace('/team', '/v2/team')}/manifests/{sealed_digest.replace(':', '-')}", method="PUT", data=oci_image.get_blob(layout, listed_digest),
                                     headers={"Content-Type": oci_image.INDEX, "Authorization": "Basic " + base64.b64encode(LOGIN.encode()).decode()})
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(authority.ca)), timeout=30)
    expect(f"{name}:sealed", "signed, referrers form", ours(policy=signed_by(owner)))

    # --- encryption as a rule ---
    def encrypted(**rule):
        return {"default": [{"type": "encryptedWith"} | rule, {"type": "insecureAcceptAnything"}]}
    refuse(f"{name}:v1", "must be encrypted", "layer 1 of 3: not encrypted", ours(policy=encrypted()))
    expect(f"{name}:sealed", "is encrypted", ours(policy=encrypted()))
    expect(f"{name}:sealed", "with that key", ours(policy=encrypted(keyId=KEY_ID)))
    refuse(f"{name}:sealed", "with another key", f"encrypted with key {KEY_ID}; the policy wants kbs:///default/image/two", ours(policy=encrypted(keyId="kbs:///default/image/two")))

    # --- the node's cache ---
    first = expect(f"{name}:x", "first pod", ours(policy=None), "--pinned", sealed_digest, cache=True)
    kept = {path.name for path in puller.cache.iterdir()}
    report.claim(first["cached"] == "0" and sealed_digest in kept and len(kept) == 5, f"manifest, config and three layers are kept: {kept}")
    n = len(registry.requests())
    second = expect(f"{name}:x", "second pod", ours(policy=None), "--pinned", sealed_digest, cache=True)
    report.claim(second["cached"] == second["pulled"] == first["pulled"], f"second pod: all from the cache: {second}")
    report.claim(len(registry.requests()) == n, f"second pod: the registry was asked {registry.requests()[n:]}")
    refuse(f"{name}:sealed", "policy also for what is cached", "the policy rejects it", ours(policy={"default": [{"type": "reject"}]}), "--pinned", sealed_digest)
    biggest = max(puller.cache.iterdir(), key=lambda path: path.stat().st_size)
    whole = biggest.read_bytes()
    for what, lie in {"wrong bytes": whole[:-1] + bytes([whole[-1] ^ 1]), "short": whole[:-1], "long": whole + b"x", "empty": b"", "missing": None}.items():
        biggest.unlink() if lie is None else biggest.write_bytes(lie)
        facts = expect(f"{name}:x", f"a cache that lies: {what}", ours(policy=None), "--pinned", sealed_digest, cache=True)
        report.claim((facts["failures"] == "0") == (lie is None) and (lie is None or "the node's cache: " in facts["last_failure"]), f"a cache that lies: {what}: reported as {facts}")
        report.claim(biggest.read_bytes() == whole, f"a cache that lies: {what}: not mended")
    shutil.rmtree(puller.cache)
    puller.cache.mkdir()
    expect(f"{name}:x", "a plain image", ours(policy=None), "--pinned", digest, cache=True)
    report.claim(not any(HELLO[:1000] in path.read_bytes() for path in puller.cache.iterdir()) and len(list(puller.cache.iterdir())) == 2, "layers that are not encrypted are not given to the host")
finally:
    registry.stop()
    shutil.rmtree(work, ignore_errors=True)
report.end()
