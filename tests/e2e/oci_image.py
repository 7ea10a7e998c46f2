"""Builds OCI image layouts for tests and for the demo: from lists of files to blobs, manifest and index.

    layer = Layer([folder("bin"), from_host("bin/busybox", "/bin/busybox"), link("bin/sh", "busybox")], "gzip")
    digest = write_layout("out", [layer], {"Cmd": ["/bin/sh"]}, tag="latest")
"""
import gzip, hashlib, io, json, os, pathlib, subprocess, tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def entry(name, kind, **fields):
    made = tarfile.TarInfo(name)
    made.type, made.mtime, made.mode = kind, 1700000000, 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(made, field, value)
    return made, None


def file(name, content=b"", **fields):
    content = content.encode() if isinstance(content, str) else content
    return entry(name, tarfile.REGTYPE, size=len(content), **fields)[0], content


def from_host(name, path, **fields):
    return file(name, pathlib.Path(path).read_bytes(), **({"mode": os.stat(path).st_mode & 0o7777} | fields))


def folder(name, **fields):
    return entry(name, tarfile.DIRTYPE, **fields)


def link(name, target, **fields):
    return entry(name, tarfile.SYMTYPE, linkname=target, **fields)


def hard_link(name, target, **fields):
    return entry(name, tarfile.LNKTYPE, linkname=target, **fields)


def node(name, kind, major=0, minor=0, **fields):
    return entry(name, kind, devmajor=major, devminor=minor, **fields)


def whiteout(name):
    head, _, tail = name.rpartition("/")
    return file(f"{head}/.wh.{tail}" if head else f".wh.{tail}")


def opaque(name):
    return file(f"{name}/.wh..wh..opq")


def tar_of(entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for made, content in entries:
            tar.addfile(made, io.BytesIO(content) if content is not None else None)
    return out.getvalue()


def pack(plain, packing):
    if packing == "gzip":
        return gzip.compress(plain, 6, mtime=0)
    if packing == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout
    return plain


class Layer:
    """One layer: its tar, given or made from entries, and how it is packed ("none", "gzip", "zstd")."""

    def __init__(self, entries, packing="gzip", form=tarfile.PAX_FORMAT):
        self.tar = entries if isinstance(entries, bytes) else tar_of(entries, form)
        self.packing = packing
        self.blob = pack(self.tar, packing)
        self.diff_id = digest_of(self.tar)

    def media_type(self):
        return LAYER if self.packing == "none" else f"{LAYER}+{self.packing}"


def digest_of(blob):
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def put_blob(layout, blob):
    path = pathlib.Path(layout, "blobs", "sha256", digest_of(blob)[7:])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    return digest_of(blob)


def get_blob(layout, digest):
    return pathlib.Path(layout, "blobs", *digest.split(":")).read_bytes()


def put_json(layout, document):
    return put_blob(layout, json.dumps(document, separators=(",", ":")).encode())


def get_json(layout, digest):
    return json.loads(get_blob(layout, digest))


def descriptor(layout, media_type, digest, **more):
    return {"mediaType": media_type, "digest": digest, "size": len(get_blob(layout, digest)), **more}


def write_index(layout, manifest_digest, tag="latest"):
    made = descriptor(layout, MANIFEST, manifest_digest)
    if tag:
        made["annotations"] = {"org.opencontainers.image.ref.name": tag}
    pathlib.Path(layout, "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    pathlib.Path(layout, "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [made]}))


def write_layout(layout, layers, run=None, tag="latest", architecture="amd64", change=None):
    """Writes the layout; `change(manifest, config)` may tamper before either is stored. Returns the manifest's digest."""
    config = {"architecture": architecture, "os": "linux", "config": run or {},
              "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}
    for layer in layers:
        manifest["layers"].append(descriptor(layout, layer.media_type(), put_blob(layout, layer.blob)))
    if change:
        change(manifest, config)
    manifest["config"] = manifest["config"] or descriptor(layout, CONFIG, put_json(layout, config))
    digest = put_json(layout, manifest)
    write_index(layout, digest, tag)
    return digest


def manifest_digest(layout, tag=None):
    """The digest that the layout's index gives for `tag`; without one the index must have a single entry."""
    manifests = json.loads(pathlib.Path(layout, "index.json").read_text())["manifests"]
    if tag:
        manifests = [m for m in manifests if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag]
    assert len(manifests) == 1, manifests
    return manifests[0]["digest"]


def busybox(layout, files=(), run=None, packings=("gzip", "zstd", "none"), tag="latest"):
    """A small runnable image of three layers from Debian's busybox-static; `files` go into the top one."""
    applets = ["sh", "cat", "echo", "ls", "sleep", "env", "id", "true", "false", "sha256sum", "head", "mount", "kill"]
    bottom = [folder(name) for name in ("bin", "etc", "dev", "proc", "sys", "tmp", "root")]
    bottom += [from_host("bin/busybox", "/bin/busybox", mode=0o755)]
    middle = [link(f"bin/{applet}", "busybox") for applet in applets]
    middle += [file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
               file("etc/group", "root:x:0:\nnogroup:x:65534:\n"), file("etc/gone", "hidden by the top layer\n")]
    top = [whiteout("etc/gone"), *files]
    layers = [Layer(e, p) for e, p in zip((bottom, middle, top), packings)]
    run = run or {"Env": ["PATH=/bin", "HOME=/root"], "Cmd": ["/bin/sh"], "WorkingDir": "/"}
    return write_layout(layout, layers, run, tag)
