#include "tests/harness/test.h"

#include "base/file.h"
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
    assert_refused("", "store is missing: the database: a file, or postgresql://... for several brokers");
    assert_refused(REQUIRED "sotre = \"x\"\n", "there is no key \"sotre\"; cloister-broker --print-config lists them");
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

/* keys/broker/broker.toml is what the table prints, and what it prints reads as the defaults. */
static void the_commented_file_is_the_table(void **state)
{
    AUTO(buffer) struct buffer kept = { 0 }, uncommented = { 0 };
    AUTO(config) struct config c = { 0 }, all = { 0 };
    const char                *source = getenv("CLOISTER_SOURCE");
    char                      *printed = NULL;
    size_t                     len     = 0;
    FILE                      *to      = open_memstream(&printed, &len);
    char                       path[4096];
    struct err                 err;

    (void) state;
    assert_non_null(to);
    config_print(to);
    assert_int_equal(fclose(to), 0);
    (void) snprintf(path, sizeof path, "%s/keys/broker/broker.toml", source ? source : "."); /* a cut path fails to open */
    assert_true(file_read(path, 1 << 20, &kept, &err));
    if (strcmp(buffer_text(&kept), printed) != 0)
        fail_msg("keys/broker/broker.toml is not the table any more: cloister-broker --print-config > keys/broker/broker.toml");
    assert_true(config_read(buffer_bytes(&kept), &c, &err));

    for (const char *line = printed; *line; line += strcspn(line, "\n") + 1) { /* the keys in comments, but for empty ones */
        size_t n      = strcspn(line, "\n");
        bool   is_key = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';

        if (line[0] != '#' || (is_key && strncmp(line + n - 2, "\"\"", 2) != 0))
            buffer_append(&uncommented, (struct bytes){ (const uint8_t *) line + is_key, n - is_key });
        buffer_append_text(&uncommented, "\n");
    }
    if (!config_read(buffer_bytes(&uncommented), &all, &err))
        fail_msg("%s", err.text);
    assert_string_equal(all.listen, c.listen);
    assert_int_equal(all.session_seconds, c.session_seconds);
    assert_int_equal(all.shed_ms, c.shed_ms);
    assert_int_equal(all.snp_crl_required, c.snp_crl_required);
    assert_string_equal(c.store, "/var/lib/cloister/store.db");
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_given_and_falls_back_for_the_rest),
        cmocka_unit_test(names_the_key_that_is_wrong),
        cmocka_unit_test(fills_in_a_folder_for_development),
        cmocka_unit_test(the_commented_file_is_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
