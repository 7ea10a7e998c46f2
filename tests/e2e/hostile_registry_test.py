#!/usr/bin/env python3
"""A registry that lies, stalls, breaks off and babbles, in hundreds of ways. Each ends in one line with a name, or is
made up for; nothing is left in the root, and neither process of the guest dies of it."""
import collections, concurrent.futures, hashlib, json, os, pathlib, re, shutil, socket, socketserver, ssl, sys, tempfile, threading

import oci_image
from oci_image import CONFIG, INDEX, LAYER, MANIFEST, Layer, digest_of, file, tar_of
from registries import Authority, Puller, settings
from unpacking import Report

report = Report()
work = pathlib.Path(tempfile.mkdtemp(prefix="hostile-registry-"))
authority, puller = Authority(work / "ca"), Puller(work / "puller")
cert, key = authority.issue("registry")
RSS_MAX_KIB = 160 << 10 if "sanitized" in os.environ["CLOISTER_BUILD"] else 64 << 10

LAYERS = [Layer([file("one", os.urandom(300000))], "none"), Layer([file("two", b"2" * 9000)], "gzip")]


class Image:
    """Blobs by digest and manifests by tag or digest; the honest one unless `change` says otherwise."""

    def __init__(self, manifest_bytes=None, config=None):
        self.blobs = {digest_of(layer.blob): layer.blob for layer in LAYERS}
        config = config if config is not None else json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
            "type": "layers", "diff_ids": [layer.diff_id for layer in LAYERS]}}).encode()
        self.config_digest = digest_of(config)
        self.blobs[self.config_digest] = config
        self.document = {"schemaVersion": 2, "mediaType": MANIFEST,
                         "config": {"mediaType": CONFIG, "digest": self.config_digest, "size": len(config)},
                         "layers": [{"mediaType": layer.media_type(), "digest": digest_of(layer.blob), "size": len(layer.blob)} for layer in LAYERS]}
        self.manifest = manifest_bytes if manifest_bytes is not None else json.dumps(self.document).encode()
        self.others = {}

    def get(self, kind, name):
        if kind == "manifests":
            return self.manifest if name in ("t", digest_of(self.manifest)) else self.others.get(name)
        return self.blobs.get(name)

    def what(self, kind, name):
        if kind == "manifests":
            return "manifest"
        return "config" if name == self.config_digest else "layer" if name == digest_of(LAYERS[0].blob) else "second"


