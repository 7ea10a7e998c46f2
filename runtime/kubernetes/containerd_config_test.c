#include "runtime/kubernetes/containerd_config.h"
#include "tests/harness/test.h"

static struct containerd_choice choice(unsigned major, unsigned minor)
{
    return (struct containerd_choice){ major, minor, "/opt/shim", "/etc/c/shim.toml", "/etc/c/dev.toml", "/run/c.sock", "/etc/c/dev-shim" };
}

/* As Debian ships it; as `containerd config default` prints it; of version 3; without a last new line; none at all. */
static const char *const files[] = {
    "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n",
    ("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  default_runtime_name = \"runc\"\n  disable_snapshot_annotations = true\n"
    "  snapshotter = \"overlayfs\"\n  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n    snapshotter = \"\"\n"),
    "version = 3\nroot = '/var/lib/containerd'\n[plugins.'io.containerd.cri.v1.images']\n  snapshotter = 'overlayfs'\n  disable_snapshot_annotations = true\n",
    "version = 2",
    "",
};

static void what_was_put_in_comes_out_without_a_trace(void **state)
{
    static const unsigned versions[][2] = { { 1, 6 }, { 1, 7 }, { 2, 1 } };

    (void) state;
    for (size_t v = 0; v < 3; v++)
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            AUTO(buffer) struct buffer added = { 0 }, back = { 0 }, twice = { 0 };
            struct containerd_choice   c     = choice(versions[v][0], versions[v][1]);
            struct err                 err;

            if (versions[v][0] == 2 && strncmp(files[i], "version = 2", 11) == 0) {
                assert_false(containerd_config_add(bytes_of_text(files[i]), &c, &added, &err));
                assert_int_equal(err.kind, ERR_UNSUPPORTED);
                continue;
            }
            assert_true(containerd_config_add(bytes_of_text(files[i]), &c, &added, &err));
            assert_non_null(strstr(buffer_text(&added), strstr(buffer_text(&added), "io.containerd.cri.v1.runtime")
                                   ? ".runtimes.cloister]\nruntime_type = \"/opt/shim\"\nruntime_path = \"/opt/shim\""
                                   : ".runtimes.cloister]\nruntime_type = \"io.containerd.cloister.v2\"\nruntime_path = \"/opt/shim\""));
            assert_true(containerd_config_remove(buffer_bytes(&added), &back));
            assert_string_equal(buffer_text(&back), files[i]);
            assert_false(containerd_config_remove(buffer_bytes(&back), &twice));
        }
}

static void the_owners_lines_wait_and_others_stay(void **state)
{
    AUTO(buffer) struct buffer old = { 0 }, new = { 0 }, three = { 0 };
    struct containerd_choice   c16 = choice(1, 6), c17 = choice(1, 7), c21 = choice(2, 1);
    struct err                 err;

    (void) state;
    assert_true(containerd_config_add(bytes_of_text(files[1]), &c16, &old, &err));
    assert_non_null(strstr(buffer_text(&old), "\n#cloister#   disable_snapshot_annotations = true\n#cloister#   snapshotter = \"overlayfs\"\n"));
    assert_non_null(strstr(buffer_text(&old), "\n    snapshotter = \"\"\n")); /* another table's */
    assert_non_null(strstr(buffer_text(&old), "disable_snapshot_annotations = false\nsnapshotter = \"cloister\"\n# end"));
    assert_true(containerd_config_add(bytes_of_text(files[1]), &c17, &new, &err));
    assert_non_null(strstr(buffer_text(&new), "\n  snapshotter = \"overlayfs\"\n")); /* each handler has its own since 1.7 */
    assert_true(containerd_config_add(bytes_of_text(files[2]), &c21, &three, &err));
    assert_non_null(strstr(buffer_text(&three), "[plugins.\"io.containerd.cri.v1.images\".runtime_platforms.cloister]"));
    assert_null(strstr(buffer_text(&three), "grpc.v1.cri"));
    assert_non_null(strstr(buffer_text(&three), ".runtimes.cloister-development]\nruntime_type = \"/etc/c/dev-shim\"\n"));
    assert_non_null(strstr(buffer_text(&three), "sandboxer = \"shim\"\n"));
    assert_null(strstr(buffer_text(&three), ".options]")); /* containerd 2.0 to 2.3 fail with both */
    assert_non_null(strstr(buffer_text(&new), ".runtimes.cloister-development.options]\nTypeUrl = \"runtimeoptions.v1.Options\"\nConfigPath = \"/etc/c/dev.toml\"\n"));
}

static void what_cannot_be_edited_is_said(void **state)
{
    AUTO(buffer) struct buffer added = { 0 }, out = { 0 };
    struct containerd_choice   c = choice(1, 7);
    struct err                 err;

    (void) state;
    assert_true(containerd_config_add(bytes_of_text(files[0]), &c, &added, &err));
    assert_false(containerd_config_add(buffer_bytes(&added), &c, &out, &err));
    assert_string_equal(err.text, "cloister is in containerd's configuration already; first: cloister uninstall node");
    assert_false(containerd_config_add(bytes_of_text("[plugins]\n"), &c, &out, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_false(containerd_config_add(bytes_of_text("version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.cloister]\n"), &c, &out, &err));
    assert_string_equal(err.text, "containerd's configuration has a runtime \"cloister\" of its own");
    assert_int_equal(out.len, 0);
}

static void versions_are_read_as_containerd_prints_them(void **state)
{
    unsigned   major, minor;
    struct err err;

    (void) state;
    assert_true(containerd_version_read("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n", &major, &minor, &err));
    assert_true(major == 1 && minor == 6);
    assert_true(containerd_version_read("containerd github.com/containerd/containerd/v2 2.1.9 x\n", &major, &minor, &err));
    assert_true(major == 2 && minor == 1);
    assert_true(containerd_version_read("containerd github.com/containerd/containerd v1.7.24 88bf19b\n", &major, &minor, &err));
    assert_true(major == 1 && minor == 7);
    assert_false(containerd_version_read("something else 1.2\n", &major, &minor, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_comes_out_without_a_trace),
        cmocka_unit_test(the_owners_lines_wait_and_others_stay),
        cmocka_unit_test(what_cannot_be_edited_is_said),
        cmocka_unit_test(versions_are_read_as_containerd_prints_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
