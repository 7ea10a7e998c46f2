#!/usr/bin/env python3
"""Hostile archives: whatever is in a layer, nothing outside the root changes, and each failure has a name."""
import gzip, io, os, pathlib, struct, subprocess, tarfile, zlib

from oci_image import Layer, file, folder, hard_link, link, node, opaque, tar_of, whiteout
from unpacking import Report, Sandbox

report = Report()
box = Sandbox()
OUT = str(box.outside)
n_archives = 0


def attempt(name, layers, wanted=None, *options):
    """`wanted`: None for any outcome, "" for success, else a part of the error line. The oracle holds always."""
    global n_archives
    n_archives += 1
    code, line = box.unpack(layers, *options)
    report.claim(box.is_untouched(), f"{name}: something outside the root changed")
    if code == 1:
        report.claim(line.count("\n") == 0 and line.split(":")[0] in ("pull", "verify", "unpack", "key"), f"{name}: unnamed error: {line}")
        report.claim(box.is_root_empty(), f"{name}: failed and left files in the root")
    if wanted is not None:
        report.claim((code == 0) if wanted == "" else (code == 1 and wanted in line), f"{name}: wanted {wanted!r}, got {code} {line}")


def plain(entries, form=tarfile.PAX_FORMAT):
    return Layer(entries, "none", form)


def raw(blob):
    return Layer(blob, "none")


def header(name=b"f", size=0, kind=b"0", link_name=b"", mode=b"0000644\0", magic=b"ustar\x0000", checksum=None, tail=b""):
    """A header by hand, for what tarfile would not write."""
    size = size if isinstance(size, bytes) else b"%011o\0" % size
    block = name.ljust(100, b"\0")[:100] + mode + b"0000000\0" * 2 + size + b"00000000000\0" + b" " * 8 + kind
    block += link_name.ljust(100, b"\0") + magic + b"\0" * 64 + b"0000000\0" * 2
    block = (block + tail.rjust(len(tail), b"\0")).ljust(512, b"\0")
    total = sum(block) if checksum is None else checksum
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(content):
    return content + b"\0" * (-len(content) % 512)


def pax(*records, kind=b"x"):
    content = b"".join(records)
    return header(b"pax", len(content), kind) + padded(content)


def record(name, value):
    name, value = (x.encode() if isinstance(x, str) else x for x in (name, value))
    body = b" " + name + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


END = b"\0" * 1024

# --- names of every shape, for every kind of entry ---
NAMES = ["../x", "..", "../../x", "a/../../x", "a/../x", "a/..", "/../x", "./../x", "a/./../../x", "../outside/victim",
         "/../outside/victim", f"..{OUT}/victim", "a/../../outside/victim", "....//../x", "../", "../../../../../../../../etc/x"]
for name in NAMES:
    kinds = {"file": file(name, b"evil"), "folder": folder(name, mode=0o700), "link": link(name, OUT),
             "hard": hard_link(name, "base"), "fifo": node(name, tarfile.FIFOTYPE), "char": node(name, tarfile.CHRTYPE, 1, 3)}
    for kind, entry in kinds.items():
        slash = kind == "file" and name.endswith("/")  # a folder to tar, and then one with content
        attempt(f"{kind} named {name}", [plain([file("base"), entry])], "not a file" if slash else '".."')
    attempt(f"hard link to {name}", [plain([hard_link("x", name)])], '".."')

for name, wanted in [("n" * 256, "too long"), ("a/" * 2100 + "x", "path of"), ("d/" * 200 + "x", "201 steps"), ("n" * 255, ""), ("./", "not a file"),
                     ("x/", "not a file"), ("/abs/olute", ""), ("//a//b", ""), ("./a/./b", ""), ("new\nline", ""), ("caf\u00e9", ""), ("\udcff", None)]:
    attempt(f"file named {name[:20]!r}", [plain([file(name, b"x")])], wanted)

# --- a link, then something through it ---
TARGETS = [OUT, "../outside", "../../outside", "/", "..", "../..", f"/../../..{OUT}", "/proc/self/root", "/proc/self/cwd/../outside",
           f"{OUT}/deep", "../outside/deep", "."]