def answer(body, status="200 OK", *headers, length=True):
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers] + ([f"Content-Length: {len(body)}"] if length else [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def honest(body, request):
    """Also to a request for a range."""
    start = re.search(rb"(?i)\r\nrange: bytes=(\d+)-", request)
    if not start or int(start[1]) >= len(body):
        return answer(body)
    first = int(start[1])
    return answer(body[first:], "206 Partial Content", f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}")


Silence = collections.namedtuple("Silence", "head pause drip")  # then a drip after each pause
Case = collections.namedtuple("Case", "what target image act wanted")  # target: manifest, config, layer or all
cases, counts, lock = {}, collections.Counter(), threading.Lock()


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            self.request.settimeout(20)
            tls = context.wrap_socket(self.request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                more = tls.recv(65536)
                if not more:
                    return
                request += more
            reply = self.reply(request)
            if isinstance(reply, Silence):
                self.keep_waiting(tls, reply)
            elif reply:
                tls.sendall(reply)
            tls.unwrap()
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            tls.close()

    @staticmethod
    def keep_waiting(tls, silence):
        """Until the other side has had enough."""
        tls.sendall(silence.head)
        tls.settimeout(silence.pause)
        while True:
            try:
                if not tls.recv(1):
                    return
            except TimeoutError:
                tls.sendall(silence.drip)

    def reply(self, request):
        path = request.split(b" ")[1].decode(errors="replace")
        found = re.match(r"/(?:v2|token|aside)/?c(\d+)/x/(manifests|blobs|referrers|token)/?(\S*)", path)
        if not found:
            return answer(b"{}", "404 Not Found")
        case, kind, name = cases[int(found[1])], found[2], found[3].split("?")[0]
        body, what = case.image.get(kind, name), "token" if kind == "token" else case.image.what(kind, name)
        with lock:
            counts[found[1], what] += 1
            n = counts[found[1], what]
        if body is None and kind != "token":
            return answer(b"{}", "404 Not Found")
        return case.act(body, request, n, path) if case.target in (what, "all") else honest(body, request)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
host = f"127.0.0.1:{server.server_address[1]}"
good = Image()


def add(what, target, act, wanted=None, image=good):
    """`wanted`: a phrase of the refusal; None: any; "": the image is unpacked all the same."""
    cases[len(cases)] = Case(f"{target}: {what}", target, image, act, wanted)


def always(reply):
    return lambda body, request, n, path: reply(body) if callable(reply) else reply


def once(reply):
    """The first answer is this one, later ones are honest."""
    return lambda body, request, n, path: (reply(body) if callable(reply) else reply) if n == 1 else honest(body, request)


def then(first, second):
    return lambda body, request, n, path: first(body) if n == 1 else second(body, request)


def half(body):
    return answer(body)[:-len(body) // 2]


FLOOD = b"X: y\r\n" * 5000000
# --- statuses, bodies and headers, of each kind of thing ---
for target in ("manifest", "config", "layer"):
    for status in ("204 No Content", "304 Not Modified", "400 Bad Request", "402 Pay", "403 Forbidden", "404 Not Found", "405 No", "410 Gone", "416 Range", "418 Teapot",
                   "451 Law", "500 Oops", "501 No", "502 Gateway", "503 Busy", "504 Late", "507 Full", "599 X", "600 X", "999 X", "000 X", "1 X", "20000 X", "-1 X", "abc X"):
        add(f"status {status}", target, always(lambda body, status=status: answer(b"" if status[:3] in ("204", "304") else b"no", status)))
    add("refused without a challenge", target, always(answer(b"", "401 Unauthorized")), "ERR_UNSUPPORTED")
    add("refused for ever", target, always(answer(b"", "401 Unauthorized", 'WWW-Authenticate: Basic realm="x"')), "a name and a password")
    add("a challenge of another kind", target, always(answer(b"", "401 Unauthorized", "WWW-Authenticate: Negotiate abc")), "kind that we do not know")
    for realm in ("", "http://127.0.0.1:1/", "file:///etc/passwd", "ftp://x/", "//x", "https://", "https://127.0.0.1:1/", "x" * 3000, "https://[::1", "https://a b/", "https://\\x00/"):
        add(f"realm {realm[:30]!r}", target, always(answer(b"", "401 Unauthorized", f'WWW-Authenticate: Bearer realm="{realm}"')))
    add("a challenge of 200 KB", target, always(answer(b"", "401 Unauthorized", 'WWW-Authenticate: Bearer realm="' + "x" * 200000 + '"')))
    for location in ("http://127.0.0.1:1/", "file:///etc/passwd", "gopher://127.0.0.1/", "", "///", "https://127.0.0.1:1/", f"https://{host}/nowhere"):
        add(f"redirect to {location!r}", target, always(answer(b"", "307 Away", f"Location: {location}")))
    add("redirect to itself", target, lambda body, request, n, path: answer(b"", "302 Again", f"Location: {path}"), "ERR_LIMIT")
    add("redirect without a place", target, always(answer(b"", "302 Away")))
    add("a redirect that leads to it", target, lambda body, request, n, path: honest(body, request) if path.startswith("/aside") else
        answer(b"", "307 Aside", f"Location: /aside{path.removeprefix('/v2')}"), "")

    for what, change in {"a flipped bit": lambda b: bytes([b[0] ^ 1]) + b[1:], "a flipped last bit": lambda b: b[:-1] + bytes([b[-1] ^ 1]), "one byte more": lambda b: b + b"x",
                         "one byte less": lambda b: b[:-1], "nothing": lambda b: b"", "twice": lambda b: b + b, "garbage": lambda b: os.urandom(len(b)), "zeros": lambda b: bytes(len(b)),
                         "an error document": lambda b: b'{"errors":[{"code":"UNKNOWN"}]}', "another blob": lambda b: LAYERS[1].blob}.items():
        add(f"body: {what}", target, always(lambda body, change=change: answer(change(body))), None)
    add("breaks off in the middle, always", target, always(half))
    add("breaks off at the first byte, always", target, always(lambda body: answer(body)[:-len(body)]))
    add("breaks off in the headers, always", target, always(b"HTTP/1.1 200 OK\r\nContent-Le"), "breaks off in its headers")
    add("breaks off in the headers, once", target, once(b"HTTP/1.1 200 OK\r\nContent-Le"), "")
    add("breaks off without a word, always", target, always(b""))
    for what, head in {"no status": b"garbage\r\n\r\n", "HTTP/0.9": b"<html>hello</html>", "HTTP/9.9": b"HTTP/9.9 200 OK\r\n\r\n", "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                       "binary": os.urandom(400), "a line without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000000, "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                       "a zero in a header": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", "no colon": b"HTTP/1.1 200 OK\r\nnothing here\r\n\r\n",
                       "folded header": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello", "spaces only": b" " * 5000, "endless 100": b"HTTP/1.1 100 Continue\r\n\r\n" * 3000}.items():
        add(f"head: {what}", target, always(head))
    add("head: five million headers", target, always(b"HTTP/1.1 200 OK\r\n" + FLOOD), "bytes of headers")
    for length in ("-1", "x", "", "99999999999999999999999", "18446744073709551615", "9223372036854775807", "0x10", "1, 2", "5\r\nContent-Length: 6"):
        add(f"length {length!r}", target, always(lambda body, length=length: answer(body, "200 OK", f"Content-Length: {length}", length=False)))
    add("no length, then the end", target, always(lambda body: answer(body, length=False)), "")
    chunked = "Transfer-Encoding: chunked"
    add("chunks", target, always(lambda body: answer(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), "200 OK", chunked, length=False)), "")
    for what, chunk in {"negative": b"-5\r\nhello\r\n", "huge": b"fffffffffffffffff\r\nhello\r\n", "no number": b"xyz\r\nhello\r\n", "cut": b"ffff\r\nhello", "endless size": b"0" * 100000}.items():
        add(f"chunks: {what}", target, always(answer(chunk, "200 OK", chunked, length=False)))
    for coding in ("gzip", "deflate", "br", "x, y", "identity, gzip"):
        add(f"says it is packed: {coding}", target, always(lambda body, coding=coding: answer(body, "200 OK", f"Content-Encoding: {coding}")), "")
    add("a lie about the digest", target, always(lambda body: answer(body, "200 OK", "Docker-Content-Digest: sha256:" + "0" * 64)), "")

    # --- what must be made up for ---
    add("breaks off once", target, once(half), "")
    add("breaks off before the first byte, once", target, once(b""), "")
    for status in ("500 Oops", "502 Gateway", "503 Busy", "429 Slow down"):
        for after in ("0", "1", "x", "-5", ""):
            if after in ("0", "x") or target == "layer":
                add(f"status {status} once, Retry-After {after!r}", target, once(answer(b"", status, f"Retry-After: {after}")), "")
    # --- resumed ---
    add("resumed with the whole", target, then(half, lambda body, request: answer(body)), "")
    for what, headers, status in [("without a range", [], "206 X"), ("from elsewhere", ["Content-Range: bytes 900000-900001/900002"], "206 X"), ("of another size", ["Content-Range: bytes 1-2/3"], "206 X"),
                                  ("a backward range", ["Content-Range: bytes 9-1/99"], "206 X"), ("garbage range", ["Content-Range: x"], "206 X"), ("a wrapping range", ["Content-Range: bytes 18446744073709551615-1/2"], "206 X"),
                                  ("range not satisfiable", [], "416 X"), ("gone", [], "404 X")]:
        add(f"resumed {what}", target, then(half, lambda body, request, headers=headers, status=status: answer(body[:50], status, *headers)))
    add("resumed with other bytes", target, then(half, lambda body, request: honest(b"\0" * len(body), request)), "digest does not match")

# --- tokens ---
bearer = 'WWW-Authenticate: Bearer realm="https://HOST/token/cN/x/token",service="s"'


def with_token(what, reply, wanted=None):
    """The registry opens for the token "good"; `reply(n)` is what the token service answers to the n-th request."""
    challenge = bearer.replace("HOST", host).replace("cN", f"c{len(cases)}")

    def act(body, request, n, path):
        if path.startswith("/token"):
            return reply(n, request) if callable(reply) else reply
        return honest(body, request) if b"authorization: bearer good\r\n" in request.lower() else answer(b"", "401 Unauthorized", challenge)

    add(what, "all", act, wanted)


with_token("token: good", answer(b'{"token":"good"}'), "")
with_token("token: by its other name", answer(b'{"access_token":"good","expires_in":60}'), "")
with_token("token: that does not open", answer(b'{"token":"bad"}'), "refuses those without credentials")
with_token("token: asked for our scope", lambda n, request: answer(b'{"token":"good"}') if b"scope=repository%3Ac" in request and b"%3Apull&service=s" in request else answer(b"", "403 No"), "")
for what, reply in {"none": b"{}", "no JSON": b"x", "empty": b'{"token":""}', "a number": b'{"token":7}', "two lines": b'{"token":"a\\r\\nX: y"}', "huge": b'{"token":"' + b"x" * 100000 + b'"}', "a list": b"[]",
                    "nothing": b"", "deep": b"[" * 100000}.items():
    with_token(f"token: answer: {what}", answer(reply), "token service")
for status in ("301 Away", "400 Bad", "401 No", "403 No", "404 No", "500 Oops", "503 Busy"):
    with_token(f"token: status {status}", answer(b"", status), None)
with_token("token: after a failure", lambda n, request: answer(b'{"token":"good"}') if n > 1 else answer(b"", "503 Busy"), "")

# --- documents ---
D, ok = good.document, json.dumps


def manifest(what, document, wanted=None):
    add(what, "manifest", always(lambda body: answer(body)), wanted, Image(document if isinstance(document, bytes) else ok(document).encode()))


def changed(**members):
    return {name: value for name, value in (D | members).items() if value is not ...}


def layer(**members):
    return changed(layers=[{name: value for name, value in (D["layers"][0] | members).items() if value is not ...}, D["layers"][1]])


for what, document in {
    "empty": b"", "null": b"null", "a list": b"[]", "a text": b'"x"', "a number": b"1", "no members": b"{}", "cut": ok(D).encode()[:-1], "trailing": ok(D).encode() + b"x", "UTF-16": ok(D).encode("utf-16"),
    "a mark of byte order": b"\xef\xbb\xbf" + ok(D).encode(), "a zero": ok(D).encode() + b"\0", "bad UTF-8": ok(D).encode()[:-1] + b',"x":"\xff"}', "a lone surrogate": ok(D).encode()[:-1] + b',"x":"\\ud800"}',
    "the same member twice": ok(D).encode()[:-1] + b',"layers":[]}', "deep": b'{"a":' * 5000 + b"1" + b"}" * 5000, "5 MiB": ok(changed(x="x" * (5 << 20))).encode(), "schema 1": changed(schemaVersion=1),
    "schema as a text": changed(schemaVersion="2"), "no schema": changed(schemaVersion=...), "Docker schema 1": {"schemaVersion": 1, "fsLayers": []}, "another media type": changed(mediaType="application/x"),
    "an index's media type": changed(mediaType=INDEX), "no config": changed(config=...), "config null": changed(config=None), "config a list": changed(config=[]), "another config": changed(config=D["config"] | {"mediaType": "x/y"}),
    "no layers": changed(layers=...), "layers empty": changed(layers=[]), "layers null": changed(layers=None), "layers an object": changed(layers={}), "300 layers": changed(layers=D["layers"] * 150), "a layer null": changed(layers=[None]),
    "layer without a digest": layer(digest=...), "digest empty": layer(digest=""), "digest short": layer(digest="sha256:00"), "digest long": layer(digest="sha256:" + "0" * 65), "digest upper case": layer(digest="sha256:" + "A" * 64),
    "digest of another kind": layer(digest="md5:" + "0" * 32), "digest a path": layer(digest="sha256:../../../../etc/passwd"), "digest a URL": layer(digest="https://x/"), "digest a number": layer(digest=7),
    "size missing": layer(size=...), "size negative": layer(size=-1), "size a text": layer(size="1"), "size a float": layer(size=1.5), "size huge": layer(size=1 << 62), "size beyond": layer(size=1 << 80), "size zero": layer(size=0),
    "size of one more": layer(size=len(LAYERS[0].blob) + 1), "size of one less": layer(size=len(LAYERS[0].blob) - 1), "a terabyte": layer(size=(1 << 40) - 1), "layer type missing": layer(mediaType=...), "layer type unknown": layer(mediaType="application/x"),
    "layer type with a blank": layer(mediaType=LAYER + " "), "annotations a list": layer(annotations=[]), "annotation a number": layer(annotations={"a": 1}), "packed otherwise than said": layer(mediaType=LAYER + "+gzip"),
    "said to be encrypted": layer(mediaType=LAYER + "+encrypted"), "the second layer first": changed(layers=D["layers"][::-1]), "one layer twice": changed(layers=[D["layers"][0]] * 2), "one layer less": changed(layers=D["layers"][:1]),
    "manifest and index": changed(manifests=[]), "an index of nothing": {"schemaVersion": 2, "manifests": []}, "an index for others": {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 3, "platform": {"os": "plan9", "architecture": "amd64"}}]},
    "an index to nowhere": {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 3, "platform": {"os": "linux", "architecture": "amd64"}}]},
    "an index of 2000": {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 3}] * 2000}}.items():
    manifest(what, document)
