#!/usr/bin/env python3
"""`cloister measure` as a person uses it: what it prints agrees with itself, with the files and with a second computation
of MRTD and RTMRs; ID blocks hold under OpenSSL; reference values are the same bytes each time; bad files get one line."""
import base64, hashlib, json, os, pathlib, struct, subprocess, tempfile, unittest

BUILD, VECTORS = pathlib.Path(os.environ["CLOISTER_BUILD"]), pathlib.Path(os.environ["CLOISTER_VECTORS"])
CLOISTER, STAGE0 = BUILD / "cloister", BUILD / "firmware/targets/stage0.bin"
PLACE, HEAD = bytes.fromhex("0e7f6c5b0c9f0a4c8f6c2a6e6f1d3b52"), bytes.fromhex("06d63894224fc94cb479a793d411fd21a800")
ENTRIES = [bytes.fromhex(g) for g in ("d82dd09720bd944caa78e7714d36ab2a", "31f7ba442f3ad74b9af141e29169781d",
                                      "3794e74dd2ab7f42b835d5b172d2045b")]
APPEND = "console=hvc0 panic=-1"
sha256 = lambda b: hashlib.sha256(b).digest()
sha384 = lambda b: hashlib.sha384(b).digest()


def run(*words):
    return subprocess.run([str(w) for w in (CLOISTER, "measure", *words)], capture_output=True, text=True)


def mrtd(image):
    """By the words of the specification: BFV measured, page tables and list of memory only added. [TDX module, MRTD]"""
    d = hashlib.sha384()
    record = lambda name, gpa: d.update(name.ljust(16, b"\0") + struct.pack("<Q", gpa) + bytes(104))
    for gpa in range(0xFFFF0000, 0x100000000, 4096):
        record(b"MEM.PAGE.ADD", gpa)
        for at in range(gpa, gpa + 4096, 256):
            record(b"MR.EXTEND", at)
            d.update(image[at - 0xFFFF0000:at - 0xFFFF0000 + 256])
    for gpa in (*range(0x10000, 0x14000, 4096), *range(0x17000, 0x19000, 4096)):
        record(b"MEM.PAGE.ADD", gpa)
    return d.hexdigest()


def register(*digests):
    value = bytes(48)
    for digest in digests:
        value = sha384(value + digest)
    return value.hex()


