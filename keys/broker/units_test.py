#!/usr/bin/env python3
"""The systemd units: systemd-analyze finds nothing wrong and little exposed, and the socket's name is one we take."""
import pathlib, re, shutil, subprocess, sys, tempfile

broker = pathlib.Path(sys.argv[1]).resolve()
here = pathlib.Path(__file__).parent
socket = (here / "cloister-broker.socket").read_text()
service = (here / "cloister-broker.service").read_text()

name = re.search(r"^FileDescriptorName=(.*)$", socket, re.M)[1]
assert f'"{name}"' in (here / "server.c").read_text(), f"the broker takes no socket named {name}"
binary = re.search(r"^ExecStart=(\S+)", service, re.M)[1]
help_text = subprocess.run([broker, "--help"], capture_output=True, text=True, check=True).stdout
for option in re.findall(r" (--[a-z-]+)", re.search(r"^ExecStart=(.*)$", service, re.M)[1]):
    assert option in help_text, f"the broker has no option {option}"

if not shutil.which("systemd-analyze"):
    print("systemd-analyze is not installed: apt-get install systemd")
    sys.exit(77)
with tempfile.TemporaryDirectory() as folder:
    units = pathlib.Path(folder)
    (units / "cloister-broker.socket").write_text(socket)
    (units / "cloister-broker.service").write_text(service.replace(binary, str(broker)))
    done = subprocess.run(["systemd-analyze", "verify", units / "cloister-broker.service", units / "cloister-broker.socket"],
                          capture_output=True, text=True, env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"})
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "cloister-broker" in line]
    assert not ours, "\n".join(ours)
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", units / "cloister-broker.service"],
                          capture_output=True, text=True)
    level = re.search(r"exposure level for .*: ([\d.]+)", done.stdout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    print(f"exposure {level[1] if level else '?'} of 10")
