#include "tests/harness/test.h"

#include "keys/broker/config.h"

#define REQUIRED                                                                                                \
    "store = \"s\"\nstore_key = \"k\"\ntls_certificate = \"c\"\ntls_key = \"t\"\ntoken_certificate = \"tc\"\n"  \
    "token_key = \"tk\"\nadmin_key = \"a\"\n"

static void reads_what_is_given_and_falls_back_for_the_rest(void **state)
{
    AUTO(config) struct config c = { 0 };
    struct err                 err;

    (void) state;
    assert_true(config_read(bytes_of_text(REQUIRED "session_seconds = 60\nsnp = false\n"), &c, &err));
    assert_string_equal(c.store, "s");
    assert_int_equal(c.session_seconds, 60);
    assert_false(c.snp);
    assert_string_equal(c.listen, "127.0.0.1:8443");
    assert_true(c.snp_crl_required);
    assert_null(c.development_root); /* no root but AMD's unless the configuration names it */
    assert_null(c.snp_crls);
}

static void assert_refused(const char *toml, const char *why)
{
    AUTO(config) struct config c = { 0 };
    struct err                 err;

    assert_false(config_read(bytes_of_text(toml), &c, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_null(c.listen);
}

static void names_the_key_that_is_wrong(void **state)
{
    (void) state;
    assert_refused("", "store is missing: the database file");
    assert_refused(REQUIRED "sotre = \"x\"\n", "there is no key \"sotre\"; cloister-broker --help lists them");
    assert_refused(REQUIRED "session_seconds = 5\n", "session_seconds = 5 is not between 10 and 86400");
    assert_refused(REQUIRED "session_seconds = \"5\"\n", "session_seconds is not a number: life of a challenge, session and token");
    assert_refused(REQUIRED "snp = \"yes\"\n", "snp is neither true nor false: trust AMD's roots");
    assert_refused(REQUIRED "listen = \"\"\n", "listen is not a text: address and port; port 0 takes any");
}

static void fills_in_a_folder_for_development(void **state)
{
    AUTO(config) struct config c = { 0 };
    struct err                 err;

    (void) state;
    assert_true(config_development("/tmp/d'ir \"x\"", "127.0.0.1:0", &c, &err));
    assert_string_equal(c.store, "/tmp/d'ir \"x\"/store.db");
    assert_string_equal(c.development_root, "/tmp/d'ir \"x\"/dev-tee");
    assert_string_equal(c.listen, "127.0.0.1:0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_given_and_falls_back_for_the_rest),
        cmocka_unit_test(names_the_key_that_is_wrong),
        cmocka_unit_test(fills_in_a_folder_for_development),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
