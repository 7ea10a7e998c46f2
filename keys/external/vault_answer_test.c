#include "tests/harness/test.h"

#include <stdio.h>
#include <string.h>

#include "keys/external/vault_answer.h"

#define AROUND(data) "{\"request_id\":\"r\",\"data\":{\"data\":" data ",\"metadata\":{\"version\":1,\"value\":\"not this\"}},\"auth\":null}"

static int open_heap(void **state)
{
    struct err err;

    (void) state;
    return secret_heap_open(&err) ? 0 : 1;
}

static void assert_value(const char *answer, const char *bytes, size_t len)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    if (!vault_value_read(bytes_of_text(answer), &got, &err))
        fail_msg("%s: %s", answer, err.text);
    assert_true(bytes_equal(secret_expose(&got), (struct bytes){ (const uint8_t *) bytes, len }));
}

static void a_text_is_its_bytes(void **state)
{
    (void) state;
    assert_value(AROUND("{\"value\":\"geheim\"}"), "geheim", 6);
    assert_value(AROUND("{\"other\":[1,{\"value\":\"no\"}],\"value\":\"a b\"}"), "a b", 3);
    assert_value(AROUND("{\"value\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"), "\"\\/\b\f\n\r\t", 8);
    assert_value(AROUND("{\"value\":\"\\u00e4\\u20AC\\ud83d\\ude00\xc3\xa4\"}"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4", 11);
    assert_value("{\"data\":{\"metadata\":{\"data\":{\"value\":\"no\"}},\"data\":{\"value\":\"yes\"}}}", "yes", 3);
}

static void base64_is_what_it_stands_for(void **state)
{
    (void) state;
    assert_value(AROUND("{\"base64\":\"AAEC/w==\"}"), "\0\1\2\xff", 4);
    assert_value(AROUND("{\"base64\":\"AAEC\"}"), "\0\1\2", 3);
    assert_value(AROUND("{\"base64\":\"AAEC\\/w==\"}"), "\0\1\2\xff", 4);
}

static void everything_else_is_refused_with_its_reason(void **state)
{
    static const struct { const char *answer; enum err_kind kind; const char *text; } CASES[] = {
        { "", ERR_MALFORMED, "the secret has neither a text \"value\" nor a text \"base64\"" },
        { AROUND("null"), ERR_MALFORMED, "the secret has neither a text \"value\" nor a text \"base64\"" },
        { AROUND("{\"value\":17}"), ERR_MALFORMED, "the secret has neither a text \"value\" nor a text \"base64\"" },
        { AROUND("{\"value\":[\"a\"]}"), ERR_MALFORMED, "the secret has neither a text \"value\" nor a text \"base64\"" },
        { AROUND("{\"value\":\"a\",\"base64\":\"AAEC\"}"), ERR_MALFORMED, "the secret has both \"value\" and \"base64\"; one is wanted" },
        { AROUND("{\"value\":\"\"}"), ERR_MALFORMED, "an empty text" },
        { AROUND("{\"value\":\"\\x\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\\u0000\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\\u12g4\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\\ud83d\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\\ud83d\\u0041\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\\ude00\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\x01\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"value\":\"\xff\"}"), ERR_MALFORMED, "a text that is no JSON string" },
        { AROUND("{\"base64\":\"AAE\"}"), ERR_MALFORMED, "\"base64\": not standard base64" },
        { AROUND("{\"base64\":\"AAEC_w==\"}"), ERR_MALFORMED, "\"base64\": not standard base64" },
        { AROUND("{\"base64\":\"AAEC/x==\"}"), ERR_MALFORMED, "\"base64\": not standard base64" },
        { AROUND("{\"base64\":\"====\"}"), ERR_MALFORMED, "\"base64\": not standard base64" },
        { AROUND("{\"value\":\"a\"}") "x", ERR_MALFORMED, NULL },
        { AROUND("{\"value\":\"a\",\"value\":\"b\"}"), ERR_MALFORMED, NULL },
        { "{\"data\":{\"data\":{\"value\":\"a\"},\"data\":{}}}", ERR_MALFORMED, NULL },
        { "[{\"data\":{\"data\":{\"value\":\"a\"}}}]", ERR_MALFORMED, NULL },
        { "{\"data\":[{\"data\":{\"value\":\"a\"}}]}", ERR_MALFORMED, NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(secret) struct secret got = { 0 };
        struct err                 err = { 0 };

        if (vault_value_read(bytes_of_text(CASES[i].answer), &got, &err))
            fail_msg("%s was read", CASES[i].answer);
        assert_null(got.held);
        if (err.kind != CASES[i].kind || (CASES[i].text && strcmp(err.text, CASES[i].text) != 0))
            fail_msg("%s: %s", CASES[i].answer, err.text);
    }
}

static void what_is_too_large_or_too_deep_is_refused(void **state)
{
    AUTO(buffer) struct buffer large = { 0 }, deep = { 0 }, huge = { 0 };
    AUTO(secret) struct secret got = { 0 };
    struct err                 err = { 0 };

    (void) state;
    buffer_append_text(&large, "{\"data\":{\"data\":{\"value\":\"");
    memset(buffer_grow(&large, VAULT_VALUE_MAX + 1), 'a', VAULT_VALUE_MAX + 1);
    buffer_append_text(&large, "\"}}}");
    assert_false(vault_value_read(buffer_bytes(&large), &got, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "a text of 65537 bytes; at most 65536 are taken");
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&deep, "{\"data\":");
    assert_false(vault_value_read(buffer_bytes(&deep), &got, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    deep.len = 8 * 1000;
    assert_false(vault_value_read(buffer_bytes(&deep), &got, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    memset(buffer_grow(&huge, VAULT_ANSWER_MAX + 1), ' ', VAULT_ANSWER_MAX + 1);
    assert_false(vault_value_read(buffer_bytes(&huge), &got, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* From exactly sized blocks: every shorter answer is refused. */
static void every_truncation_is_refused(void **state)
{
    static const char WHOLE[] = AROUND("{\"value\":\"g\\u00e4heim\"}");

    (void) state;
    for (size_t len = 0; len < sizeof WHOLE - 1; len++) {
        AUTO(heap) uint8_t        *exact = malloc(len ? len : 1);
        AUTO(secret) struct secret got   = { 0 };
        struct err                 err;

        assert_non_null(exact);
        memcpy(exact, WHOLE, len);
        assert_false(vault_value_read((struct bytes){ exact, len }, &got, &err));
        assert_null(got.held);
    }
}

static void a_login_gives_a_token_and_its_life(void **state)
{
    AUTO(secret) struct secret token = { 0 }, none = { 0 };
    uint64_t                   lease = 0;
    struct err                 err;

    (void) state;
    assert_true(vault_login_read(bytes_of_text("{\"auth\":{\"client_token\":\"hvs.x\",\"lease_duration\":3600}}"), &token, &lease, &err));
    assert_true(bytes_equal(secret_expose(&token), bytes_of_text("hvs.x")));
    assert_int_equal(lease, 3600);
    assert_false(vault_login_read(bytes_of_text("{\"auth\":{\"client_token\":\"a\\r\\nb\",\"lease_duration\":1}}"), &none, &lease, &err));
    assert_string_equal(err.text, "login: a token that is no header's value");
    assert_false(vault_login_read(bytes_of_text("{\"auth\":null}"), &none, &lease, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(vault_login_read(bytes_of_text("{\"auth\":{\"client_token\":\"a\",\"lease_duration\":-1}}"), &none, &lease, &err));
    assert_null(none.held);
}

static void its_words_are_cut_and_escaped(void **state)
{
    AUTO(buffer) struct buffer words = { 0 }, none = { 0 };

    (void) state;
    vault_error_append(bytes_of_text("{\"errors\":[\"1 error occurred:\\n\\t* permission denied\",\"more\"]}"), &words);
    assert_non_null(strstr(buffer_text(&words), "permission denied"));
    assert_null(strchr(buffer_text(&words), '\n'));
    vault_error_append(bytes_of_text("{\"errors\":[]}"), &none);
    vault_error_append(bytes_of_text("no JSON"), &none);
    assert_int_equal(none.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_its_bytes),
        cmocka_unit_test(base64_is_what_it_stands_for),
        cmocka_unit_test(everything_else_is_refused_with_its_reason),
        cmocka_unit_test(what_is_too_large_or_too_deep_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(a_login_gives_a_token_and_its_life),
        cmocka_unit_test(its_words_are_cut_and_escaped),
    };

    return cmocka_run_group_tests(tests, open_heap, NULL);
}