class Measure(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.kernel, self.initrd = os.urandom(10000), os.urandom(5000)
        (self.folder / "kernel").write_bytes(self.kernel)
        (self.folder / "initrd").write_bytes(self.initrd)
        self.files = ["--firmware", STAGE0, "--kernel", self.folder / "kernel", "--initrd", self.folder / "initrd",
                      "--append", APPEND]

    def good(self, *words):
        done = run(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def bad(self, code, *words):
        done = run(*words)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertRegex(done.stderr, rf"\Acloister: measure {words[0]}: [^\n]+\n\Z")
        return done.stderr

    def test_a_family_of_digests_is_that_of_single_runs(self):
        of = json.loads(self.good("snp", "--vcpus", 5, "--json", *self.files))
        self.assertEqual(list(of["by_vcpus"]), ["1", "2", "3", "4", "5"])
        for n, digest in of["by_vcpus"].items():
            self.assertEqual(self.good("snp", "--vcpus", n, *self.files).strip(), digest)
        self.assertEqual(of["measurement"], of["by_vcpus"]["5"])

    def test_regions_add_up_and_one_vcpu_takes_24_pages(self):
        for n in (1, 2, 16):
            of = json.loads(self.good("snp", "--vcpus", n, "--json", *self.files))
            self.assertEqual(sum(r["pages"] for r in of["regions"]), of["pages"])
            self.assertLessEqual(of["pages"], 24 + n - 1)

    def test_every_input_is_printed(self):
        for platform, more in (("snp", ["--json"]), ("tdx", [])):
            inputs = json.loads(self.good(platform, *more, *self.files))["inputs"]
            for name, content in (("firmware", STAGE0.read_bytes()), ("kernel", self.kernel), ("initrd", self.initrd),
                                  ("append", APPEND.encode() + b"\0")):
                self.assertEqual(inputs[name + "_sha256"], sha256(content).hex())
            self.assertEqual((inputs["vcpus"], inputs["append"]), (1, APPEND))

    def test_each_input_changes_the_launch_digest(self):
        (self.folder / "other").write_bytes(self.kernel + b"x")
        (self.folder / "firmware").write_bytes(b"\x01" + STAGE0.read_bytes()[1:])
        changes = [["--vcpus", 2], ["--vcpu-type", "EPYC-Milan"], ["--guest-features", "0x21"], ["--vmm", "ec2"], ["--vmm", "gce"],
                   ["--append", APPEND + " "], ["--kernel", self.folder / "other"], ["--initrd", self.folder / "other"],
                   ["--firmware", self.folder / "firmware"]]
        digests = {self.good("snp", *self.files, *change) for change in ([], *changes)}
        self.assertEqual(len(digests), len(changes) + 1)

    def test_registers_of_a_td_equal_a_second_computation(self):
        image = bytearray(STAGE0.read_bytes())
        at = len(image) - struct.unpack("<I", image[image.rindex(PLACE) - 6:][:4])[0]
        table = HEAD
        for guid, content in zip(ENTRIES, (APPEND.encode() + b"\0", self.initrd, self.kernel)):
            table += guid + struct.pack("<H", 50) + sha256(content)
        image[at:at + len(table)] = table
        of = json.loads(self.good("tdx", *self.files))
        self.assertEqual(of["mrtd"], mrtd(image))
        self.assertEqual(of["rtmr1"], register(sha384(sha256(self.kernel)), sha384(bytes(4))))
        self.assertEqual(of["rtmr2"], register(sha384(sha256(APPEND.encode() + b"\0")), sha384(sha256(self.initrd))))
        self.assertIsNone(of["rtmr0"])
        self.assertEqual((of["pages_added"], of["pages_measured"]), (22, 16))

    def test_rtmr0_needs_the_tables_and_depends_on_memory(self):
        tables = VECTORS / "tdx/acpi/qemu72_q35_nohpet_2g.tables.bin"
        if not tables.exists():
            self.skipTest("no vectors")
        of = [json.loads(self.good("tdx", *self.files, "--acpi-tables", tables, "--memory", m)) for m in (2048, 4096)]
        self.assertNotEqual(of[0]["rtmr0"], of[1]["rtmr0"])
        self.assertEqual([e["what"] for e in of[0]["events"] if e["rtmr"] == 0],
                         ["TD HOB", "etc/table-loader", "etc/acpi/rsdp", "etc/acpi/tables", "separator"])
        loader, rsdp = (tables.with_name(tables.name.replace("tables", n)).read_bytes() for n in ("loader", "rsdp"))
        digests = [e["digest"] for e in of[0]["events"] if e["rtmr"] == 0]
        for found, content in zip(digests[1:4], (loader, rsdp, tables.read_bytes())):
            self.assertEqual(found, sha384(sha256(content)).hex())

    def test_an_id_block_holds_under_openssl(self):
        key, block, auth = (self.folder / n for n in ("key.pem", "block", "auth"))
        subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key], check=True)
        public = subprocess.run(["openssl", "ec", "-in", key, "-pubout"], check=True, capture_output=True).stdout
        digest = self.good("snp", *self.files, "--id-key", key, "--author-key", key, "--id-block", block, "--id-auth", auth,
                           "--policy", "0x30000", "--guest-svn", 7, "--family-id", "11" * 16, "--image-id", "22" * 16).strip()
        self.assertEqual(block.read_bytes(), bytes.fromhex(digest) + b"\x11" * 16 + b"\x22" * 16 + struct.pack("<IIQ", 1, 7, 0x30000))
        page = auth.read_bytes()
        self.assertEqual(struct.unpack_from("<II", page), (1, 1)) # ECDSA P-384 with SHA-384, both keys
        for message, signature in ((block.read_bytes(), page[0x40:0x240]), (page[0x240:0x644], page[0x680:0x880])):
            self.verify(public, message, signature)

    def verify(self, public, message, signature):
        der = b""
        for half in (signature[:72], signature[72:144]):
            number = half[::-1].lstrip(b"\0")
            number = (b"\0" if number[0] & 0x80 else b"") + number
            der += b"\x02" + bytes([len(number)]) + number
        for name, content in (("public", public), ("message", message), ("signature", b"\x30" + bytes([len(der)]) + der)):
            (self.folder / name).write_bytes(content)
        subprocess.run(["openssl", "dgst", "-sha384", "-verify", self.folder / "public", "-signature", self.folder / "signature",
                        self.folder / "message"], check=True, stdout=subprocess.DEVNULL)

    def test_reference_values_are_the_digests_and_the_same_bytes_each_time(self):
        for platform, name, key in (("snp", "snp_launch_measurement", None), ("tdx", "mr_td", "mrtd")):
            made = []
            for i in "12":
                corim, rvps = self.folder / f"{platform}{i}.corim", self.folder / f"{platform}{i}.rvps"
                out = self.good(platform, *self.files, "--corim", corim, "--rvps", rvps)
                digest = json.loads(out)[key] if key else out.strip()
                payload = json.loads(base64.b64decode(json.loads(rvps.read_text())["payload"]))
                self.assertEqual(payload[name], [digest])
                self.assertTrue(corim.read_bytes().startswith(b"\xd9\x01\xf5"))
                self.assertIn(bytes.fromhex(digest), corim.read_bytes())
                made.append((corim.read_bytes(), rvps.read_bytes()))
            self.assertEqual(*made)

    def test_malformed_firmware_gets_one_line_and_leaves_nothing_behind(self):
        files = [("snp", f) for f in sorted(VECTORS.glob("snp/launch/bad-ovmf-*.bin"))]
        files += [("tdx", f) for f in sorted(VECTORS.glob("tdx/mrtd/bad_*.fd"))]
        for platform, file in files:
            self.bad(1, platform, "--firmware", file, "--rvps", self.folder / "rvps")
            self.assertFalse((self.folder / "rvps").exists())
        for platform in ("snp", "tdx"):
            for length in (0, 1, 4095, 65535):
                (self.folder / "cut").write_bytes(STAGE0.read_bytes()[:length])
                self.bad(1, platform, "--firmware", self.folder / "cut")
            self.bad(1, platform, "--firmware", self.folder / "missing")

    def test_what_cannot_be_meant_is_exit_code_2(self):
        for platform in ("snp", "tdx"):
            self.bad(2, platform)
            self.bad(2, platform, "--firmware", STAGE0, "--append", "x")
            self.bad(2, platform, "--firmware", STAGE0, "--no-such-option")
            self.bad(2, platform, *self.files, "--vcpus", 0)
            self.bad(2, platform, *self.files, "extra")
        self.bad(2, "snp", *self.files, "--vmm", "nobody")
        self.bad(2, "snp", *self.files, "--vcpu-type", "nobody")
        self.bad(2, "snp", *self.files, "--id-key", self.folder / "kernel")


unittest.main()
