#include "base/json_packed.h"

#include "base/json.h"
#include "base/text.h"
#include "tests/harness/test.h"

#define FIFTEEN "0,1,2,3,4,5,6,7,8,9,10,99,100,199,255"
#define PACKED  "[\"\\u0000" "000102030405060708090a6364c7ff"

static void packs(const char *text, const char *wanted)
{
    AUTO(heap) uint8_t        *exact = exact_copy(text, strlen(text));
    AUTO(buffer) struct buffer out   = { 0 };

    json_pack((struct bytes){ exact, strlen(text) }, &out);
    assert_string_equal(buffer_text(&out), wanted);
}

static void packs_long_arrays_of_bytes(void **state)
{
    (void) state;
    packs("[" FIFTEEN ",7]", PACKED "07\"]");
    packs("{\"a\":[" FIFTEEN ",7],\"b\":[ " FIFTEEN " ,\t7\r\n]}", "{\"a\":" PACKED "07\"],\"b\":" PACKED "07\"]}");
    packs("[[" FIFTEEN ",255],[1]]", "[" PACKED "ff\"],[1]]");
}

static void leaves_all_else_as_it_is(void **state)
{
    static const char *const SAME[] = {
        "", "[]", "{}", "[" FIFTEEN "]", "[" FIFTEEN ",256]", "[" FIFTEEN ",1000]", "[" FIFTEEN ",-1]", "[" FIFTEEN ",-0]",
        "[" FIFTEEN ",1.0]", "[" FIFTEEN ",1e1]", "[" FIFTEEN ",01]", "[" FIFTEEN ",00]", "[" FIFTEEN ",]", "[" FIFTEEN ",,1]",
        "[" FIFTEEN ",1", "[" FIFTEEN ",1 2]", "[" FIFTEEN ",null]", "[" FIFTEEN ",[1]]", "[," FIFTEEN ",1]", "[" FIFTEEN ",1}",
        "\"[" FIFTEEN ",1]\"", "\"\\\"[" FIFTEEN ",1]\"", "\"\\\\\\\"[" FIFTEEN ",1]", "\"\\", "[",
    };

    (void) state;
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        packs(SAME[i], SAME[i]);
    packs("\"\\\\\"[" FIFTEEN ",1]", "\"\\\\\"" PACKED "01\"]"); /* the string ends before its bracket */
}

/* An escaped zero is what stands for a packed array: a text that has one is read as it is. */
static void a_text_with_an_escaped_zero_is_not_packed(void **state)
{
    (void) state;
    assert_true(json_can_be_packed((struct bytes){ 0 }));
    assert_true(json_can_be_packed(bytes_of_text("{\"a\":\"\\n\\u0001\"}")));
    assert_true(json_can_be_packed(bytes_of_text("\\u000"))); /* cut short */
    assert_false(json_can_be_packed(bytes_of_text("\\u0000")));
    assert_false(json_can_be_packed(bytes_of_text("{\"a\":\"\\n\\u0000\"}")));
}

static void is_read_as_bytes(void **state)
{
    AUTO(json) struct json_object *whole = NULL;
    AUTO(buffer) struct buffer     raw   = { 0 };
    struct json_object            *a = NULL, *b = NULL;
    struct bytes                   hex;
    struct err                     err;

    (void) state;
    assert_true(json_read_packed(bytes_of_text("{\"a\":[" FIFTEEN ",7],\"b\":[" FIFTEEN "]}"), 200, &whole, &err));
    assert_true(json_get(whole, "a", json_type_array, &a, &err) && json_get(whole, "b", json_type_array, &b, &err));
    assert_true(json_is_packed(a, &hex) && hex_read(hex, &raw, &err));
    assert_int_equal(raw.len, JSON_PACKED_LEAST);
    assert_int_equal(raw.at[14], 255);
    assert_int_equal(raw.at[15], 7);
    assert_false(json_is_packed(b, &hex));
    assert_false(json_is_packed(whole, &hex));
    assert_false(json_is_packed(NULL, &hex));
}

/* The text of a packed array is one that nobody can send. */
static void nobody_can_write_a_packed_array(void **state)
{
    static const struct {
        const char *text, *why;
    } BAD[] = {
        { PACKED "07\"]", "JSON: escape not allowed at offset 8" },
        { "[\"\\u0000\"]", "JSON: escape not allowed at offset 8" },
        { "[\"\x01\"]", "JSON: control character at offset 2" },
    };
    static const char *const OTHER[] = { "[\"\"]", "[\"00\"]", "[\"\\u0001" "00\"]", "[\"\\\\u0000" "00\"]" };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct json_object *out = NULL;

        assert_false(json_read_packed(bytes_of_text(BAD[i].text), 200, &out, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, BAD[i].why);
    }
    assert_false(json_read_packed((struct bytes){ (const uint8_t *) "[\"\0\"]", 5 }, 200, &(struct json_object *){ NULL }, &err));
    assert_string_equal(err.text, "JSON: control character at offset 2");
    for (size_t i = 0; i < sizeof OTHER / sizeof *OTHER; i++) {
        AUTO(json) struct json_object *out = NULL;
        struct bytes                   hex;

        assert_true(json_read_packed(bytes_of_text(OTHER[i]), 200, &out, &err));
        assert_false(json_is_packed(out, &hex));
    }
}

static void refuses_what_json_read_refuses(void **state)
{
    static const char *const BAD[] = { "", " ", "[" FIFTEEN ",1]x", "[" FIFTEEN ",1] [2]", "[" FIFTEEN ",01]", "[" FIFTEEN ",1,]",
        "{\"a\":[" FIFTEEN ",1],\"a\":[" FIFTEEN ",1]}", "[" FIFTEEN ",1", "{[" FIFTEEN ",1]:1}", "[[" FIFTEEN ",1]" };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct json_object *out = (struct json_object *) &err;

        if (json_read_packed(bytes_of_text(BAD[i]), 200, &out, &err))
            fail_msg("accepted %s", BAD[i]);
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_ptr_equal(out, &err);
    }
    assert_false(json_read_packed(bytes_of_text("[1,2,3]"), 6, &(struct json_object *){ NULL }, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_long_arrays_of_bytes),   cmocka_unit_test(leaves_all_else_as_it_is), cmocka_unit_test(a_text_with_an_escaped_zero_is_not_packed),
        cmocka_unit_test(is_read_as_bytes),             cmocka_unit_test(nobody_can_write_a_packed_array),
        cmocka_unit_test(refuses_what_json_read_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
