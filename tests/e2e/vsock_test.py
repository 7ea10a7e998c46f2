#!/usr/bin/env python3
"""The agent's channel by the host kernel's vhost-vsock. Where this host has none, a guest is the host: Debian's kernel with
vhost_vsock under TCG, and QEMU under TCG in that. Minutes, so `./check long` runs it."""
import os, pathlib, re, subprocess, sys

from world import BUILD, CLOISTER, GUEST, SOURCE, World, run_tests, skip

sys.path.insert(0, str(SOURCE / "guest/initrd"))
import build_initrd  # noqa: E402

# As --dev would serve, but patient: a guest's guest takes minutes for what takes seconds.
BROKER_CONFIG = """listen = "127.0.0.1:PORT"
admin_listen = "same"
store = "/w/broker/store.db"
store_key = "/w/broker/store.key"
tls_certificate = "/w/broker/server.pem"
tls_key = "/w/broker/server.key"
token_certificate = "/w/broker/token.pem"
token_key = "/w/broker/token.key"
admin_key = "/w/broker/admin.pub"
development_root = "/w/dev-tee"
snp_crl_required = false
handshake_seconds = 600
request_seconds = 600
idle_seconds = 600
session_seconds = 3600
"""
KERNEL = SOURCE / "build/kernel"
QEMU = "/usr/bin/qemu-system-x86_64"
QEMU_MODULES = pathlib.Path("/usr/lib/x86_64-linux-gnu/qemu")
COMMAND = ["/bin/sh", "-c", "echo by vsock; exit 7"]

INNER_INIT = r"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /tmp
for m in /modules/*; do insmod $m || echo "no $m"; done
ip link set lo up
date -s @NOW >/dev/null
export PATH=/usr/bin:/bin CLOISTER_DEVELOPMENT_ROOT=/w/dev-tee TMPDIR=/tmp
cloister-broker --config /w/broker/broker.toml >/tmp/broker.out 2>/tmp/broker.log &
until grep -q listening /tmp/broker.out; do sleep 1; cat /tmp/broker.log; done
ls -l /dev/vhost-vsock
cloister run --tee sim --accel tcg --channel vsock --console --timeline --guest /guest --timeout 900 --broker https://127.0.0.1:PORT --broker-ca /w/broker/ca.pem oci:/w/encrypted
echo "exit code $?"
grep -c . /proc/net/vsock 2>/dev/null
poweroff -f
"""


def has_vhost_vsock():
    return os.access("/dev/vhost-vsock", os.R_OK | os.W_OK)


def put_folder(files, target, folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[f"{target}/{path.relative_to(folder)}"] = (0o755 if os.access(path, os.X_OK) else 0o600, path.read_bytes())


def host_initrd(world, port):
    """What the host in a guest is: busybox, QEMU, our programs, the image, and the state of the broker that has its key."""
    files = {"bin/busybox": (0o755, pathlib.Path("/bin/busybox").read_bytes())}
    for name, path in {QEMU: QEMU, "bin/cloister": CLOISTER, "bin/cloister-broker": BUILD / "cloister-broker"}.items():
        build_initrd.add_with_libraries(files, name.lstrip("/"), pathlib.Path(path).read_bytes())
    for module in QEMU_MODULES.glob("accel-tcg-*.so"):
        build_initrd.add_with_libraries(files, str(module).lstrip("/"), module.read_bytes())
    for name in ("firmware", "kernel", "initrd", "cmdline"):
        files[f"guest/{name}"] = (0o644, (GUEST / name).read_bytes())
    for name in ("encrypted", "broker", "dev-tee"):
        put_folder(files, f"w/{name}", world.path(name))
    files["w/broker/broker.toml"] = (0o600, BROKER_CONFIG.replace("PORT", port).encode())
    for i, (name, content) in enumerate(build_initrd.modules_in_order(KERNEL, ["vhost_vsock"])):
        files[f"modules/{i:02}-{name}.ko"] = (0o644, content)
    now = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout.strip()
    files["init"] = (0o755, INNER_INIT.replace("PORT", port).replace("NOW", now).encode())
    folders = {str(above) for name in files for above in pathlib.PurePath(name).parents} - {"."}
    return build_initrd.archive(files, sorted(folders | {"dev", "proc", "sys", "tmp", "etc", "run", "var", "var/tmp"}))


def run_in_guest(world):
    initrd = world.path("host.cpio")
    initrd.write_bytes(host_initrd(world, world.url.rpartition(":")[2]))
    world.stop_broker()
    done = subprocess.run([QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
                           "-smp", "2", "-m", "3072", "-display", "none", "-serial", "stdio", "-kernel", KERNEL / "vmlinuz", "-initrd", initrd,
                           "-append", "console=ttyS0 quiet panic=-1"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", timeout=3000)
    return done.stdout


def a_guest_is_reached_by_vsock(world):
    image = world.image("encrypted", COMMAND)
    world.put_key()
    world.expect(image)
    if has_vhost_vsock():
        done = world.run("--channel", "vsock", image, wanted=7)
        assert done.stdout == "by vsock\n", done
        return
    said = run_in_guest(world)
    print(said)
    assert "/dev/vhost-vsock" in said and re.search(r"^by vsock\s*$", said, re.M) and re.search(r"^exit code 7\s*$", said, re.M)


if not has_vhost_vsock() and not (KERNEL / "vmlinuz").exists():
    skip("neither /dev/vhost-vsock nor a kernel to make it in: tests/setup unpacks one")
with World() as world:
    world.start_broker()
    run_tests([a_guest_is_reached_by_vsock], world)
