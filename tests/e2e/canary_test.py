#!/usr/bin/env python3
"""No plaintext on the host. The payload carries canaries in a file, in its environment and in its layer; after the run
every byte that a host process wrote or received, and every file below the working folder, is searched for them."""
import shutil, subprocess

from oci_image import file
from world import BUILD, CLOISTER, World, skip

FILE, ENVIRONMENT, LAYER = "canary-in-a-file-8c1f", "canary-in-the-environment-77ab", "canary-in-the-layer-30de"
ALLOWED = "the line that policy allows"

if not shutil.which("strace"):
    skip("strace is not installed")



def forms(text):
    """As it stands in a file, and as strace writes it."""
    text = text if isinstance(text, bytes) else text.encode()
    return text, "".join(f"\\x{b:02x}" for b in text).encode()


with World() as world:
    world.start_broker()
    image = world.image("canary", ["/bin/sh", "/etc/run"], [
        file("etc/secret", FILE * 50), file("etc/unused", LAYER * 5000),
        file("etc/run", f"export SECRET={ENVIRONMENT}\nv=$(cat /etc/secret)\nsh -c 'test -n \"$SECRET\"' && echo {ALLOWED}\n")])
    plain = world.path("canary-plain")
    shutil.rmtree(plain)  # the owner's workstation, not the host
    world.put_key()
    world.expect(image)
    trace = world.path("trace")
    done = subprocess.run(["strace", "-f", "-qq", "-xx", "-s", "2000000", "-o", trace, "-e", "trace=read,write,readv,writev,pread64,pwrite64,"
                           "sendto,recvfrom,sendmsg,recvmsg,preadv,pwritev", CLOISTER, *map(str, world.run_words(image))],
                          capture_output=True, text=True, timeout=600, cwd=world.folder, env=world.environment)
    assert done.returncode == 0 and done.stdout == ALLOWED + "\n", (done.returncode, done.stdout, done.stderr)
    world.stop_broker()
    searched = 0
    for path in world.folder.rglob("*"):
        if not path.is_file() or path.name == "image.key":
            continue
        content = path.read_bytes()
        searched += len(content)
        for canary in (FILE, ENVIRONMENT, LAYER):
            assert not any(form in content for form in forms(canary)), f"{canary} stands in {path.name}"
    seen = trace.read_bytes()
    assert forms(ALLOWED)[1] in seen, "the trace does not even see the allowed output: it would see nothing"
    assert forms(world.path("image.key").read_bytes())[1] not in seen, "the host saw the image's key"
    print(f"{searched} bytes searched, 0 canaries found")