for what, config in {"empty": b"", "a list": b"[]", "no rootfs": b"{}", "another type": b'{"os":"linux","architecture":"amd64","rootfs":{"type":"x","diff_ids":[]}}',
                     "no diff_ids": b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}',
                     "wrong diff_ids": ok({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64] * 2}}).encode(),
                     "another machine": ok({"os": "linux", "architecture": "arm64", "rootfs": {"type": "layers", "diff_ids": [l.diff_id for l in LAYERS]}}).encode(),
                     "another system": ok({"os": "windows", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [l.diff_id for l in LAYERS]}}).encode(),
                     "Env an object": ok({"os": "linux", "architecture": "amd64", "config": {"Env": {}}, "rootfs": {"type": "layers", "diff_ids": [l.diff_id for l in LAYERS]}}).encode()}.items():
    image = Image(config=config)
    add(f"config: {what}", "manifest", always(lambda body: answer(body)), None, image)

# --- silence: with little patience, and all at once, since they are spent waiting ---
n_quick = len(cases)
for target in ("manifest", "config", "layer"):
    add("says nothing", target, always(Silence(b"", 60, b"")), "ERR_TIMEOUT")
    add("falls silent in the middle", target, always(lambda body: Silence(answer(body)[:-len(body) // 2], 60, b"")), "ERR_TIMEOUT")
    add("says nothing, once", target, once(Silence(b"", 60, b"")), "")
    add("falls silent in the middle, once", target, once(lambda body: Silence(answer(body)[:-len(body) // 2], 60, b"")), "")
add("drips its headers", "layer", always(Silence(b"HTTP/1.1 200 OK\r\nX: ", 0.2, b"x")), "ERR_TIMEOUT")
with_token("token: says nothing", Silence(b"", 60, b""), "ERR_TIMEOUT")
mute = socket.create_server(("127.0.0.1", 0))  # the kernel takes connections, and nobody reads what comes on them

text = settings(ca=authority.ca, policy={"default": [{"type": "insecureAcceptAnything"}]})
if sys.argv[1:]:
    cases = {n: case for n, case in cases.items() if re.search(sys.argv[1], case.what)}
n_refused = 0


def pull(n, by, *options):
    pinned = ["--pinned", digest_of(good.manifest)] if cases[n].image is good and cases[n].target != "all" else []
    return pinned, *by.pull(f"{host}/c{n}/x:t", text, *pinned, *options, timeout=90)


def pull_patiently(n):
    """Nothing is lost when an honest answer takes longer than the patience: it is asked for again."""
    by = Puller(work / f"puller{n}")
    return *pull(n, by, "--patience", "2"), by.root


try:
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        waiting = {n: pool.submit(pull_patiently, n) for n in cases if n >= n_quick}
        mute_name = f"127.0.0.1:{mute.getsockname()[1]}/x:t"
        never = pool.submit(lambda: Puller(work / "mute").pull(mute_name, text, "--patience", "1", timeout=90))
        waiting = {n: done.result() for n, done in waiting.items()}
        report.claim(never.result()[0] == 1 and "pull: ERR_TIMEOUT" in never.result()[1], f"mute: {never.result()}")
    for n, case in cases.items():
        pinned, code, line, facts, root = waiting.get(n) or (*pull(n, puller), puller.root)
        if sys.argv[1:]:
            print(f"{case.what}: {code} {line}")
        report.claim(int(facts["fetcher_rss_kib"]) < RSS_MAX_KIB, f"{case.what}: the fetcher took {facts['fetcher_rss_kib']} KiB")
        if code == 0:
            report.claim(case.wanted in ("", None) and (root / "one").stat().st_size == 300000, f"{case.what}: was taken")
            # what was taken is the image that was asked for, byte for byte: its digests say so
            report.claim(not pinned or facts["manifest"] == digest_of(good.manifest), f"{case.what}: another manifest")
            continue
        n_refused += 1
        report.claim(case.wanted != "" and (case.wanted or "") in line, f"{case.what}: wanted {case.wanted!r}, got {line}")
        report.claim(re.match(r"(pull|verify|unpack|key): ERR_(MALFORMED|UNSUPPORTED|UNTRUSTED|DENIED|NOT_FOUND|LIMIT|TIMEOUT|OS|CONFIG): \S", line) and "\n" not in line, f"{case.what}: {line}")
        report.claim(not any(root.iterdir()), f"{case.what}: something was left behind")
finally:
    server.shutdown()
    shutil.rmtree(work, ignore_errors=True)
print(f"{len(cases)} cases, {n_refused} refused")
report.claim(sys.argv[1:] or n_refused >= 200, "fewer than 200 refusals")
report.end()
