#!/usr/bin/env python3
"""The shim under Debian's containerd, driven by ctr: one container is one VM."""
import os, signal, subprocess, time

from node import IMAGE, RUNTIME, Node, allowed, enter_namespaces, run_tests, shims_of, vms_of

SH = ["/bin/sh", "-c"]
enter_namespaces()


def run_words(node, *words):
    return ["run", "--snapshotter", "native", "--runtime", RUNTIME, "--runtime-config-path", node.path("development.toml"), *words]


def output_and_exit_code_come_back(node):
    node.development_initdata(allowed(node.image_digest, SH + ["echo out; echo err >&2; exit 42"]))
    done = node.ctr(*run_words(node, "--rm", IMAGE, "t1", *SH, "echo out; echo err >&2; exit 42"), wanted=42)
    assert (done.stdout, done.stderr) == ("out\n", "err\n"), done


def what_policy_does_not_name_is_not_run(node):
    node.development_initdata(allowed(node.image_digest, SH + ["echo good"]))
    done = node.ctr(*run_words(node, "--rm", IMAGE, "t2", *SH, "echo evil"), wanted=None)
    assert done.returncode != 0 and "policy allows no container with this args" in done.stderr, done
    assert "evil" not in done.stdout


def standard_input_arrives_and_ends(node):
    node.development_initdata(allowed(node.image_digest, ["/bin/cat"], input=True))
    done = subprocess.run(["sh", "-c", '(echo line; sleep 2) | "$@"', "sh", node.ctr_program, "-a", node.socket,
                           *run_words(node, "--rm", IMAGE, "stdin", "/bin/cat")], capture_output=True, text=True, timeout=240, cwd=node.folder)
    assert (done.returncode, done.stdout) == (0, "line\n"), done


def a_terminal_is_a_terminal(node):
    script = "[ -t 0 ] && [ -t 1 ] && echo is-a-terminal"
    node.development_initdata(allowed(node.image_digest, SH + [script], terminal=True, input=True))
    words = [str(w) for w in (node.ctr_program, "-a", node.socket, *run_words(node, "--rm", "-t", IMAGE, "tty", *SH, script))]
    done = subprocess.run(["script", "-qec", " ".join(f"'{w}'" for w in words), "/dev/null"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=240, cwd=node.folder)
    assert "is-a-terminal" in done.stdout, done


def wait_for(what, seconds=60):
    for _ in range(seconds * 10):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what.__name__} did not come true")


def a_detached_container_takes_processes_signals_and_a_restart_of_containerd(node):
    script = "trap 'exit 9' TERM; while :; do sleep 0.2; done"
    run, denied = ["/bin/sh", "-c", "echo in exec; exit 5"], ["/bin/sh", "-c", "echo denied"]
    node.development_initdata(allowed(node.image_digest, SH + [script], exec=[run, ["/bin/nowhere"]]))
    node.ctr(*run_words(node, "-d", IMAGE, "t3", *SH, script))
    done = node.ctr("task", "exec", "--exec-id", "e1", "t3", *run, wanted=5)
    assert done.stdout == "in exec\n", done
    done = node.ctr("task", "exec", "--exec-id", "e2", "t3", *denied, wanted=None)
    assert done.returncode != 0 and "policy does not allow this argv" in done.stderr and "denied\n" not in done.stdout, done
    done = node.ctr("task", "exec", "--exec-id", "e3", "t3", "/bin/nowhere", wanted=None)
    assert done.returncode != 0 and "not found" in done.stderr.lower() + done.stdout.lower() or "no such file" in done.stderr.lower(), done
    node.restart_containerd()
    assert "RUNNING" in node.ctr("task", "ls").stdout
    done = node.ctr("task", "exec", "--exec-id", "e4", "t3", *run, wanted=5)
    assert done.stdout == "in exec\n", done
    metrics = node.ctr("task", "metrics", "t3").stdout
    assert "memory" in metrics and "pids.current" in metrics, metrics
    node.ctr("task", "kill", "-s", "TERM", "t3")
    wait_for(lambda: "STOPPED" in node.ctr("task", "ls").stdout)
    assert "exit code 9" in node.ctr("task", "rm", "t3").stderr
    node.ctr("container", "rm", "t3")


def start_another(node):
    """containerd may have dropped a bundle before it could ask for a cleanup: then the next start, of anything, does it."""
    node.ctr("run", "--snapshotter", "native", "--runtime", RUNTIME, "--runtime-config-path", "/nonexistent", IMAGE, "next", wanted=None)
    node.ctr("container", "rm", "next", wanted=None)


def nothing_stays_of_a_shim_that_was_killed(node):
    script = "while :; do sleep 0.2; done"
    node.development_initdata(allowed(node.image_digest, SH + [script]))
    node.ctr(*run_words(node, "-d", IMAGE, "t4", *SH, script))
    (shim,) = shims_of(node)
    os.kill(shim, signal.SIGKILL)
    wait_for(lambda: "RUNNING" not in node.ctr("task", "ls").stdout)
    node.ctr("task", "rm", "t4", wanted=None)
    node.ctr("container", "rm", "t4")
    wait_for(lambda: not shims_of(node))
    start_another(node)


def a_start_that_is_cut_off_leaves_nothing(node):
    """Shim, VM or engine die while the guest boots."""
    node.development_initdata(allowed(node.image_digest, SH + ["echo never"]))
    for victim in ("shim", "vm", "containerd"):
        name = f"cut-{victim}"
        run = subprocess.Popen([str(w) for w in (node.ctr_program, "-a", node.socket, *run_words(node, IMAGE, name, *SH, "echo never"))],
                               cwd=node.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(lambda: vms_of(node))
        if victim == "containerd":
            node.restart_containerd(signal.SIGKILL)
        else:
            os.kill((shims_of if victim == "shim" else vms_of)(node)[0], signal.SIGKILL)
        output, _ = run.communicate(timeout=240)
        assert victim == "containerd" or (run.returncode != 0 and "never\n" not in output), output
        node.ctr("task", "kill", "-s", "KILL", name, wanted=None)  # only the last has a task by now
        wait_for(lambda: f"{name} " not in (tasks := node.ctr("task", "ls").stdout) or "STOPPED" in tasks)
        node.ctr("task", "rm", "-f", name, wanted=None)
        node.ctr("container", "rm", name, wanted=None)
        wait_for(lambda: not shims_of(node) and not vms_of(node))
        start_another(node)


with Node() as node:
    node.start_broker()
    node.start_containerd()
    node.image_digest = node.make_image("workload", IMAGE)
    run_tests([output_and_exit_code_come_back, what_policy_does_not_name_is_not_run, standard_input_arrives_and_ends,
               a_terminal_is_a_terminal, a_detached_container_takes_processes_signals_and_a_restart_of_containerd,
               nothing_stays_of_a_shim_that_was_killed, a_start_that_is_cut_off_leaves_nothing], node)
