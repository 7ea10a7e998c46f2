"""Pods and containers by CRI, as the engine tests ask for them. Runs under Debian's own Python."""
import time

import cri_client as cri
from node import IMAGE


def start_pod(node, name, handler="cloister-dev", **more):
    logs = node.path(f"logs-{name}")
    logs.mkdir()
    config = cri.pod_config(name, logs, **more)
    return node.cri.run_pod(config, handler), config, logs


def start_container(node, pod, config, name, argv, image=IMAGE, **more):
    container = node.cri.create(pod, cri.container_config(name, image, argv, **more), config)
    node.cri.call("StartContainer", {1: container})
    return container


def remove_pod(node, pod):
    node.cri.call("StopPodSandbox", {1: pod})
    node.cri.call("StopPodSandbox", {1: pod})
    assert cri.at(node.cri.call("PodSandboxStatus", {1: pod}), 1, 3) == 1, "not NOTREADY"
    node.cri.call("RemovePodSandbox", {1: pod})


def wait_for_log(path, *lines):
    for _ in range(600):
        log = path.read_text()
        if all(line in log for line in lines):
            return
        time.sleep(0.1)
    raise AssertionError(f"wanted {lines} in: {log}")


def connect(node):
    """Until the CRI plugin has read its state."""
    for _ in range(600):
        try:
            node.cri = cri.Cri(node.socket)
            node.cri.call("ListPodSandbox", {})
            return
        except cri.grpc.RpcError:
            time.sleep(0.1)
    raise AssertionError("CRI does not answer\n" + node.log())


def refused(what, *words):
    try:
        what()
    except cri.grpc.RpcError as e:
        assert all(w in e.details() for w in words), e.details()
        return
    raise AssertionError(f"was not refused: wanted {words}")
