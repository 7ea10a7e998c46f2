"""A client of the Kubernetes container runtime interface, as much of it as the tests need: gRPC by Debian's
python3-grpcio, messages as {field number: value}. Runs under Debian's own Python. [cri-api v1]"""
import base64, os, re, socket, struct, time

import grpc

from node import GROUP


def varint(value):
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def encode(message):
    """Numbers, texts, messages, and lists of them; maps of texts are lists of {1: key, 2: value}."""
    out = b""
    for tag, value in message.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, (bool, int)):
                out += (varint(tag << 3) + varint(int(one) & (1 << 64) - 1)) if one else b""
            else:
                content = encode(one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
                out += varint(tag << 3 | 2) + varint(len(content)) + content
    return out


def decode(message):
    """{field number: [value, ...]}; numbers as int, the rest as bytes."""
    at, out = 0, {}

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        key = take()
        if key & 7 == 0:
            value = take()
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            size = take() if size is None else size
            value, at = message[at:at + size], at + size
        out.setdefault(key >> 3, []).append(value)
    return out


def at(message, *path):
    """The first value along a path of field numbers; 0 when it is not there."""
    for tag in path:
        if not isinstance(message, (bytes, bytearray)):
            return 0
        message = decode(message).get(tag, [0])[0]
    return message


def text_map(items):
    return [{1: key, 2: value} for key, value in items.items()]


RUNNING, EXITED = 1, 2


class Cri:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(f"unix:{address}")

    def call(self, method, request, seconds=240):
        stub = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", request_serializer=encode,
                                        response_deserializer=lambda b: b)
        return stub(request, timeout=seconds)

    def begin(self, method, request, seconds=240):
        """The same, without waiting for the answer: a future."""
        return self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", request_serializer=encode,
                                        response_deserializer=lambda b: b).future(request, timeout=seconds)

    def run_pod(self, config, handler):
        return at(self.call("RunPodSandbox", {1: config, 2: handler}), 1).decode()

    def pull(self, reference, login=None):
        """`login` is NAME:PASSWORD."""
        stub = self.channel.unary_unary("/runtime.v1.ImageService/PullImage", request_serializer=encode, response_deserializer=lambda b: b)
        auth = dict(zip((1, 2), login.split(":"))) if login else {}
        return stub({1: {1: reference}, 2: auth}, timeout=240)

    def create(self, pod, config, pod_config):
        return at(self.call("CreateContainer", {1: pod, 2: config, 3: pod_config}), 1).decode()

    def status(self, container):
        """(state, exit code, reason)"""
        s = at(self.call("ContainerStatus", {1: container}), 1)
        return at(s, 3), at(s, 7), (at(s, 10) or b"").decode()

    def wait_exited(self, container, seconds=120):
        for _ in range(seconds * 5):
            state, code, reason = self.status(container)
            if state == EXITED:
                return code, reason
            time.sleep(0.2)
        raise AssertionError("the container did not end")

    def exec_sync(self, container, argv, seconds=60):
        """(stdout, stderr, exit code)"""
        answer = self.call("ExecSync", {1: container, 2: list(argv), 3: seconds})
        return (at(answer, 1) or b"").decode(), (at(answer, 2) or b"").decode(), at(answer, 3)

    def exec_stream(self, container, argv, typed=b"", tty=False, size=None):
        """Through the streaming server, as kubectl exec does. Returns (output, exit code)."""
        url = at(self.call("Exec", {1: container, 2: list(argv), 3: tty, 4: True, 5: True, 6: not tty}), 1).decode()
        with Stream(url) as stream:
            if size:
                stream.send(RESIZE, size)
            if typed:
                stream.send(STDIN, typed)
            return stream.rest()

    def attach(self, container, tty=False):
        """As kubectl attach -i does: a Stream."""
        return Stream(at(self.call("Attach", {1: container, 2: True, 3: tty, 4: True, 5: not tty}), 1).decode())

    def forward(self, pod, port):
        """A connection to a port of the pod, as kubectl port-forward makes them: a Stream."""
        return Stream(at(self.call("PortForward", {1: pod, 2: port}), 1).decode())


