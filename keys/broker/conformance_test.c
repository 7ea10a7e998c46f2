/*
 * Runs kbs-conformance against a broker of ours that holds one resource for sample guests. What both said, with all that is
 * random masked, is a golden file: after a change that is meant, CLOISTER_UPDATE_GOLDEN=1 writes it anew.
 */
#include "tests/harness/broker.h"

static const char *conformance; /* the program, from argv */

static void add(struct admin_client *admin, const char *kind, const char *value)
{
    struct admin_reference r = { .kind = kind, .tee = "sample", .value = value };
    uint64_t               id;
    struct err             err;

    assert_fine(admin_reference_add(admin, &r, &id, &err), &err);
}

static void assert_golden(const char *path, const char *golden_path)
{
    AUTO(buffer) struct buffer got = { 0 }, golden = { 0 };
    const char                *a, *b, *line;
    struct err                 err;

    assert_fine(file_read(path, 1 << 20, &got, &err), &err);
    if (getenv("CLOISTER_UPDATE_GOLDEN"))
        assert_fine(file_write(golden_path, buffer_bytes(&got), 0644, &err), &err);
    assert_fine(file_read(golden_path, 1 << 20, &golden, &err), &err);
    a = line = buffer_text(&got);
    b = buffer_text(&golden);
    for (; *a && *a == *b; a++, b++)
        line = *a == '\n' ? a + 1 : line;
    if (*a != *b)
        fail_msg("the transcript differs from %s at: %.*s", golden_path, (int) strcspn(line, "\n"), line);
}

static void our_broker_conforms(void **state)
{
    struct test_broker             broker;
    struct admin_client           *admin;
    AUTO(secret) struct secret     key = { 0 };
    AUTO(buffer) struct buffer     out = { 0 };
    const char                    *source = getenv("CLOISTER_SOURCE");
    char                           ca[PATH_MAX], admin_key[PATH_MAX], transcript[PATH_MAX], golden[PATH_MAX];
    int                            code = -1;
    struct err                     err;

    (void) state;
    test_broker_make(&broker);
    admin = test_admin(&broker);
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, "kbs:///sample/key/1", &key, &err), &err);
    add(admin, "measurement", "6162636465");
    add(admin, "initdata", "0000000000000000000000000000000000000000000000000000000000000000");
    admin_client_free(admin);
    test_broker_path(&broker, "ca.pem", ca);
    test_broker_path(&broker, "admin.key", admin_key);
    test_broker_path(&broker, "transcript.txt", transcript);
    (void) snprintf(golden, sizeof golden, "%s/tests/golden/keys_broker_conformance/transcript.txt", source ? source : "."); /* a cut path fails to open */

    const char *argv[] = { conformance, "--url", broker.url, "--ca", ca, "--sample", "--resource", "sample/key/1",
                           "--transcript", transcript, "--admin-key", admin_key, NULL };
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &out, &code, &err), &err);
    if (code != 0 || strstr(buffer_text(&out), "SKIP"))
        fail_msg("%s", buffer_text(&out));
    assert_golden(transcript, golden);
    test_broker_free(&broker);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(our_broker_conforms) };

    conformance = argc == 2 ? argv[1] : "kbs-conformance";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
