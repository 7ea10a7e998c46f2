#include "tests/harness/certificate.h"

#include "keys/external/external.h"

static int open_heap(void **state)
{
    struct err err;

    (void) state;
    return secret_heap_open(&err) ? 0 : 1;
}

static struct vault *some_vault(void)
{
    AUTO(buffer) struct buffer ca = { 0 }, key = { 0 };
    AUTO(secret) struct secret token = { 0 };
    struct vault              *vault = NULL;
    struct err                 err;

    test_certificate_make(&ca, &key);
    assert_true(secret_copy(bytes_of_text("hvs.x"), &token, &err));
    struct vault_options options = { .url = "https://127.0.0.1:1", .ca_pem = buffer_bytes(&ca), .mount = "secret", .token = &token, .timeout_ms = 1000 };
    assert_true(vault_new(&options, &vault, &err));
    return vault;
}

static void paths_are_kept_by_whole_parts(void **state)
{
    static const struct { const char *prefix, *path; bool is_kept; } CASES[] = {
        { "acme", "acme/key/1", true },         { "acme", "acmes/key/1", false },     { "acme/key", "acme/key/1", true },
        { "acme/key", "acme/keys/1", false },   { "acme/key/1", "acme/key/1", true }, { "acme/key/1", "acme/key/11", false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(external) struct external *external = NULL;
        struct external_options         options  = { .vault_take = some_vault(), .vault_resources = CASES[i].prefix };
        struct err                      err;

        if (!external_new(&options, &external, &err))
            fail_msg("%s", err.text);
        assert_true((external_keeper(external, CASES[i].path) != NULL) == CASES[i].is_kept);
    }
    assert_null(external_keeper(NULL, "acme/key/1"));
}

static void a_store_without_paths_and_paths_without_a_store_are_told(void **state)
{
    static const struct { bool has_vault; const char *vault, *token, *text; } CASES[] = {
        { true, NULL, NULL, "vault_resources is missing: the start of the paths that are kept there" },
        { false, "acme", NULL, "vault_resources names paths, but there is no store for them" },
        { true, "acme", "other", "pkcs11_resources names paths, but there is no store for them" },
        { true, "/acme", NULL, "vault_resources is not REPOSITORY, REPOSITORY/TYPE or REPOSITORY/TYPE/TAG" },
        { true, "a/b/c/d", NULL, "vault_resources is not REPOSITORY, REPOSITORY/TYPE or REPOSITORY/TYPE/TAG" },
        { true, "", NULL, "vault_resources is not REPOSITORY, REPOSITORY/TYPE or REPOSITORY/TYPE/TAG" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(external) struct external *external = NULL;
        struct external_options         options  = { .vault_take = CASES[i].has_vault ? some_vault() : NULL, .vault_resources = CASES[i].vault,
                                                     .token_resources = CASES[i].token };
        struct err                      err;

        assert_false(external_new(&options, &external, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, CASES[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_kept_by_whole_parts),
        cmocka_unit_test(a_store_without_paths_and_paths_without_a_store_are_told),
    };

    return cmocka_run_group_tests(tests, open_heap, NULL);
}
