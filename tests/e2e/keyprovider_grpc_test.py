#!/usr/bin/env python3
"""cloister-keyprovider by gRPC, for a client that is not ours: Debian's python3-grpcio says what ocicrypt's says. Runs under
Debian's own Python. A skopeo that has key providers (Debian 13's has, Debian 12's has not; CLOISTER_SKOPEO names one) is tried too."""
import base64, json, os, pathlib, shutil, signal, subprocess, sys, tempfile

import grpc

BUILD = pathlib.Path(os.environ["CLOISTER_BUILD"])
SERVICE = "/keyprovider.KeyProviderService/"
OPTIONS = b'{"symkey":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","digest":"sha256:' + b"0" * 64 + b'","cipheroptions":{"nonce":"AAECAwQFBgcICQoLDA0ODw=="}}'
failures = 0


def claim(holds, text):
    global failures
    failures += not holds
    print("ok  " if holds else "FAIL", text)


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def document(value):
    text = json.dumps(value).encode()
    return b"\x0a" + varint(len(text)) + text


def answer_of(message):
    assert message[0] == 0x0A
    at, shift, length = 1, 0, 0
    while True:
        length, shift, at = length | (message[at] & 127) << shift, shift + 7, at + 1
        if message[at - 1] < 128:
            break
    assert len(message) == at + length
    return json.loads(message[at:])


def text64(b):
    return base64.b64encode(b).decode()


def wrap_request(parameters):
    return {"op": "keywrap", "keywrapparams": {"ec": {"Parameters": {"attestation-agent": [text64(parameters.encode())]}, "DecryptConfig": {"Parameters": {}}},
                                               "optsdata": text64(OPTIONS)}, "keyunwrapparams": {"dc": None, "annotation": None}}


def unwrap_request(parameters, annotation):
    return {"op": "keyunwrap", "keywrapparams": {"ec": None, "optsdata": None},
            "keyunwrapparams": {"dc": {"Parameters": {"attestation-agent": [text64(parameters.encode())]}}, "annotation": text64(annotation)}}