for target in TARGETS:
    through = {"file": [file("l/victim", b"evil")], "new file": [file("l/new", b"evil")], "folder": [folder("l/deep", mode=0o777)],
               "the link as folder": [folder("l", mode=0o777)], "the link as file": [file("l", b"evil")],
               "link": [link("l/victim", "/etc/passwd")], "hard link from": [hard_link("got", "l/victim")],
               "hard link to": [file("mine", b"evil"), hard_link("l/victim", "mine")], "fifo": [node("l/new", tarfile.FIFOTYPE)],
               "device": [node("l/new", tarfile.CHRTYPE, 1, 3)], "deep": [file("l/deep/victim", b"evil")],
               "dots": [file("l/../victim", b"evil")]}
    for what, entries in through.items():
        attempt(f"{what} through a link to {target}", [plain([link("l", target), *entries])])
    for what, entries in {"whiteout": [whiteout("l/victim")], "opaque": [opaque("l")], "whiteout of it": [whiteout("l")],
                          "opaque deep": [opaque("l/deep")]}.items():
        attempt(f"{what} through a link to {target}", [plain([link("l", target)]), plain(entries)])

# a chain of links, and a hard link to a link that is then written
attempt("a chain of links", [plain([link("a", ".."), link("b", "a/.."), link("c", "b/.."), file("c/outside/victim", b"evil")])])
attempt("a hard link to a link, replaced", [plain([link("l", f"{OUT}/victim"), hard_link("h", "l"), file("h", b"evil")])], "")
report.claim((box.root / "h").read_bytes() == b"evil", "the new file did not replace the hard link")
attempt("links in a circle", [plain([link("a", "b"), link("b", "a"), file("a/x", b"evil")])], "not a folder")
attempt("a parent that is a file", [plain([file("a", b"1"), file("a/b", b"2")])], "not a folder")
attempt("a hard link to nothing", [plain([hard_link("a", "b")])], "not there")
attempt("a hard link to a folder", [plain([folder("d"), hard_link("a", "d")])], "a hard link to a folder")
attempt("a hard link to itself", [plain([file("a", b"1"), hard_link("a", "a")])], "")

# --- whiteouts ---
for name, wanted in [(".wh.", "whiteout of nothing"), (".wh..", "whiteout of nothing"), (".wh...", "whiteout of nothing"),
                     (".wh..wh.plnk", "AUFS"), (".wh..wh.aufs", "AUFS"), (".wh.a/b", "through a whiteout"),
                     ("d/.wh.a/b", "through a whiteout"), (".wh.gone", ""), ("no/such/.wh.x", ""), ("d/.wh..wh..opq", "")]:
    attempt(f"whiteout {name}", [plain([folder("d"), file("d/a")]), plain([file(name)])], wanted)
attempt("a whiteout that is a folder", [plain([file("a")]), plain([folder(".wh.a")])], "not a file")
attempt("a whiteout that is a link", [plain([file("a")]), plain([link(".wh.a", "x")])], "not a file")
attempt("a hard link to a whiteout", [plain([file("a"), hard_link("b", ".wh.a")])], "hard link")

# --- archives that break their format ---
good = header(b"f", 5) + padded(b"hello")
for cut in range(1, len(good), 37):
    attempt(f"cut at {cut}", [raw(good[:cut])], "ends in the middle")
attempt("cut before the end mark", [raw(good)], "")
attempt("an empty archive", [raw(b"")], "")
attempt("only an end mark", [raw(END)], "")
attempt("a wrong checksum", [raw(header(checksum=1) + END)], "checksum")
attempt("all ones", [raw(b"\xff" * 1024)], "tar header")
attempt("bytes behind the end", [raw(good + END + b"x")], "behind the end mark")
attempt("a file behind the end", [raw(good + END + good)], "behind the end mark")
attempt("a lone zero block", [raw(good + b"\0" * 512 + good + END)], "behind the end mark")
for size in (b"77777777777\0", b"99999999999\0", b"-0000000001\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\x80\0\0\0\x7f" + b"\xff" * 7, b"0x000000010\0", b"\0" * 12):
    attempt(f"size {size!r}", [raw(header(b"f", size) + END)], None)
for kind in b"189ABDEFGHIJMNOPQRTUVWYZazX\x01\xff":
    kind = bytes([kind])
    attempt(f"type {kind!r}", [raw(header(b"f", 0, kind) + END)], None if kind in b"17" else "an entry of type")
for kind in b"123456":
    attempt(f"content in type {chr(kind)}", [raw(header(b"f", 5, bytes([kind]), b"t") + padded(b"hello") + END)], "content in an entry")
