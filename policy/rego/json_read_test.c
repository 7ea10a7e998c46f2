#include "tests/harness/test.h"
#include "policy/rego/json.h"

static bool reads(const char *text, struct arena *a, struct value *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text, strlen(text));
    struct value        v;

    if (!json_text_read(a, (struct bytes){ exact, strlen(text) }, &v, err))
        return false;
    *out = value_copy(a, v);
    return true;
}

static void rejects_what_is_no_json_and_says_where(void **state)
{
    static const char *const rows[][2] = {
        { "", "JSON at offset 0: unexpected end" }, { "[1,]", "JSON at offset 3: unexpected character" },
        { "{\"a\":1,}", "JSON at offset 7: expected a key" }, { "{a:1}", "JSON at offset 1: expected a key" },
        { "[1 2]", "JSON at offset 3: expected , or ]" }, { "{\"a\" 1}", "JSON at offset 5: expected :" },
        { "\"a", "JSON at offset 2: string without end" }, { "\"\\x41\"", "JSON at offset 1: unknown escape" },
        { "\"\\u12\"", "JSON at offset 3: \\u wants four hex digits" }, { "\"a\tb\"", "JSON at offset 2: control character in a string" },
        { "\"\xff\"", "JSON at offset 1: not UTF-8" }, { "nul", "JSON at offset 0: unexpected character" },
        { "01", "JSON at offset 0: not a number: 01" }, { "[1] [2]", "JSON at offset 4: bytes behind the document" },
        { "'a'", "JSON at offset 0: unexpected character" }, { "\xef\xbb\xbf[]", "JSON at offset 0: unexpected character" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) struct arena a = arena_of(1 << 20);
        struct value             v = value_null();
        struct err               err;

        assert_false(reads(rows[i][0], &a, &v, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, rows[i][1]);
        assert_int_equal(v.type, VALUE_NULL);
    }
}

static void rejects_every_truncation(void **state)
{
    static const char        good[] = "{\"a\":[1.5e2,\"\\u00e9\\ud83d\\ude00\",true,null],\"\xc3\xa9\":{}}";
    AUTO(arena) struct arena a      = arena_of(1 << 20);
    struct value             v;
    struct err               err;

    (void) state;
    for (size_t len = 0; len < sizeof good - 1; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(good, len);

        assert_false(json_text_read(&a, (struct bytes){ exact, len }, &v, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    assert_true(json_text_read(&a, bytes_of_text(good), &v, &err));
    assert_int_equal(value_count(v), 2);
}

static void stops_at_its_depth_and_memory(void **state)
{
    AUTO(arena) struct arena a = arena_of(1 << 20), small = arena_of(20000);
    char                     deep[2 * JSON_DEPTH_MAX + 10] = { 0 };
    struct value             v;
    struct err               err;

    (void) state;
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(json_text_read(&a, bytes_of_text(deep), &v, &err));
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_false(json_text_read(&a, bytes_of_text(deep), &v, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "JSON: nested deeper than 250");
    AUTO(buffer) struct buffer many = { 0 };
    buffer_append_text(&many, "[0");
    for (int i = 0; i < 3000; i++)
        buffer_append_text(&many, ",0");
    buffer_append_text(&many, "]");
    assert_false(json_text_read(&small, buffer_bytes(&many), &v, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "JSON: limit: memory");
}

static void the_last_of_duplicate_keys_wins(void **state)
{
    AUTO(arena) struct arena a = arena_of(1 << 20);
    struct value             v;
    struct err               err;

    (void) state;
    assert_true(reads("{\"a\":1,\"b\":2,\"a\":3}", &a, &v, &err));
    assert_int_equal(value_count(v), 2);
    assert_int_equal(object_get_text(v, "a").integer, 3);
}

static void lone_surrogates_become_the_replacement_character(void **state)
{
    AUTO(arena) struct arena a = arena_of(1 << 20);
    struct value             v;
    struct err               err;

    (void) state;
    assert_true(reads("\"\\ud800x\\udc00\"", &a, &v, &err));
    assert_true(value_is_named(v, "\xef\xbf\xbdx\xef\xbf\xbd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rejects_what_is_no_json_and_says_where), cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(stops_at_its_depth_and_memory),          cmocka_unit_test(the_last_of_duplicate_keys_wins),
        cmocka_unit_test(lone_surrogates_become_the_replacement_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