def start(where, work):
    process = subprocess.Popen([BUILD / "cloister-keyprovider", "--grpc", where], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline().strip()
    claim(line.startswith("listening on "), f"it listens: {line!r}")
    return process, line.removeprefix("listening on ")


def stop(process, text):
    process.send_signal(signal.SIGTERM)
    claim(process.wait(timeout=120) == 0, text)


def call(target, method, message):
    with grpc.insecure_channel(target) as channel:
        return channel.unary_unary(SERVICE + method)(message, timeout=120, wait_for_ready=True)


def status(target, method, message):
    try:
        call(target, method, message)
        return "OK", ""
    except grpc.RpcError as e:
        return e.code().name, e.details()


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    key, wrong = work / "key", work / "wrong"
    key.write_bytes(os.urandom(32)), wrong.write_bytes(os.urandom(32))

    # --- on a UNIX socket ---
    path = work / "keyprovider.sock"
    process, where = start(str(path), work)
    target = f"unix://{path}"
    claim(where == str(path) and path.stat().st_mode & 0o777 == 0o600, "its socket is its owner's alone")
    wrapped = answer_of(call(target, "WrapKey", document(wrap_request(f"keyid=kbs:///a/b/c::keypath={key}"))))
    annotation = bytes(wrapped["keywrapresults"]["annotation"])
    claim(json.loads(annotation)["kid"] == "kbs:///a/b/c" and b"symkey" not in annotation, "a layer's options are wrapped")
    opened = answer_of(call(target, "UnWrapKey", document(unwrap_request(f"keypath={key}", annotation))))
    claim(bytes(opened["keyunwrapresults"]["optsdata"]) == OPTIONS, "and unwrapped again")
    for name, method, message, wanted, part in [
        ("another key", "UnWrapKey", document(unwrap_request(f"keypath={wrong}", annotation)), "FAILED_PRECONDITION", "keyunwrap"),
        ("no such file", "WrapKey", document(wrap_request("keyid=kbs:///a/b/c::keypath=/nonexistent")), "NOT_FOUND", "/nonexistent"),
        ("an operation under the other's method", "WrapKey", document(unwrap_request(f"keypath={key}", annotation)), "INVALID_ARGUMENT", "not the keywrap that was called"),
        ("no JSON", "WrapKey", b"\x0a\x01{", "INVALID_ARGUMENT", "JSON"),
        ("no protobuf", "WrapKey", b"\x0a\x7f{", "INVALID_ARGUMENT", "not of this protocol"),
        ("nothing", "UnWrapKey", b"", "INVALID_ARGUMENT", "JSON"),
        ("another method", "GetKey", b"", "UNIMPLEMENTED", "WrapKey and UnWrapKey"),
        ("more than a MiB", "WrapKey", document({"op": "keywrap", "x": "a" * (1 << 20)}), "RESOURCE_EXHAUSTED", "too large"),
    ]:
        got, details = status(target, method, message)
        claim(got == wanted and part in details, f"{name}: {wanted}: {got} {details!r}")
    claim(answer_of(call(target, "WrapKey", document(wrap_request(f"keyid=kbs:///a/b/c::keypath={key}"))))["keywrapresults"], "it goes on after all that")
    stop(process, "it ends when it is told to")
    claim(not path.exists(), "its socket goes with it")

    # --- on the loopback ---
    process, where = start("127.0.0.1:0", work)
    wrapped = answer_of(call(where, "WrapKey", document(wrap_request(f"keyid=kbs:///a/b/c::keypath={key}"))))
    claim(bool(wrapped["keywrapresults"]["annotation"]), "by a port of the loopback too")

    # --- a skopeo with key providers; Debian 12's has none ---
    image = work / "image"
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import oci_image
    oci_image.write_layout(image, [oci_image.Layer([oci_image.file("f", "content")], "gzip")], {"Cmd": ["/f"]})
    (work / "providers.json").write_text(json.dumps({"key-providers": {"attestation-agent": {"grpc": where}}}))
    skopeo = os.environ.get("CLOISTER_SKOPEO") or shutil.which("skopeo")
    if skopeo:
        env = {**os.environ, "OCICRYPT_KEYPROVIDER_CONFIG": str(work / "providers.json")}
        sealed = subprocess.run([skopeo, "copy", "-q", "--insecure-policy", "--encryption-key", f"provider:attestation-agent:keyid=kbs:///a/b/c::keypath={key}",
                                 f"oci:{image}:latest", f"oci:{work}/sealed:x"], env=env, capture_output=True, text=True, timeout=300)
        if "protocol not recognized" in sealed.stderr:
            print("note: this skopeo has no key providers")
        else:
            claim(sealed.returncode == 0, f"skopeo encrypts with it: {sealed.stderr}")
            back = subprocess.run([skopeo, "copy", "-q", "--insecure-policy", "--decryption-key", f"provider:attestation-agent:keypath={key}",
                                   f"oci:{work}/sealed:x", f"oci:{work}/back:x"], env=env, capture_output=True, text=True, timeout=300)
            claim(back.returncode == 0 and oci_image.manifest_digest(work / "back") == oci_image.manifest_digest(image), f"and decrypts: {back.stderr}")
    stop(process, "it ends when it is told to")

    for where in ["0.0.0.0:0", "127.0.0.1", "127.0.0.1:65536", "localhost:1", "socket"]:
        refused = subprocess.run([BUILD / "cloister-keyprovider", "--grpc", where], capture_output=True, text=True, timeout=120)
        claim(refused.returncode == 1 and "is neither an absolute path nor 127.0.0.1:PORT" in refused.stderr, f"{where}: {refused.stderr.strip()}")

sys.exit(failures > 0)