for kind in b"12":
    attempt(f"link of type {chr(kind)} to nothing", [raw(header(b"f", 0, bytes([kind])) + END)], "a link to nothing")
attempt("no name", [raw(header(b"") + END)], "without a name")

# --- extended headers ---
next_file = header(b"f") + END
for what, blocks, wanted in [
    ("no length", header(b"p", 4, b"x") + padded(b"a=b\n"), "without a length"),
    ("zero length", header(b"p", 6, b"x") + padded(b"0 a=b\n"), "without a length"),
    ("long length", header(b"p", 7, b"x") + padded(b"99 a=b\n"), "length is wrong"),
    ("short length", header(b"p", 6, b"x") + padded(b"5 a=b\n"), "length is wrong"),
    ("huge length", header(b"p", 30, b"x") + padded(b"99999999999999999999999 a=bbb\n"), "without a length"),
    ("no name", pax(record("", "x")), "without a name"),
    ("no equals", header(b"p", 5, b"x") + padded(b"5 ab\n"), "without a name"),
    ("two of them", pax(record("path", "a")) + pax(record("path", "b")), "two extended"),
    ("a zero in a path", pax(record("path", b"a\0b")), "zero byte"),
    ("an evil path", pax(record("path", "../x")), '".."'),
    ("an empty path", pax(record("path", "")), ""),
    ("a long path", pax(record("path", "a" * 5000)), "at most 4095"),
    ("size not a number", pax(record("size", "x")), "not a decimal"),
    ("a negative size", pax(record("size", "-1")), "not a decimal"),
    ("a wrapping size", pax(record("size", "18446744073709551616")), "not a decimal"),
    ("size beyond the end", pax(record("size", "9223372036854775807")), None),
    ("uid out of range", pax(record("uid", "4294967296")), "not a decimal"),
    ("a bad time", pax(record("mtime", "1.x")), "not a time"),
    ("a far time", pax(record("mtime", "9223372036854775807")), None),
    ("a global path", pax(record("path", "../x"), kind=b"g"), "global"),
    ("a global size", pax(record("size", "5"), kind=b"g"), "global"),
    ("a global comment", pax(record("comment", "fine"), kind=b"g"), ""),
    ("nothing behind it", None, "ends in the middle"),
    ("a huge one", header(b"p", 1 << 30, b"x"), "at most"),
    ("too many attributes", pax(*(record(f"SCHILY.xattr.user.a{i}", "x") for i in range(65))), "more than 64"),
    ("an attribute without a name", pax(record("SCHILY.xattr.", "x")), "the name of an extended attribute"),
    ("a trusted attribute", pax(record("SCHILY.xattr.trusted.overlay.opaque", "y")), ""),
    ("two long names", header(b"L", 2, b"L") + padded(b"a\0") + header(b"L", 2, b"L") + padded(b"b\0"), "two long names"),
    ("an empty long name", header(b"L", 1, b"L") + padded(b"\0"), "long name"),
    ("a long name with a zero", header(b"L", 4, b"L") + padded(b"a\0b\0"), "long name"),
    ("a long name too long", header(b"L", 1 << 20, b"L"), "at most"),
    ("an evil long name", header(b"L", 5, b"L") + padded(b"../x\0"), '".."'),
    ("a long link alone", header(b"K", 5, b"K") + padded(b"../x\0"), ""),
]:
    blocks = pax(record("path", "a")) if blocks is None else blocks + next_file
    attempt(f"extended header: {what}", [raw(blocks)], wanted)

# --- sparse files ---
def sparse(size, *records, content=b""):
    return raw(pax(record("GNU.sparse.major", "0"), *records) + header(b"s", size) + padded(content) + END)

