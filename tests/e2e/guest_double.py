"""A host that plays all parts towards the guest, honest or not: QEMU, the four ports, a signer without a key.

It boots with QEMU's own firmware and TCG: what is tested here is what the agent accepts, not what was measured."""
import gzip, json, os, pathlib, queue, re, shutil, socket, struct, subprocess, tempfile, threading

PORTS = ("cloister.agent", "cloister.blobs", "cloister.broker", "cloister.report")
APPEND = "console=ttyS0 quiet panic=-1 cloister.tee=sim"


# ---- protobuf and ttrpc, as much as is needed ----

def number(tag, value):
    out = bytearray([tag << 3]) if value else b""
    while value:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
    return bytes(out)


def field(tag, content):
    return bytes([tag << 3 | 2]) + number(0, len(content) or 0)[1:] + (b"\0" if not content else b"") + content


def fields(message):
    """tag -> value, the last of each; numbers as int, the rest as bytes."""
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
        value = take()
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        out[key >> 3] = value
    return out


class Port(threading.Thread):
    """Our end of one port. `serve` maps a method's name and fields to the bytes of its answer, or raises to refuse."""

    def __init__(self, end, serve):
        super().__init__(daemon=True)
        self.end, self.serve, self.answers, self.received = end, serve, {}, b""
        self.start()

    def take(self, n):
        while len(self.received) < n:
            more = self.end.recv(65536)
            if not more:
                raise EOFError
            self.received += more
        out, self.received = self.received[:n], self.received[n:]
        return out

    def run(self):
        try:
            while True:
                length, stream, kind, _ = struct.unpack(">IIBB", self.take(10))
                message = fields(self.take(length))
                if kind == 1:
                    threading.Thread(target=self.answer, args=(stream, message), daemon=True).start()
                else:
                    self.answers[stream].put(message)
        except (EOFError, OSError):
            for waiting in self.answers.values():
                waiting.put(None)

    def answer(self, stream, message):
        try:
            envelope = field(2, self.serve(message[2].decode(), fields(message.get(3, b""))))
        except Exception as why:
            envelope = field(1, number(1, 14) + field(2, str(why).encode()))
        self.end.sendall(struct.pack(">IIBB", len(envelope), stream, 2, 0) + envelope)

    def call(self, service, method, payload=b"", seconds=60, stream=1):
        """The answer's envelope, or None when the port closed or nothing came in time."""
        self.answers[stream] = queue.Queue()
        envelope = field(1, service.encode()) + field(2, method.encode()) + field(3, payload)
        self.end.sendall(struct.pack(">IIBB", len(envelope), stream, 1, 0) + envelope)
        try:
            return self.answers[stream].get(timeout=seconds)
        except queue.Empty:
            return None


# ---- what a host gives to a guest ----

def initdata(policy=None, url="https://127.0.0.1:8443", more=""):
    text = f'''version = "0.1.0"
algorithm = "sha256"
[data]
"aa.toml" = \'\'\'
[token_configs.kbs]
url = "{url}"
cert = """{os.environ.get("GUEST_TEST_CA", "none")}"""
\'\'\'
"policy.json" = \'\'\'{json.dumps(policy or {"containers": []})}\'\'\'
{more}'''
    return text.encode()


def initdata_disk(text):
    packed = gzip.compress(text, mtime=0)
    disk = b"initdata" + struct.pack("<Q", len(packed)) + packed
    return disk + bytes(-len(disk) % 512)


def report(report_data, host_data):
    """An SNP report, version 3, that no key has signed."""
    out = bytearray(1184)
    struct.pack_into("<I", out, 0, 3)
    struct.pack_into("<Q", out, 8, 0x30000)
    struct.pack_into("<I", out, 0x34, 1)
    out[0x50:0x90], out[0xC0:0xE0], out[0x188:0x18B] = report_data, host_data, bytes([0x19, 0x11, 1])
    return bytes(out)


class Guest:
    """A running guest. Use as a context manager."""

    def __init__(self, files, disks, append=APPEND, serve=None, ports=PORTS, cpu="max", memory=256, clock="utc"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cloister-e2e-guest-"))
        words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
                 "-machine", "q35,usb=off,smbus=off,hpet=off,vmport=off,graphics=off,i8042=off", "-accel", "tcg", "-cpu", cpu,
                 "-m", str(memory), "-rtc", f"base={clock}", "-kernel", files / "kernel", "-initrd", files / "initrd", "-append", append, "-serial", "stdio",
                 "-device", "virtio-serial-pci,max_ports=8,disable-legacy=on"]
        for i, content in enumerate(disks):
            (self.folder / f"disk{i}").write_bytes(content)
            words += ["-drive", f"file={self.folder}/disk{i},format=raw,if=none,id=disk{i},read-only=on",
                      "-device", f"virtio-blk-pci,drive=disk{i},disable-legacy=on"]
        theirs, self.ports = [], {}
        for i, name in enumerate(ports):
            ours, end = socket.socketpair()
            theirs.append(end)
            self.ports[name] = Port(ours, (serve or {}).get(name, self.refuse))
            words += ["-chardev", f"socket,id=port{i},fd={end.fileno()}", "-device", f"virtserialport,chardev=port{i},name={name}"]
        self.process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, pass_fds=[end.fileno() for end in theirs])
        for end in theirs:
            end.close()

    @staticmethod
    def refuse(method, _):
        raise RuntimeError(f"{method}: not served in this test")

    def last_words(self, seconds=120):
        """Waits until the guest has ended by itself and gives the agent's lines on the console."""
        text = self.process.communicate(timeout=seconds)[0].decode(errors="replace")
        assert "Kernel panic" not in text, text[-2000:]
        return re.findall(r"cloister-agent: [^\r\n]*", text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for port in self.ports.values():
            port.end.close()
        shutil.rmtree(self.folder, ignore_errors=True)
