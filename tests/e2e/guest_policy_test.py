#!/usr/bin/env python3
"""What the agent allows once it has attested: exactly what the policy in the measured initdata says."""
import hashlib, os, pathlib, re, sys

sys.path.insert(0, str(pathlib.Path(os.environ["CLOISTER_SOURCE"]) / "tests/e2e"))
from oci_image import file  # noqa: E402
from world import World, run_tests  # noqa: E402


def bound(world, name, image, *args, change=lambda text: text):
    """A file with initdata for this run, changed, of which the broker was told."""
    text = change(world.cloister("initdata", "--broker", world.url, "--broker-ca", world.ca, image, *args).stdout)
    path = world.path(name + ".toml")
    path.write_text(text)
    world.cloister("reference", "add", "--measurement", world.measure(), "--initdata",
                   hashlib.sha256(text.encode()).hexdigest(), *world.admin)
    return path


def output_off(text):
    changed = re.sub(r'("output\\*" *: *)true', r"\1false", text)
    assert changed != text
    return changed


def without_policy(text):
    changed = re.sub(r'(?m)^"policy\.json" = .*\n', "", text)
    assert changed != text
    return changed


def denied_output_is_drained_and_the_exit_code_still_comes(world):
    image = world.image("loud", command=("/bin/sh", "-c", "head -c 5000000 /dev/zero; echo secret >&2; exit 5"))
    world.put_key()
    done = world.run("--initdata", bound(world, "silent", image, change=output_off), image, wanted=5)
    assert done.stdout == "" and "secret" not in done.stderr, done.stderr


def arguments_that_policy_does_not_list_are_denied(world):
    image = world.image("fixed", command=("/bin/true",))
    initdata = bound(world, "fixed", image)
    world.refused("policy allows no container with this args", "--initdata", initdata, image, "/bin/sh", "-c", "id")
    world.refused("policy allows no container with this env", "--initdata", initdata, "--env", "LD_PRELOAD=/x", image)


def another_image_is_denied_even_if_its_key_would_be_given(world):
    mine, other = world.image("mine", command=("/bin/true",)), world.image("other", command=("/bin/false",))
    world.refused("policy allows no container with this image", "--initdata", bound(world, "mine", mine), other)


def without_a_policy_nothing_runs(world):
    image = world.image("bare", command=("/bin/true",))
    world.refused("neither policy.json nor policy.rego: no container may run", "--initdata",
                  bound(world, "bare", image, change=without_policy), image)


def rules_of_the_owner_deny_what_the_policy_would_allow(world):
    image = world.image("ruled", command=("/bin/echo", "ran"))
    everything = "package agent_policy\n" + "".join(f"{r}Request := true\n" for r in (
        "GetStatus", "CreateContainer", "StartContainer", "WaitContainer", "ReadOutput", "GetTimeline", "Shutdown", "DeleteContainer"))
    allowed = bound(world, "ruled", image, change=lambda text: text + f'"policy.rego" = \'\'\'\n{everything}\'\'\'\n')
    assert world.run("--initdata", allowed, image).stdout == "ran\n"
    some = everything.replace("StartContainerRequest := true", "StartContainerRequest if input.image == \"sha256:0\"")
    denied = bound(world, "denied", image, change=lambda text: text + f'"policy.rego" = \'\'\'\n{some}\'\'\'\n')
    world.refused("start: policy.rego: StartContainerRequest is not true", "--initdata", denied, image)


def the_images_user_is_looked_up_in_the_image(world):
    files = [file("etc/passwd", b"app:x:1000:1001::/home/app:/bin/sh\n"), file("etc/group", b"app:x:1001:\nvideo:x:44:app\n")]
    image = world.image("user", files=files, run={"User": "app", "Cmd": ["/bin/sh", "-c",
                        "id -u; id -G; echo $HOME; grep CapEff /proc/self/status; echo again > /dev/stdout"]})
    done = world.run("--initdata", bound(world, "user", image), image)
    assert done.stdout.split("\n")[:3] == ["1000", "1001 44", "/home/app"], done.stdout
    assert "CapEff:\t0000000000000000" in done.stdout and done.stdout.endswith("again\n"), done.stdout


with World() as world:
    world.start_broker()
    world.environment["CLOISTER_DEVELOPMENT_ROOT"] = str(world.path("broker") / "dev-tee")
    run_tests([denied_output_is_drained_and_the_exit_code_still_comes, arguments_that_policy_does_not_list_are_denied,
               another_image_is_denied_even_if_its_key_would_be_given, without_a_policy_nothing_runs,
               rules_of_the_owner_deny_what_the_policy_would_allow, the_images_user_is_looked_up_in_the_image], world)
