"""A CA, a real registry (Debian's docker-registry), cosign's signatures made with openssl, and pull-image."""
import base64, json, os, pathlib, re, shutil, socket, socketserver, subprocess, tempfile, threading, time

import oci_image
from unpacking import BUILD

SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"
ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"


def openssl(*words, **options):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **options).stdout


class Authority:
    """A CA and certificates by it: for loopback, and for the bridge on which a guest finds a registry."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test CA",
                "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.folder / "ca.key", "-out", self.ca)

    def issue(self, name, san="IP:127.0.0.1,IP:10.88.0.1,DNS:localhost,DNS:registry.test"):
        key, request, cert, extensions = (self.folder / f"{name}{end}" for end in (".key", ".csr", ".pem", ".ext"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions.write_text(f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", extensions, "-out", cert)
        return cert, key


class Registry:
    """docker-registry on a free port, over TLS; with `login` it wants that name and password."""

    def __init__(self, folder, authority, login=None, name="registry", address="127.0.0.1"):
        self.folder = pathlib.Path(folder) / name
        (self.folder / "data").mkdir(parents=True)
        cert, key = authority.issue(name)
        config = f"version: 0.1\nlog: {{accesslog: {{disabled: false}}, level: warn}}\nstorage: {{filesystem: {{rootdirectory: {self.folder}/data}}}}\n" \
                 f"http: {{addr: '{address}:0', tls: {{certificate: {cert}, key: {key}}}}}\n"
        self.login = login
        if login:
            import crypt
            user, password = login.split(":")
            (self.folder / "htpasswd").write_text(f"{user}:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
            config += f"auth: {{htpasswd: {{realm: test, path: {self.folder}/htpasswd}}}}\n"
        (self.folder / "config.yml").write_text(config)
        self.log = self.folder / "log"
        self.process = subprocess.Popen(["docker-registry", "serve", self.folder / "config.yml"], stdout=self.log.open("w"), stderr=subprocess.STDOUT,
                                        env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"})
        self.host = f"{address}:{self.port()}"

    def port(self):
        """It says which port it got only in its log at a level that we silence, so the kernel is asked."""
        for _ in range(600):
            inodes = set()
            for fd in pathlib.Path(f"/proc/{self.process.pid}/fd").glob("*"):
                try:
                    inodes.add(os.readlink(fd))
                except OSError:
                    pass
            for line in pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                    return int(words[1].split(":")[1], 16)
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError("the registry does not listen")

    def push(self, layout, name, digest=None):
        """Copies what the layout names into the registry, byte for byte. Returns the reference without a tag."""
        creds = ["--dest-creds", self.login] if self.login else []
        subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", *creds, layout, f"docker://{self.host}/{name}"],
                       check=True, capture_output=True, text=True, timeout=120)
        return f"{self.host}/{name.split(':')[0]}"

    def requests(self):
        return re.findall(r'"(?:GET|HEAD) (\S+)', self.log.read_text())

    def stop(self):
        self.process.kill()
        self.process.wait()


class DyingRelay:
    """Before the registry, under its name: after so many bytes of its answers it is gone, and nobody listens there any more."""

    def __init__(self, host, most):
        address, port = host.split(":")
        self.to, self.left = (address, int(port)), most
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while self.left > 0:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.to)
            for source, sink, counts in ((near, far, 0), (far, near, 1)):
                threading.Thread(target=self.move, args=(source, sink, counts), daemon=True).start()

    def move(self, source, sink, counts):
        try:
            while self.left > 0 and (piece := source.recv(65536)):
                self.left -= counts * len(piece)
                sink.sendall(piece)
        except OSError:
            pass  # the other side went
        if self.left <= 0:
            self.listener.close()
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed already


class Proxy:
    """An HTTP proxy on loopback that knows CONNECT and nothing else, and where it was asked to go."""

    def __init__(self):
        self.asked, outer = [], self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                request = b""
                while b"\r\n\r\n" not in request:
                    more = self.request.recv(4096)
                    if not more:
                        return
                    request += more
                method, target = request.decode().split(" ")[:2]
                outer.asked.append(f"{method} {target}")
                if method != "CONNECT":
                    self.request.sendall(b"HTTP/1.1 405 No\r\n\r\n")
                    return
                host, port = target.rsplit(":", 1)
                with socket.create_connection((host, int(port)), 20) as far:
                    self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    back = threading.Thread(target=self.move, args=(far, self.request))
                    back.start()
                    self.move(self.request, far)
                    back.join()

            @staticmethod
            def move(source, sink):
                try:
                    while piece := source.recv(65536):
                        sink.sendall(piece)
                    sink.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Signer:
    """Signs as cosign does, and stores the signature as cosign stores it."""

    def __init__(self, folder, name):
        self.key, self.public = pathlib.Path(folder) / f"{name}.key", pathlib.Path(folder) / f"{name}.pub"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        openssl("pkey", "-in", self.key, "-pubout", "-out", self.public)

    def key_data(self):
        return base64.b64encode(self.public.read_bytes()).decode()

    def layer(self, layout, reference, digest, optional=None):
        payload = json.dumps({"critical": {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": digest},
                                           "type": "cosign container image signature"}, "optional": optional}).encode()
        signature = openssl("dgst", "-sha256", "-sign", self.key, input=payload)
        return oci_image.descriptor(layout, SIGNATURE, oci_image.put_blob(layout, payload),
                                    annotations={"dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()})


def signature_layout(folder, layers_of, tag="latest", referrer=False):
    """A layout with the signature manifest; `layers_of(layout)` gives its layers."""
    layout = tempfile.mkdtemp(dir=folder)
    layers = layers_of(layout)
    config = {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [l["digest"] for l in layers]}, "config": {}}
    manifest = {"schemaVersion": 2, "mediaType": oci_image.MANIFEST, "layers": layers,
                "config": oci_image.descriptor(layout, oci_image.CONFIG, oci_image.put_json(layout, config))}
    digest = oci_image.put_json(layout, manifest)
    oci_image.write_index(layout, digest, tag)
    return layout, digest


def settings(ca=None, policy=None, credentials=None, registries="", proxy=""):
    """The text of cdh.toml."""
    lines = ["[image]"]
    if ca:
        lines.append(f"extra_root_certificates = ['''{pathlib.Path(ca).read_text()}''']")
    if policy:
        lines.append(f"image_security_policy = '''{json.dumps(policy)}'''")
    if credentials:
        lines.append(f'authenticated_registry_credentials_uri = "{credentials}"')
    return "\n".join(lines) + f"\n{proxy}\n{registries}\n"


class Puller:
    """pull-image with a settings file of each call's own, into a fresh root."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.root, self.cache, self.resources = (self.folder / name for name in ("root", "cache", "resources"))
        for path in (self.cache, self.resources):
            path.mkdir(parents=True, exist_ok=True)

    def put_resource(self, uri, content):
        path = self.resources / uri.removeprefix("kbs:///")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def pull(self, name, text, *options, cache=False, timeout=120):
        """Returns the exit code, the line on standard error, and what it reports as a dictionary."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        (self.folder / "cdh.toml").write_text(text)
        owner = [] if os.geteuid() == 0 else ["--our-owner"]
        where = ["--cache", self.cache] if cache else []
        done = subprocess.run([BUILD / "pull-image", "--settings", self.folder / "cdh.toml", "--resources", self.resources, "--backoff", "1", *owner,
                               *where, *map(str, options), name, self.root], capture_output=True, text=True, timeout=timeout, errors="replace")
        assert done.returncode in (0, 1), f"pull-image ended with {done.returncode}: {done.stderr}"
        facts = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        assert facts.get("fetcher_status") == "0", f"the fetcher ended with {facts.get('fetcher_status')}: {done.stderr}"
        return done.returncode, done.stderr.strip(), facts