STDIN, ERROR, RESIZE = 0, 3, 4


class Stream:
    """The protocol v4.channel.k8s.io: the first byte of a message is its channel. [RFC 6455]"""

    def __init__(self, url):
        host, port, path = re.fullmatch(r"http://([^:/]+):(\d+)(/.*)", url).groups()
        self.socket = socket.create_connection((host, int(port)), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\nOrigin: http://{host}\r\n\r\n".encode())
        self.input = self.socket.makefile("rb")
        self.output, self.status = b"", b""
        assert b" 101 " in self.input.readline()
        while self.input.readline() not in (b"\r\n", b""):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.input.close()

    def send(self, channel, data):
        data = bytes([channel]) + data
        self.socket.sendall(bytes([0x82, 0x80 | len(data)]) + bytes(4) + data)  # masked with zeros

    def receive(self):
        """One message; False when there are no more."""
        head = self.input.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return False
        length = head[1] & 127
        if length > 125:
            length = struct.unpack(">H" if length == 126 else ">Q", self.input.read(2 if length == 126 else 8))[0]
        data = self.input.read(length)
        if data[:1] in (b"\0", b"\1", b"\2"):  # of a forwarded port 0 is the data, 1 what went wrong; elsewhere none comes on 0
            self.output += data[1:]
        elif data[:1] == bytes([ERROR]):
            self.status = data[1:]
        return True

    def until(self, wanted):
        while wanted not in self.output:
            assert self.receive(), f"wanted {wanted}, the stream ended with {self.output} {self.status}"

    def rest(self):
        """(output, exit code)"""
        while self.receive():
            pass
        found = re.search(rb'"reason":"ExitCode","message":"(\d+)"', self.status)
        return self.output.decode(), int(found[1]) if found else 0 if b'"Success"' in self.status else self.status.decode()


OF_POD, OF_CONTAINER, OF_NODE = 0, 1, 2  # whose PID namespace


def pod_config(name, log_directory, annotations=None, host_network=False, memory=0, processes=OF_CONTAINER, cpus=0, ports=(), sysctls=None,
               privileged=False):
    config = {1: {1: name, 2: f"uid-{name}", 3: "default"}, 2: "" if host_network else name, 3: str(log_directory),
              5: [{1: 0, 2: inside, 3: outside} for inside, outside in ports], 7: text_map(annotations or {}),
              8: {1: f"/{GROUP}/kubepods/besteffort/pod{name}", 2: {1: {1: 2 if host_network else 0, 2: processes, 3: 0}, 6: privileged}, 3: text_map(sysctls or {})}}
    if memory or cpus:
        config[8][5] = {1: 100000 if cpus else 0, 2: int(cpus * 100000), 4: memory}
    return config


def container_config(name, image, argv=(), env=None, tty=False, stdin=False, memory=0, mounts=None, read_only=(), processes=OF_CONTAINER,
                     attempt=0, stdin_once=False, devices=None, access="rwm", privileged=False, add=(), masked=(), fixed=()):
    return {1: {1: name, 2: attempt}, 2: {1: image}, 3: list(argv), 6: [{1: k, 2: v} for k, v in (env or {}).items()],
            7: [{1: target, 2: str(source), 3: target in read_only} for target, source in (mounts or {}).items()],
            8: [{1: target, 2: str(source), 3: access} for target, source in (devices or {}).items()],
            11: f"{name}.log" if attempt == 0 else f"{name}-{attempt}.log",
            12: stdin, 13: stdin_once, 14: tty, 15: {1: {4: memory, 5: 1000}, 2: {1: {1: list(add)}, 2: privileged, 3: {1: 0, 2: processes, 3: 0}, 13: list(masked), 14: list(fixed)}}}
