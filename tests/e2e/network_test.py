#!/usr/bin/env python3
"""A pod's network in a guest, end to end: CNI's bridge by hand, in namespaces that this test makes and that end with it."""
import ctypes, os, signal, socket, subprocess, threading

from world import CLOISTER, World, run_tests, skip

CLONE_NEWNS, CLONE_NEWNET, MS_REC_PRIVATE = 0x20000, 0x40000000, 0x44000
SCRIPT = ["/bin/sh", "-c"]
libc = ctypes.CDLL(None, use_errno=True)


def sh(text):
    subprocess.run(["sh", "-ec", text], check=True)


def make_namespaces():
    """This process becomes the host of two pods on one bridge. Their namespaces have names in a /run/netns of our own."""
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) != 0:
        skip("namespaces need root")
    sh("mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; ip link set lo up\n"
       "ip link add bridge0 type bridge; ip addr add 10.88.0.1/16 dev bridge0; ip addr add fd88::1/64 dev bridge0 nodad; ip link set bridge0 up\n"
       "ip link add bridge1 type bridge; ip addr add 10.89.0.1/16 dev bridge1; ip link set bridge1 up\n"
       "pod() { ip netns add $1; ip link add v$1 mtu 1400 type veth peer name eth0 netns $1; ip link set v$1 master bridge0 up\n"
       "  ip -n $1 link set eth0 mtu 1400 up; ip -n $1 addr add 10.88.0.$2/16 dev eth0; ip -n $1 addr add fd88::$2/64 dev eth0 nodad\n"
       "  ip -n $1 route add default via 10.88.0.1; ip -n $1 -6 route add default via fd88::1; ip -n $1 link set lo up; }\n"
       "pod guest 10; pod other 11\n"
       "ip link add w type veth peer name net1 netns guest; ip link set w master bridge1 up; ip -n guest link set net1 up\n"
       "ip -n guest addr add 10.89.0.10/16 dev net1")


class Echo:
    """A service that answers each connection with who asked, in a network namespace."""

    def __init__(self, address, namespace=None):
        self.socket = self._in(namespace, lambda: socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @staticmethod
    def _in(namespace, make):
        if not namespace:
            return make()
        ours, theirs = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        assert libc.setns(theirs, CLONE_NEWNET) == 0
        try:
            return make()
        finally:
            assert libc.setns(ours, CLONE_NEWNET) == 0
            os.close(ours), os.close(theirs)

    def _serve(self):
        while True:
            try:
                connection, peer = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"hello {peer[0]}\n".encode() + b"x" * 200000)


def run_in_pod(world, name, script, *more, wanted=0):
    image = world.image(name, SCRIPT + [script])
    digest = world.cloister("initdata", "--digest", "--network", "--broker", world.url, "--broker-ca", world.ca, image)
    world.cloister("reference", "add", "--measurement", world.measure(), "--initdata", digest.stdout.strip(), *world.admin)
    return world.run("--netns", "/run/netns/guest", *more, image, wanted=wanted)


def the_guest_has_the_pods_network_and_reaches_host_and_pod(world):
    host, pod, pod6, net1 = Echo("10.88.0.1"), Echo("10.88.0.11", "other"), Echo("fd88::11", "other"), Echo("10.89.0.1")
    done = run_in_pod(world, "reach", "\n".join([
        "ip -o link; ip -o addr; ip route; ip -6 route",
        f"for to in '10.88.0.1 {host.port}' '10.88.0.11 {pod.port}' 'fd88::11 {pod6.port}' '10.89.0.1 {net1.port}'; do",
        "  /bin/busybox nc -w 20 $to > /tmp/got; head -n 1 /tmp/got; tail -n +2 /tmp/got | wc -c; done"]))
    print(done.stdout)
    for line in ("hello 10.88.0.10\n200000", "hello fd88::10\n200000", "hello 10.89.0.10\n200000"):
        assert line in done.stdout, (line, done.stdout, done.stderr)
    assert done.stdout.count("hello 10.88.0.10\n200000\n") == 2, done.stdout
    for words in ("eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400", "default via 10.88.0.1 dev eth0", "10.88.0.10/16", "fd88::10/64",
                  "net1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500", "10.89.0.10/16", "default via fd88::1 dev eth0"):
        assert words in done.stdout, (words, done.stdout)


def another_pod_reaches_the_guest(world):
    """A service in the guest, asked from another namespace and from the host."""
    # httpd returns once it listens: after "ready" there is nothing left to wait for.
    script = "\n".join(["trap 'exit 0' TERM", "mkdir /tmp/www; echo from the guest > /tmp/www/word", "/bin/busybox httpd -p 8080 -h /tmp/www || exit 1",
                        "echo ready; while :; do sleep 0.1; done"])
    image = world.image("serve", SCRIPT + [script])
    digest = world.cloister("initdata", "--digest", "--network", "--broker", world.url, "--broker-ca", world.ca, image)
    world.cloister("reference", "add", "--measurement", world.measure(), "--initdata", digest.stdout.strip(), *world.admin)
    run = subprocess.Popen([CLOISTER, *map(str, world.run_words("--netns", "/run/netns/guest", image))], cwd=world.folder,
                           env=world.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = run.stdout.readline()
    assert line == "ready\n", (line, run.communicate())

    def ask(namespace):
        with Echo._in(namespace, lambda: socket.create_connection(("10.88.0.10", 8080), 120)) as connection:
            connection.sendall(b"GET /word HTTP/1.0\r\n\r\n")
            return connection.makefile().read().rpartition("\n\n")[2]

    for namespace in ("other", None):
        assert ask(namespace) == "from the guest\n", namespace
    run.send_signal(signal.SIGTERM)
    _, complaint = run.communicate(timeout=120)
    assert run.returncode == 0, complaint


def a_network_that_policy_does_not_grant_is_refused(world):
    image = world.image("none", SCRIPT + ["echo ran"])
    world.cloister("initdata", "--broker", world.url, "--broker-ca", world.ca, "--output", world.path("no-network.toml"), image)
    world.expect(image)
    line = world.refused("boot: policy allows no network", "--netns", "/run/netns/guest", "--initdata", world.path("no-network.toml"), image)
    assert line.startswith("cloister: boot: "), line


def nothing_is_left_in_the_namespace(world):
    links = subprocess.run(["ip", "-n", "guest", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert "cloister" not in links, links
    filters = subprocess.run(["tc", "-n", "guest", "filter", "show", "dev", "eth0", "ingress"], capture_output=True, text=True, check=True).stdout
    assert "mirred" not in filters, filters


make_namespaces()
with World() as world:
    world.start_broker()
    world.image("reach", SCRIPT + ["true"])
    world.put_key()
    run_tests([the_guest_has_the_pods_network_and_reaches_host_and_pod, another_pod_reaches_the_guest,
               a_network_that_policy_does_not_grant_is_refused, nothing_is_left_in_the_namespace], world)
