#include "base/file.h"
#include "runtime/cli/pod.h"
#include "tests/harness/test.h"

static char *ca_file;

static int make(void **state)
{
    char      *folder = NULL;
    struct err err;

    (void) state;
    if (!directory_make_temporary("pod-test-", &folder, &err) || asprintf(&ca_file, "%s/ca.pem", folder) < 0)
        return -1;
    free(folder);
    return file_write(ca_file, bytes_of_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"), 0600, &err) ? 0 : -1;
}

static int drop(void **state)
{
    struct err err;
    bool       gone;

    (void) state;
    *strrchr(ca_file, '/') = 0;
    gone = directory_remove(ca_file, &err);
    free(ca_file);
    return gone ? 0 : -1;
}

static struct pod pod_of(char **args, size_t n_args)
{
    struct pod pod = { .args = args, .n_args = n_args, .env = { .at = { "A=1" }, .n = 1 } };

    memcpy(pod.manifest, "sha256:0", 9);
    return pod;
}

static void the_same_pod_gives_the_same_bytes_and_another_argument_gives_others(void **state)
{
    char                           word[] = "run", other[] = "ran";
    char                          *args[] = { word }, *others[] = { other };
    struct pod                     pod = pod_of(args, 1), second = pod_of(others, 1);
    AUTO(buffer) struct buffer     a = { 0 }, b = { 0 }, c = { 0 };
    AUTO(initdata) struct initdata read = { 0 };
    struct err                     err;

    (void) state;
    assert_true(pod_write_initdata(&pod, "https://h:1", ca_file, &a, &err));
    assert_true(pod_write_initdata(&pod, "https://h:1", ca_file, &b, &err));
    assert_true(pod_write_initdata(&second, "https://h:1", ca_file, &c, &err));
    assert_true(bytes_equal(buffer_bytes(&a), buffer_bytes(&b)));
    assert_false(bytes_equal(buffer_bytes(&a), buffer_bytes(&c)));
    assert_true(initdata_read(buffer_bytes(&a), &read, &err));
    assert_string_equal(initdata_entry(&read, "policy.json"),
                        "{\"containers\":[{\"image\":\"sha256:0\",\"args\":[\"run\"],\"env\":[\"A=1\"],\"output\":true}]}");
}

static void without_a_certificate_there_is_no_initdata(void **state)
{
    struct pod                 pod = pod_of(NULL, 0);
    AUTO(buffer) struct buffer out = { 0 };
    struct err                 err;

    (void) state;
    assert_false(pod_write_initdata(&pod, "https://h:1", NULL, &out, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_false(pod_write_initdata(&pod, "http://h:1", ca_file, &out, &err));
    assert_string_equal(err.text, "broker URL \"http://h:1\": https://HOST[:PORT] is wanted");
    assert_false(pod_write_initdata(&pod, "https://h:1", "/nonexistent", &out, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void environment_entries_have_a_name(void **state)
{
    struct pod pod = { .env = { .at = { "=1" }, .n = 1 } };
    struct err err;

    (void) state;
    assert_false(pod_resolve("oci:/x", &pod, &err));
    assert_string_equal(err.text, "--env =1: NAME=VALUE is wanted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_pod_gives_the_same_bytes_and_another_argument_gives_others),
        cmocka_unit_test(without_a_certificate_there_is_no_initdata),
        cmocka_unit_test(environment_entries_have_a_name),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
