"""A session of `cloister debug`, for tests and benchmarks that look into a guest."""
import os, re, subprocess, threading

from world import CLOISTER, wait_for


class Session:
    """What a person sees and types."""

    def __init__(self, world, *words):
        self.said = {"output": "", "complaints": ""}
        self.process = subprocess.Popen([CLOISTER, "debug", *map(str, world.run_words(*words)[1:])], cwd=world.folder, env=world.environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.readers = [threading.Thread(target=self.read, args=(stream, name), daemon=True)
                        for stream, name in ((self.process.stdout, "output"), (self.process.stderr, "complaints"))]
        for reader in self.readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # when a claim failed; else it has ended
        self.process.wait()

    def read(self, stream, name):
        while piece := os.read(stream.fileno(), 65536):
            self.said[name] += piece.decode(errors="replace").replace("\r", "")

    def sees(self, phrase):
        wait_for(lambda: any(re.search(phrase, text) for text in self.said.values()) or self.process.poll() is not None, phrase)
        assert any(re.search(phrase, text) for text in self.said.values()), (phrase, self.said)

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(120)
        for reader in self.readers:
            reader.join()
        return code