for what, layer, wanted in [
    ("overlap", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.map", "0,5,3,3"), content=b"12345678"), "overlap"),
    ("beyond the end", sparse(8, record("GNU.sparse.size", "6"), record("GNU.sparse.map", "0,8"), content=b"12345678"), "overlap"),
    ("wrapping", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.map", "9223372036854775807,8"), content=b"12345678"), "overlap"),
    ("sum too small", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.map", "0,4"), content=b"12345678"), "whose map says"),
    ("no size", sparse(8, record("GNU.sparse.map", "0,8"), content=b"12345678"), "without its size"),
    ("an odd map", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.map", "0,8,9"), content=b"12345678"), "offset without"),
    ("a map of letters", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.map", "a,b"), content=b"12345678"), "decimal"),
    ("length first", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.numbytes", "8"), content=b"12345678"), "misplaced"),
    ("an exbibyte", sparse(0, record("GNU.sparse.size", str(1 << 60)), record("GNU.sparse.map", "0,0")), "a file of"),
    ("a good one", sparse(8, record("GNU.sparse.size", "100"), record("GNU.sparse.map", "0,4,96,4"), content=b"12345678"), ""),
    ("1.0: no map", raw(pax(record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "9")) + header(b"s") + END), "does not end"),
    ("1.0: map cut", raw(pax(record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "9")) + header(b"s", 4) + padded(b"2\n0\n") + END), "does not end"),
    ("1.0: many pieces", raw(pax(record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "9")) + header(b"s", 512) + padded(b"99999999\n") + END), "pieces of a sparse"),
    ("1.0: endless number", raw(pax(record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "9")) + header(b"s", 512) + b"1" * 512 + END), "does not end"),
    ("2.0", raw(pax(record("GNU.sparse.major", "2"), record("GNU.sparse.realsize", "9")) + header(b"s") + END), "GNU.sparse.major"),
]:
    attempt(f"sparse: {what}", [layer], wanted)

# --- budgets ---
attempt("too many files", [plain([file(f"f{i}") for i in range(101)])], "more than 100 files", "--inodes", "100")
attempt("too many links", [plain([file("f"), *(hard_link(f"l{i}", "f") for i in range(100))])], "more than 100 files", "--inodes", "100")
attempt("too many folders in between", [plain([file("a/" * 60 + "x"), file("b/" * 60 + "x")])], "more than 100 files", "--inodes", "100")
attempt("too many bytes", [plain([file("f", b"x" * 9000)])], "more than 8192 bytes", "--bytes", "8192")
attempt("too deep", [plain([file("a/" * 9 + "x")])], "10 steps; the budget is 9", "--depth", "9")
attempt("the same name again and again", [plain([file("f", b"x" * 4096)] * 3)], "more than 8192 bytes", "--bytes", "8192")
bomb = Layer(b"", "gzip")
one_gib = zlib.compressobj(9, zlib.DEFLATED, 31)
head = header(b"bomb", 1 << 30)
bomb.blob = one_gib.compress(head) + b"".join(one_gib.compress(b"\0" * (1 << 24)) for _ in range(64)) + one_gib.flush()
attempt("a gzip bomb", [bomb], "the budget")
attempt("a gzip bomb over the bytes", [bomb], "more than 1048576 bytes", "--bytes", "1048576")
zbomb = Layer(b"", "zstd")
zbomb.blob = subprocess.run(["zstd", "-q", "-19", "-c"], input=head + b"\0" * (1 << 29), stdout=subprocess.PIPE, check=True).stdout
attempt("a zstd bomb", [zbomb], "the budget")

# --- packed streams ---
def packed(packing, blob, plain_tar=tar_of([file("f", b"hello")])):
    layer = Layer(plain_tar, packing)
    layer.blob = blob
    return layer

tar = tar_of([file("f", os.urandom(3000))])
for packing, sound in (("gzip", gzip.compress(tar, mtime=0)), ("zstd", subprocess.run(["zstd", "-q", "-c"], input=tar, stdout=subprocess.PIPE).stdout)):
    for what, blob, wanted in [
        ("whole", sound, ""), ("empty", b"", "ends too early"), ("cut in half", sound[:len(sound) // 2], None), ("cut by one", sound[:-1], "ends too early"),
        ("garbage", os.urandom(600), packing), ("garbage behind", sound + b"garbage behind the end", packing), ("a flipped bit", sound[:40] + bytes([sound[40] ^ 1]) + sound[41:], None),
        ("not packed at all", tar, packing), ("twice in a row", sound + sound, "behind the end mark")]:
        attempt(f"{packing}: {what}", [packed(packing, blob, tar)], wanted)
two_members = gzip.compress(tar[:1000], mtime=0) + gzip.compress(tar[1000:], mtime=0)
attempt("gzip: two members", [packed("gzip", two_members, tar)], "")
wrong_id = Layer(tar, "none")
wrong_id.diff_id = "sha256:" + "0" * 64
attempt("another diff_id", [wrong_id], "diff_id does not match")

print(f"{n_archives} archives")
report.claim(n_archives >= 200, "fewer than 200 archives")
box.close()
report.end()
