/* Runs kbs-conformance against a broker of ours that holds one resource for sample guests. */
#include "tests/harness/broker.h"

static const char *conformance; /* the program, from argv */

static void add(struct admin_client *admin, const char *kind, const char *value)
{
    struct admin_reference r = { .kind = kind, .tee = "sample", .value = value };
    uint64_t               id;
    struct err             err;

    assert_fine(admin_reference_add(admin, &r, &id, &err), &err);
}

static void our_broker_conforms(void **state)
{
    struct test_broker             broker;
    struct admin_client           *admin;
    AUTO(secret) struct secret     key = { 0 };
    AUTO(buffer) struct buffer     out = { 0 };
    char                           ca[PATH_MAX];
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

    const char *argv[] = { conformance, "--url", broker.url, "--ca", ca, "--sample", "--resource", "sample/key/1", NULL };
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &out, &code, &err), &err);
    test_broker_free(&broker);
    if (code != 0 || strstr(buffer_text(&out), "SKIP"))
        fail_msg("%s", buffer_text(&out));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(our_broker_conforms) };

    conformance = argc == 2 ? argv[1] : "kbs-conformance";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
