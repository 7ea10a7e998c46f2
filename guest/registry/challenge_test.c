#include "tests/harness/test.h"

#include "guest/registry/challenge.h"

static void reads_what_registries_send(void **state)
{
    static const struct { const char *header; enum challenge_scheme scheme; const char *realm, *service; } rows[] = {
        { "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a:pull\"",
          CHALLENGE_BEARER, "https://auth.example/token", "registry.example" },
        { "bearer REALM=\"https://a.example/t\"", CHALLENGE_BEARER, "https://a.example/t", "" },
        { "Basic realm=\"Registry \\\"R\\\"\"", CHALLENGE_BASIC, "Registry \"R\"", "" },
        { "Basic realm=\"x\", Bearer realm=\"https://a.example/t\" , service=s", CHALLENGE_BEARER,
          "https://a.example/t", "s" },
        { "Bearer realm=\"https://a.example/t\", Basic realm=\"x\"", CHALLENGE_BEARER, "https://a.example/t", "" },
        { "Negotiate, Basic realm=x", CHALLENGE_BASIC, "x", "" },
        { "Negotiate YII=, Basic realm=\"x\"", CHALLENGE_BASIC, "x", "" },
        { "NTLM TlRMTVNT==, Bearer realm=\"https://a.example/t\",service=\"a, b=\\\"c\\\"\"", CHALLENGE_BEARER, "https://a.example/t", "a, b=\"c\"" },
        { "Digest realm=\"d\", nonce=\"n==\", qop=\"auth, auth-int\", Basic realm=\"x\"", CHALLENGE_BASIC, "x", "" },
        { "Bearer\trealm = \"https://a.example/t\" ,error=\"insufficient_scope\"", CHALLENGE_BEARER, "https://a.example/t", "" },
        { ", ,Basic", CHALLENGE_BASIC, "", "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t              len  = strlen(rows[i].header);
        AUTO(heap) uint8_t *copy = exact_copy(rows[i].header, len);
        struct challenge    c;
        struct err          err;

        if (!challenge_read((struct bytes){ copy, len }, &c, &err))
            fail_msg("%s: %s", rows[i].header, err.text);
        assert_int_equal(c.scheme, rows[i].scheme);
        assert_string_equal(c.realm, rows[i].realm);
        assert_string_equal(c.service, rows[i].service);
    }
}

static void refuses_what_cannot_be_answered(void **state)
{
    static const struct { const char *header, *why; enum err_kind kind; } rows[] = {
        { "", "neither", ERR_UNSUPPORTED },
        { "Negotiate abc", "neither", ERR_UNSUPPORTED },
        { "Bearer", "without a realm", ERR_MALFORMED },
        { "Bearer service=\"s\"", "without a realm", ERR_MALFORMED },
        { "Bearer realm=", "without a value", ERR_MALFORMED },
        { "Bearer realm=\"https://a", "does not end", ERR_MALFORMED },
        { "Bearer realm=\"a\\", "does not end", ERR_MALFORMED },
        { "Bearer realm=\"a\\\"", "does not end", ERR_MALFORMED },
        { "Bearer realm=\"a\", realm=\"b\"", "realm twice", ERR_MALFORMED },
        { "Bearer realm=\"a\r\nX: y\"", "no text", ERR_MALFORMED },
        { "Bearer realm='https://a'", "a name", ERR_MALFORMED },
        { "Bearer realm==", "without a value", ERR_MALFORMED },
        { "Bearer realm=\"a\" \"b\"", "a name", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct challenge c;
        struct err       err;

        if (challenge_read(bytes_of_text(rows[i].header), &c, &err))
            fail_msg("%s was read", rows[i].header);
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s: %s", rows[i].header, err_kind_name(err.kind), err.text);
    }
}

static void refuses_headers_and_realms_that_are_too_long(void **state)
{
    char             text[CHALLENGE_TEXT_MAX + 1];
    struct challenge c;
    struct err       err;

    (void) state;
    memset(text, 'a', sizeof text);
    assert_false(challenge_read(BYTES_OF(text), &c, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    memcpy(text, "Bearer realm=", 13);
    assert_false(challenge_read((struct bytes){ (const uint8_t *) text, 14 + CHALLENGE_REALM_MAX }, &c, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(challenge_read((struct bytes){ (const uint8_t *) text, 13 + CHALLENGE_REALM_MAX }, &c, &err));
}

static void every_cut_of_a_challenge_is_read_or_refused(void **state)
{
    static const char whole[] = "Basic realm=\"x\\\"\", Bearer realm=\"https://a.example/t\", service=\"s\"";

    (void) state;
    for (size_t len = 0; len < sizeof whole; len++) {
        AUTO(heap) uint8_t *copy = exact_copy(whole, len);
        struct challenge    c;
        struct err          err;

        if (!challenge_read((struct bytes){ copy, len }, &c, &err))
            assert_true(err.kind == ERR_MALFORMED || err.kind == ERR_UNSUPPORTED);
    }
}

static void takes_a_token_by_either_name(void **state)
{
    static const char *const answers[] = { "{\"token\":\"abc\",\"expires_in\":300}", "{\"access_token\":\"abc\"}",
                                           "{\"token\":\"abc\",\"access_token\":\"abc\"}" };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        AUTO(buffer) struct buffer token = { 0 };
        struct err                 err;

        assert_true(token_answer_read(bytes_of_text(answers[i]), &token, &err));
        assert_string_equal(buffer_text(&token), "abc");
    }
}

static void refuses_answers_without_a_usable_token(void **state)
{
    static const struct { const char *json; enum err_kind kind; } rows[] = {
        { "", ERR_MALFORMED },          { "[]", ERR_MALFORMED },
        { "{}", ERR_MALFORMED },        { "{\"token\":7}", ERR_MALFORMED },
        { "{\"token\":\"\"}", ERR_LIMIT }, { "{\"token\":\"a b\"}", ERR_MALFORMED },
        { "{\"token\":\"a\\r\\nX: y\"}", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer token = { 0 };
        struct err                 err;

        assert_false(token_answer_read(bytes_of_text(rows[i].json), &token, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_non_null(strstr(err.text, "token service"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_registries_send),
        cmocka_unit_test(refuses_what_cannot_be_answered),
        cmocka_unit_test(refuses_headers_and_realms_that_are_too_long),
        cmocka_unit_test(every_cut_of_a_challenge_is_read_or_refused),
        cmocka_unit_test(takes_a_token_by_either_name),
        cmocka_unit_test(refuses_answers_without_a_usable_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
