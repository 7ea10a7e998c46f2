#!/usr/bin/env python3
"""A broker that dies, breaks off or falls silent at each step of a launch: one line that names the phase, exit code 125, and
nothing left on the host. The broker is real; a front before it, which the guest takes for it, fails at one step."""
import http.client, signal, socket, socketserver, ssl, struct, subprocess, threading

from registries import Authority
from world import CLOISTER, World, run_tests, wait_for

KILLED, RESET, HALF, SILENT = "killed", "reset", "half", "silent"


class Front:
    """Speaks TLS with the guest under a CA of the test's, and passes on what it is asked. `at` is the beginning of a path."""

    def __init__(self, world, authority):
        self.world, self.at, self.how, self.asked = world, None, None, []
        self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_context.load_cert_chain(*authority.issue("front"))
        self.to_broker = ssl.create_default_context(cafile=str(world.ca))
        host, port = world.url.removeprefix("https://").split(":")
        self.broker, outer = (host, int(port)), self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    with outer.server_context.wrap_socket(self.request, server_side=True) as tls:
                        while outer.serve_one(tls):
                            pass
                except (OSError, ValueError):
                    pass  # whichever side went

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve_one(self, tls):
        head = b""
        while b"\r\n\r\n" not in head:
            more = tls.recv(65536)
            if not more:
                return False
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        while len(body) < int(headers.get("Content-Length", 0)):
            body += tls.recv(65536)
        method, path, _ = lines[0].split(" ")
        self.asked.append(path)
        fails = self.at and path.startswith(self.at)
        if fails and self.how == KILLED:
            self.world.broker.kill()
            self.world.broker.wait()
            self.server.server_close()  # nobody listens any more
        if fails and self.how in (KILLED, RESET):
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            tls.close()
            return False
        if fails and self.how == SILENT:
            return bool(tls.recv(1))
        broker = http.client.HTTPSConnection(*self.broker, timeout=60, context=self.to_broker)
        broker.request(method, path, body, {name: value for name, value in headers.items() if name not in ("Host", "Content-Length")})
        answer = broker.getresponse()
        content = answer.read()
        reply = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(content)}\r\n"
        for name, value in answer.getheaders():
            if name.lower() in ("content-type", "set-cookie"):
                reply += f"{name}: {value}\r\n"
        reply = reply.encode() + b"\r\n" + content
        tls.sendall(reply[:-len(content) // 2] if fails else reply)
        return not fails


def fails(at, how, phrase, *options):
    front.at, front.how, front.asked = at, how, []
    line = world.refused(phrase, *options, world.good)
    assert front.asked and front.asked[-1].startswith(at), front.asked  # it came so far, and no further
    return line


def with_the_front_alone_it_runs(world):
    assert world.run(world.good).stdout == "ran\n"
    assert [path.split("/")[3] for path in front.asked] == ["auth", "attest", "resource"], front.asked


def reset_before_the_challenge(world):
    fails("/kbs/v0/auth", RESET, r"attest: broker https://127\.0\.0\.1:\d+: ")


def broken_off_within_the_token(world):
    fails("/kbs/v0/attest", HALF, r"attest: broker https://127\.0\.0\.1:\d+: ")


def broken_off_within_the_key(world):
    fails("/kbs/v0/resource", HALF, r"key: .*broker https://127\.0\.0\.1:\d+: ")


def silent_at_the_evidence(world):
    """The guest's patience is a minute (keys/client has the test of that); whoever started it need not have as much."""
    front.at, front.how, front.asked = "/kbs/v0/attest", SILENT, []
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words(world.good))], cwd=world.folder, env=world.environment, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: "/kbs/v0/attest" in front.asked or run.poll() is not None, "the guest attests")
    run.send_signal(signal.SIGTERM)
    said, complaint = run.communicate(timeout=60)
    assert (run.returncode, said) == (128 + signal.SIGTERM, ""), (run.returncode, said, complaint)


def killed_after_the_challenge(world):
    # The guest connects anew: whether the host's end of the tunnel or the broker's is gone first, is not ours to say.
    fails("/kbs/v0/attest", KILLED, r"attest: broker( https://127\.0\.0\.1:\d+|: tunnel: broker connection): ")


with World() as world:
    world.start_broker()
    authority = Authority(world.path("front-ca"))
    front = Front(world, authority)
    world.url, world.ca = front.url, authority.ca  # of the guest; what is registered goes to the broker itself
    world.good = world.image("good", ["/bin/sh", "-c", "echo ran"])
    world.put_key()
    world.expect(world.good)
    run_tests([with_the_front_alone_it_runs, reset_before_the_challenge, broken_off_within_the_token, broken_off_within_the_key,
               silent_at_the_evidence, killed_after_the_challenge], world)
