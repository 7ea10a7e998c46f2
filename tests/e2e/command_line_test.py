#!/usr/bin/env python3
"""What a newcomer types: every program tells its version and its help, every wrong word is named in one line with the way
out, and completion, the manual page and --help have the same options. Needs no broker and no VM."""
import json, os, pathlib, re, subprocess, tempfile

BUILD = pathlib.Path(os.environ.get("CLOISTER_BUILD", "."))
SOURCE = pathlib.Path(os.environ.get("CLOISTER_SOURCE", pathlib.Path(__file__).parents[2]))
GROUPS = {"image": "encrypt", "job": "run", "key": None, "measure": "snp", "policy": "eval", "reference": None, "audit": None,
          "verify": "snp"}

VERBS = {"key": "put get list rm bind unbind rewind seal signer", "image": "encrypt decrypt convert", "verify": "snp tdx tpm", "measure": "snp tdx tpm",
         "job": "run verify", "audit": "list verify prove", "reference": "add list rm history sign",
         "policy": "eval check test gen set unset list history conformance"}


def run(program, *words):
    done = subprocess.run([BUILD / program, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    return done.returncode, done.stdout, done.stderr


def refused(word, *words):
    code, out, err = run("cloister", *words)
    assert (code, out) == (2, "") and err.startswith("cloister: ") and word in err and err.count("\n") == 1, (words, code, out, err)


def versions_are_told():
    for program in ("cloister", "cloister-broker", "cloister-keyprovider"):
        code, out, err = run(program, "--version")
        assert code == 0 and re.fullmatch(program + r" \d+\.\d+\.\d+\n", out) and err == "", (program, code, out, err)
    assert run("cloister", "verify", "snp", "--version") == run("cloister", "--version")


def help_is_told_however_it_is_asked_for():
    commands = re.findall(r"^  ([a-z]+) ", run("cloister", "--help")[1], re.M)
    assert set(GROUPS) < set(commands), commands
    for command in commands:
        code, out, err = run("cloister", command, "--help")
        assert code == 0 and out[:6].lower() == "usage:" and err == "", (command, code, out, err)
        assert run("cloister", command, "-h") == run("cloister", command, "help") == run("cloister", "help", command) == (0, out, "")
    assert run("cloister", "help", "policy", "eval") == run("cloister", "policy", "eval", "--help")
    assert run("cloister-broker", "help") == run("cloister-broker", "--help")


def wrong_words_are_named():
    refused('"nonsense"', "nonsense")
    for command in GROUPS:
        refused('"nonsense"', command, "nonsense")
    for wanted, words in (("did you mean put?", "key putt"), ("key put: wanted is URI FILE;", "key put kbs:///a/b/c"),
                          ("nothing but options", "key list all"), ("did you mean resource?", "policy set ressource x.rego"),
                          ("there are attestation (what evidence is worth) and resource", "policy list everything"), ("policy history: wanted is KIND; see cloister policy history --help", "policy history"),
                          ("policy set: wanted is KIND FILE;", "policy set resource"), ("did you mean set?", "policy sett"),
                          ("reference rm: wanted is NUMBER-OR-NAME;", "reference rm"), ("did you mean list?", "audit lsit"),
                          ("did you mean tdx?", "measure tdz"), ("did you mean policy?", "polciy list")):
        refused(wanted, *words.split())
    refused("FILE", "policy", "check")  # and not a success over nothing
    refused("FILE", "policy", "test")
    refused("DIR", "policy", "conformance")
    refused("--image nonsense", "policy", "gen", "-f", SOURCE / "runtime/kubernetes/pod.yaml", "--image", "nonsense")
    code, _, err = run("cloister-broker", "nonsense")
    assert code == 2 and '"nonsense"' in err, err


def the_oci_runtime_speaks_as_runc_does():
    """Words, exit codes and texts that podman and people go by, as far as there is no container."""
    def runtime(*words):
        return run("cloister-runtime", "--root", "/nonexistent/containers", *words)
    for words in ("--version",), ("-v",):
        code, out, err = run("cloister-runtime", *words)
        assert code == 0 and re.fullmatch(r"cloister-runtime version \d+\.\d+\.\d+\nspec: 1\.\d+\.\d+\n", out) and err == "", (words, out, err)
    commands = re.findall(r"^  ([a-z]+)  ", run("cloister-runtime", "--help")[1].split("Commands:")[1], re.M)
    assert {"create", "start", "state", "kill", "delete", "exec", "list", "ps", "pause", "resume", "events", "features", "spec"} < set(commands)
    for words, wanted in ((), "a command is wanted"), (("frobnicate",), '"frobnicate"'), (("state",), "1 operand is wanted"), \
            (("state", "x"), "does not exist"), (("start", "x"), "does not exist"), (("kill", "x"), "does not exist"), \
            (("kill", "x", "NOPE"), "NOPE is no signal"), (("delete", "x"), "does not exist"), (("exec", "x"), "a command or --process FILE"), \
            (("exec", "x", "/bin/true"), "does not exist"), (("list", "--format", "yaml"), "table or json"), \
            (("ps", "--format", "yaml", "x"), "table or json"), (("update", "x"), "what was measured"), (("checkpoint", "x"), "in the clear"), \
            (("create", "../x"), "container id"), (("create", "--preserve-fds", "1", "x"), "reaches into a VM"):
        code, out, err = runtime(*words)
        assert code == 1 and out == "" and err.startswith("cloister-runtime: ") and wanted in err and err.count("\n") == 1, (words, code, out, err)
    assert runtime("delete", "--force", "x") == (0, "", "") and runtime("list", "-q") == (0, "", "")
    assert json.loads(runtime("list", "--format", "json")[1]) == [] and json.loads(runtime("features")[1])["ociVersionMax"]
    with tempfile.TemporaryDirectory() as folder:
        assert runtime("spec", "--bundle", folder) == (0, "", "")
        assert json.loads((pathlib.Path(folder) / "config.json").read_text())["process"]["args"] == ["sh"]
        assert "is there already" in runtime("spec", "-b", folder)[2]
        log = pathlib.Path(folder) / "log"
        assert run("cloister-runtime", "--log", log, "--log-format", "json", "--root", folder, "state", "x")[0] == 1
        line = json.loads(log.read_text())
        assert line["level"] == "error" and "does not exist" in line["msg"], line


def completed(*words):
    script = f'''PATH={BUILD.resolve()}:$PATH; . {SOURCE}/runtime/completion/cloister.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cloister; printf '%s\\n' "${{COMPREPLY[@]}}"'''
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True, timeout=300)
    return set(done.stdout.split())


def completion_has_the_options():
    assert completed("cloister", "im") == {"image"}
    for command, verb in GROUPS.items():
        words = [command, verb] if verb else [command]
        options = set(re.findall(r"^  (--[a-z-]+)", run("cloister", *words, "--help")[1], re.M))
        assert len(options) > 2 and completed("cloister", *words, "--") == options, (words, options)
    for command, verbs in VERBS.items():
        assert completed("cloister", command, "") == set(verbs.split()), (command, completed("cloister", command, ""))
    assert completed("cloister", "key", "re") == {"rewind"}


def the_manual_names_every_command_and_no_other_option():
    manual = (SOURCE / "docs/man/cloister.1").read_text().replace("\\-", "-").replace("\\fR", "").replace("\\fB", "")
    for command in re.findall(r"^  ([a-z]+) ", run("cloister", "--help")[1], re.M):
        assert re.search(rf"\b{command}\b", manual), command
        for verb in VERBS.get(command, "").split():
            assert re.search(rf"\b{command}\b.*\b{verb}\b", manual), (command, verb)
    known = {"--help", "--version"}
    for words in (["run"], ["job", "run"], ["job", "verify"], ["doctor"], ["install"], ["key"], ["reference"], ["initdata"]):
        known |= set(re.findall(r"^  (--[a-z-]+)", run("cloister", *words, "--help")[1], re.M))
    assert set(re.findall(r"--[a-z][a-z-]*", manual)) <= known, set(re.findall(r"--[a-z][a-z-]*", manual)) - known


for test in (versions_are_told, help_is_told_however_it_is_asked_for, wrong_words_are_named, the_oci_runtime_speaks_as_runc_does, completion_has_the_options,
             the_manual_names_every_command_and_no_other_option):
    test()
    print(f"ok   {test.__name__}", flush=True)
