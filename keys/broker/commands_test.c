/* `cloister-broker COMMAND`, beside a broker that serves. */
#include "tests/harness/operated_broker.h"

static int maintain(const char *const *words, struct buffer *said)
{
    const char *build = getenv("CLOISTER_BUILD");
    const char *argv[8];
    char        program[PATH_MAX];
    size_t      n    = 1;
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister-broker", build ? build : "."); /* a cut path does not start */
    argv[0] = program;
    while (words[n - 1])
        n++;
    memcpy(argv + 1, words, n * sizeof *argv);
    assert_fine(process_run(argv, (struct bytes){ 0 }, 64 << 10, PATIENCE_S * 1000, said, &code, &err), &err);
    (void) buffer_text(said); /* puts the zero behind it */
    return code;
}

static void backs_up_while_it_serves_verifies_and_restores(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };
    char                       config[PATH_MAX], copy[PATH_MAX], store[PATH_MAX];

    (void) state;
    test_broker_path(&broker, TEST_BROKER_OBSERVED, config);
    test_broker_path(&broker, "copy.db", copy);
    test_broker_path(&broker, "store.db", store);
    assert_int_equal(maintain((const char *const[]){ "backup", "--config", config, copy, NULL }, &said), 0);
    assert_serves();
    assert_int_equal(maintain((const char *const[]){ "backup", "--config", config, copy, NULL }, &said), 1);
    assert_int_equal(maintain((const char *const[]){ "restore", "--config", config, copy, NULL }, &said), 1); /* not empty */
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    assert_int_equal(unlink(store), 0);
    assert_int_equal(maintain((const char *const[]){ "restore", "--config", config, copy, NULL }, &said), 0);
    assert_int_equal(maintain((const char *const[]){ "verify", "--config", config, NULL }, &said), 0);
    assert_int_equal(maintain((const char *const[]){ "migrate", "--config", config, NULL }, &said), 0);
    assert_int_equal(maintain((const char *const[]){ "migrate", NULL }, &said), 2);
    test_broker_start(&broker);
    assert_serves();
}

static void a_mistyped_folder_is_no_whole_broker(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };
    char                       folder[PATH_MAX], copy[PATH_MAX];

    (void) state;
    test_broker_path(&broker, "mistyped", folder);
    test_broker_path(&broker, "mistyped.db", copy);
    assert_int_equal(maintain((const char *const[]){ "verify", "--dev", folder, NULL }, &said), 1);
    assert_int_equal(maintain((const char *const[]){ "backup", "--dev", folder, copy, NULL }, &said), 1);
    assert_int_equal(access(folder, F_OK), -1);
    assert_int_equal(access(copy, F_OK), -1);
}

static void prints_a_configuration_that_it_reads(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };

    (void) state;
    assert_int_equal(maintain((const char *const[]){ "--print-config", NULL }, &said), 0);
    assert_non_null(strstr(buffer_text(&said), "\nstore = \"/var/lib/cloister/store.db\"\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backs_up_while_it_serves_verifies_and_restores),
        cmocka_unit_test(a_mistyped_folder_is_no_whole_broker),
        cmocka_unit_test(prints_a_configuration_that_it_reads),
    };

    return cmocka_run_group_tests(tests, operated_make, operated_clean);
}
