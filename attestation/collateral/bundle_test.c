#include "tests/harness/test.h"

#include "attestation/collateral/bundle.h"

static struct answer made(const char *url, const char *body, const char *chain)
{
    struct answer a = { .fetched_at = 1, .expires_at = 2 };

    buffer_append_text(&a.url, url);
    buffer_append_text(&a.body, body);
    buffer_append_text(&a.issuer_chain, chain);
    return a;
}

static void what_was_written_is_found_by_its_url(void **state)
{
    struct answer               answers[] = { made("https://a/1", "one", ""), made("https://a/2", "", "chain") };
    AUTO(buffer) struct buffer  text      = { 0 };
    AUTO(bundle) struct bundle *bundle    = NULL;
    const struct answer        *found;
    struct err                  err;

    (void) state;
    bundle_write(answers, 2, &text);
    assert_true(bundle_read(buffer_bytes(&text), &bundle, &err));
    found = bundle_find(bundle, "https://a/2");
    assert_non_null(found);
    assert_true(bytes_equal(buffer_bytes(&found->issuer_chain), bytes_of_text("chain")));
    assert_int_equal(found->body.len, 0);
    assert_int_equal(found->fetched_at, 1);
    assert_int_equal(found->expires_at, 2);
    assert_non_null(bundle_find(bundle, "https://a/1"));
    assert_null(bundle_find(bundle, "https://a/3"));
    answer_free(&answers[0]);
    answer_free(&answers[1]);
}

#define HEAD "{\"cloister_collateral\":1,\"answers\":["
#define ONE  "{\"url\":\"u\",\"fetched\":1,\"expires\":2,\"issuer_chain\":\"\",\"body\":\"\"}"

static void each_defect_is_refused_by_its_name(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *wanted; } cases[] = {
        { "", ERR_MALFORMED, "collateral bundle: " },
        { "[]", ERR_MALFORMED, "collateral bundle: " },
        { "{\"answers\":[]}", ERR_MALFORMED, "cloister_collateral" },
        { "{\"cloister_collateral\":2,\"answers\":[]}", ERR_UNSUPPORTED, "collateral bundle: format 2, wanted 1" },
        { "{\"cloister_collateral\":1}", ERR_MALFORMED, "answers" },
        { HEAD "7]}", ERR_MALFORMED, "answer 0: " },
        { HEAD "{\"url\":\"u\"}]}", ERR_MALFORMED, "fetched" },
        { HEAD "{\"url\":\"u\",\"fetched\":-1,\"expires\":2,\"issuer_chain\":\"\",\"body\":\"\"}]}", ERR_MALFORMED, "fetched" },
        { HEAD "{\"url\":\"u\",\"fetched\":1,\"expires\":2,\"issuer_chain\":\"!\",\"body\":\"\"}]}", ERR_MALFORMED,
          "issuer_chain" },
        { HEAD "{\"url\":\"u\",\"fetched\":1,\"expires\":2,\"issuer_chain\":\"\",\"body\":\"a\"}]}", ERR_MALFORMED, "body" },
        { HEAD ONE "," ONE "]}", ERR_MALFORMED, "answer 1: its url is answered before" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bundle *bundle = NULL;
        struct err     err;

        assert_false(bundle_read(bytes_of_text(cases[i].text), &bundle, &err));
        assert_null(bundle);
        if (err.kind != cases[i].kind || !strstr(err.text, cases[i].wanted))
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void limits_hold(void **state)
{
    AUTO(buffer) struct buffer text   = { 0 };
    struct answer              a      = { 0 };
    struct bundle             *bundle = NULL;
    struct err                 err;

    (void) state;
    for (int i = 0; i <= ANSWER_URL_LEN_MAX; i++)
        buffer_append_text(&a.url, "u");
    bundle_write(&a, 1, &text);
    assert_false(bundle_read(buffer_bytes(&text), &bundle, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    answer_free(&a);
    text.len = 0;
    assert_non_null(buffer_grow(&a.issuer_chain, ANSWER_HEADER_LEN_MAX + 1));
    bundle_write(&a, 1, &text);
    assert_false(bundle_read(buffer_bytes(&text), &bundle, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    answer_free(&a);
    text.len = 0;
    buffer_append_text(&text, HEAD "0");
    for (int i = 0; i < BUNDLE_ANSWERS_MAX; i++)
        buffer_append_text(&text, ",0");
    buffer_append_text(&text, "]}");
    assert_false(bundle_read(buffer_bytes(&text), &bundle, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_found_by_its_url),
        cmocka_unit_test(each_defect_is_refused_by_its_name),
        cmocka_unit_test(limits_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
