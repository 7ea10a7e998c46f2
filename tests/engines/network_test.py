#!/usr/bin/env python3
"""Two pods on a CNI bridge with IPv4, IPv6 and an MTU of its own: to each other, to the node and from it, through a service
address as kube-proxy makes them with iptables, by a port of the node (the portmap plugin), and by a forwarded port."""
import json, shutil, socket, subprocess, threading, urllib.request

from node import IMAGE, PAUSE, Node, allowed, enter_namespaces, run_tests

enter_namespaces()
import cri_client as cri  # noqa: E402  needs gRPC, which only Debian's own Python has
from pods import connect, remove_pod, start_container, start_pod, wait_for_log  # noqa: E402

SH = ["/bin/sh", "-c"]
PORT, HOST_PORT, SERVICE, MTU, LARGE = 8080, 18080, "10.96.0.1", 1400, 1 << 20
SERVE = SH + [f"echo page of $HOSTNAME > /tmp/index.html; /bin/busybox dd if=/dev/zero of=/tmp/large bs={LARGE} count=1 2>/dev/null; "
              f"echo up; exec /bin/busybox httpd -f -p {PORT} -h /tmp"]
GATEWAYS = "10.88.77.1", "fd88::1"


def get(url):
    return f"/bin/busybox wget -q -O - {url}"


def url_of(address, port=PORT, path=""):
    return f"http://[{address}]:{port}/{path}" if ":" in address else f"http://{address}:{port}/{path}"


def configure(node):
    node.write_config()
    d = node.path("c")
    (d / "cni/10-test.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": "test", "plugins": [
        {"type": "bridge", "bridge": "cltest0", "isGateway": True, "ipMasq": False, "hairpinMode": True, "mtu": MTU,
         "ipam": {"type": "host-local", "dataDir": str(d / "ipam"), "ranges": [[{"subnet": "10.88.77.0/24"}], [{"subnet": "fd88::/64"}]],
                  "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
        *([{"type": "portmap", "capabilities": {"portMappings": True}}] if shutil.which("iptables") else [])]}))
    for name in "ipv4/ip_forward", "ipv6/conf/all/forwarding":
        with open(f"/proc/sys/net/{name}", "w") as setting:
            setting.write("1")


def serve_on_the_node():
    """Says who asked. Returns the port."""
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)

    def serve():
        while True:
            connection, address = listener.accept()
            with connection:
                connection.sendall(f"node heard {address[0].removeprefix('::ffff:')}\n".encode())
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def addresses_of(node, pod):
    network = cri.decode(cri.at(node.cri.call("PodSandboxStatus", {1: pod}), 1, 5))
    return [network[1][0].decode()] + [cri.at(more, 1).decode() for more in network.get(2, [])]


def start_server(node, name, exec=(), **more):
    node.development_initdata(allowed(node.image_digest, SERVE, env_names=["HOSTNAME"], exec=list(exec)), network=True)
    pod, config, logs = start_pod(node, name, **more)
    container = start_container(node, pod, config, "main", SERVE)
    wait_for_log(logs / "main.log", "stdout F up\n")
    return pod, container, addresses_of(node, pod)


def fetched(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def pods_reach_each_other_the_node_and_services(node):
    first, _, there = start_server(node, "first", ports=[(PORT, HOST_PORT)])
    assert len(there) == 2 and "." in there[0] and ":" in there[1], there
    node_port = serve_on_the_node()
    ask = {f"pod {a}": SH + [get(url_of(a))] for a in there}
    ask |= {f"node {a}": SH + [f"/bin/busybox nc {a} {node_port} < /dev/null"] for a in GATEWAYS}
    ask |= {"service": SH + [get(url_of(SERVICE, 80))], "mtu": SH + ["cat /sys/class/net/eth0/mtu"],
            "large": SH + [get(url_of(there[0], path="large")) + " | /bin/busybox wc -c"]}
    second, container, here = start_server(node, "second", exec=ask.values())

    def said(what):
        output, error, code = node.cri.exec_sync(container, ask[what])
        assert code == 0, f"{what}: {output}{error}"
        return output
    for address in there:
        assert said(f"pod {address}") == "page of first\n"
        assert fetched(url_of(address)) == b"page of first\n"
    assert len(fetched(url_of(there[1], path="large"))) == LARGE
    assert said("large") == f"{LARGE}\n" and said("mtu") == f"{MTU}\n"
    for gateway, own in zip(GATEWAYS, here):
        assert said(f"node {gateway}") == f"node heard {own}\n"  # nobody stands for the pod on the way
    with node.cri.forward(first, PORT) as stream:
        stream.send(cri.STDIN, b"GET / HTTP/1.0\r\n\r\n")
        stream.until(b"page of first\n")
    if shutil.which("iptables"):
        for rule in (["PREROUTING", "-d", SERVICE, "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", f"{there[0]}:{PORT}"],
                     ["POSTROUTING", "-d", there[0], "-p", "tcp", "--dport", str(PORT), "-j", "MASQUERADE"]):
            subprocess.run(["iptables", "-w", "-t", "nat", "-A", *rule], check=True)
        assert said("service") == "page of first\n"
        assert fetched(url_of(GATEWAYS[0], HOST_PORT)) == b"page of first\n"
    else:
        print("skipped: services and ports of the node need iptables", flush=True)
    remove_pod(node, second)
    remove_pod(node, first)


with Node() as node:
    node.start_broker()
    configure(node)
    node.start_containerd()
    connect(node)
    node.image_digest = node.make_image("workload", IMAGE, namespaces=["k8s.io"])
    node.make_image("pause", PAUSE, namespaces=["k8s.io"])
    run_tests([pods_reach_each_other_the_node_and_services], node)
