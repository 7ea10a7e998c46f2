#include "tests/harness/test.h"

#include "base/file.h"
#include "runtime/oci_runtime/given_files.h"

static void the_three_files_that_tell_names_are_given_and_no_other(void **state)
{
    AUTO(container_spec) struct container_spec spec = { 0 };
    AUTO(buffer) struct buffer                 text = { 0 }, path = { 0 };
    static struct host_volumes                 v;
    char                                      *folder;
    struct err                                 err;

    (void) state;
    assert_true(directory_make_temporary("given-", &folder, &err));
    buffer_printf(&path, "%s/f", folder);
    assert_true(file_write(buffer_text(&path), bytes_of_text("10.0.0.1 a\n"), 0644, &err));
    buffer_printf(&text, "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"a\"]},\"mounts\":["
                         "{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"%s\"},"
                         "{\"destination\":\"/etc/shadow\",\"type\":\"bind\",\"source\":\"%s\"},"
                         "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s\"},"
                         "{\"destination\":\"/etc/resolv.conf\",\"type\":\"bind\",\"source\":\"%s/nothing\"}]}",
                  buffer_text(&path), buffer_text(&path), folder, folder);
    assert_true(container_spec_read(buffer_bytes(&text), &spec, &err));
    assert_int_equal(spec.n_mounts, 4);
    assert_true(given_files_read(&spec, &v, &err));
    assert_int_equal(v.n_alone, 1);
    assert_string_equal(v.files[0].path, "/etc/hosts");
    assert_memory_equal(v.files[0].content.data, "10.0.0.1 a\n", 11);
    assert_int_equal(v.n_directories + v.n_trees, 0);
    assert_false(given_files_check(&spec, true, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "volume at /data: no folder of this host reaches into a VM"));
    spec.mounts[2].source = "/root/volumes/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff/_data";
    assert_true(given_files_check(&spec, true, &err)); /* what it prints, tests/engines/podman_test.py reads */
    host_volumes_free(&v);
    assert_true(directory_remove(folder, &err));
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_three_files_that_tell_names_are_given_and_no_other) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
