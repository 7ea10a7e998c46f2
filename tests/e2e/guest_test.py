#!/usr/bin/env python3
"""What the agent does before it has attested, towards a host that lies: one line on the console, and power off. Nothing
is served. Boots the guest image with a test double of the host; no broker takes part."""
import hashlib, os, pathlib, re, sys, time

BUILD = pathlib.Path(os.environ["CLOISTER_BUILD"])
sys.path.insert(0, str(pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "tests/e2e"))
from guest_double import APPEND, Guest, field, initdata, initdata_disk, report  # noqa: E402

FILES = BUILD / "runtime/guest"
TEXT = initdata()
DIGEST = hashlib.sha256(TEXT).digest()
DISK = initdata_disk(TEXT)


def signer(host_data=DIGEST, change=lambda data: data):
    return {"cloister.report": lambda method, asked: field(1, report(change(asked[1]), host_data))}


def ends_with(line, **options):
    with Guest(FILES, **{"disks": [DISK], "serve": signer(), **options}) as guest:
        words = guest.last_words()
    assert words == ["cloister-agent: " + line], words


def flipped(data):
    return bytes([data[0] ^ 1]) + data[1:]


def a_word_that_the_command_line_may_not_have():
    ends_with("config: kernel command line: agent.debug_console: not allowed", append=APPEND + " agent.debug_console")


def a_cpu_without_random_numbers_of_its_own():
    ends_with("boot: the CPU offers no RDRAND: keys would rest on the host's word", cpu="max,rdrand=off")


def a_machine_without_the_ports():
    ends_with("boot: port cloister.broker: the host gave no port of this name", ports=("cloister.agent",))


def no_initdata():
    ends_with("initdata: no disk holds initdata", disks=[bytes(512)])


def two_initdata():
    ends_with("initdata: two disks hold initdata", disks=[DISK, DISK])


def initdata_whose_length_lies():
    ends_with("initdata: initdata disk: 9223372036854775807 bytes of gzip; at most 2097152",
              disks=[b"initdata" + b"\xff" * 7 + b"\x7f" + bytes(496)])


def initdata_that_is_not_what_the_launch_bound():
    with Guest(FILES, [initdata_disk(TEXT.replace(b"127.0.0.1", b"127.0.0.2"))], serve=signer()) as guest:
        words = guest.last_words()
    assert len(words) == 1 and words[0].startswith("cloister-agent: initdata: "), words


def a_report_over_other_data_than_was_asked():
    ends_with("initdata: own report: it answers to another request", serve=signer(change=flipped))


def a_report_that_is_cut_short():
    ends_with("initdata: own report: simulated platform: report of 1183 bytes, wanted 1184",
              serve={"cloister.report": lambda method, asked: field(1, report(asked[1], DIGEST)[:-1])})


def a_clock_before_the_owners_floor():
    """The host says 2001. No guest believes a time before its own release; the owner wants a later one still."""
    text = initdata(more='"not_before" = "2026-11-01T00:00:00Z"\n')
    with Guest(FILES, [initdata_disk(text)], serve=signer(hashlib.sha256(text).digest()), clock="2001-01-01T00:00:00") as guest:
        words = guest.last_words()
    assert len(words) == 1 and re.fullmatch(r"cloister-agent: initdata: the host's clock says 2026-10-01T00:\d\d:\d\dZ; "
                                            r"the initdata says not before 2026-11-01T00:00:00Z", words[0]), words


def garbage_on_the_report_port():
    with Guest(FILES, [DISK]) as guest:
        guest.ports["cloister.report"].end.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 4)
        words = guest.last_words()
    assert words == ["cloister-agent: initdata: own report: simulated platform: Get: ttrpc: message of 1213486160 bytes, "
                     "most is 1048576"], words


def no_request_is_answered_before_attestation():
    def tunnel(method, asked):
        assert method == "Open"
        time.sleep(3)  # the guest waits for its broker; meanwhile the host asks
        raise RuntimeError("the broker is away")

    with Guest(FILES, [DISK], serve={**signer(), "cloister.broker": tunnel}) as guest:
        answer = guest.ports["cloister.agent"].call("cloister.agent.v1.Agent", "GetStatus", seconds=60)
        words = guest.last_words()
    assert answer is None, answer
    assert len(words) == 1 and words[0].startswith("cloister-agent: attest: "), words


if not (FILES / "initrd").exists():
    print("the guest image is not built: no guest kernel was unpacked")
    sys.exit(77)
for test in (a_word_that_the_command_line_may_not_have, a_cpu_without_random_numbers_of_its_own, a_machine_without_the_ports,
             no_initdata, two_initdata, initdata_whose_length_lies, initdata_that_is_not_what_the_launch_bound,
             a_clock_before_the_owners_floor, a_report_over_other_data_than_was_asked, a_report_that_is_cut_short, garbage_on_the_report_port,
             no_request_is_answered_before_attestation):
    began = time.monotonic()
    test()
    print(f"ok {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
