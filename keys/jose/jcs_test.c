#include "tests/harness/test.h"

#include "base/ossl.h"
#include "base/text.h"
#include "keys/jose/jcs.h"

static bool canonical(const char *text, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *value = NULL;

    assert_true(json_read(bytes_of_text(text), 1 << 16, &value, err));
    return jcs_append(value, out, err);
}

static void assert_canonical(const char *text, const char *wanted)
{
    AUTO(buffer) struct buffer out = { 0 };
    struct err                 err;

    assert_true(canonical(text, &out, &err));
    assert_string_equal(buffer_text(&out), wanted);
}

static void hashes_the_upstream_case(void **state)
{
    AUTO(buffer) struct buffer out = { 0 };
    AUTO(buffer) struct buffer hex = { 0 };
    uint8_t                    digest[SHA384_LEN];
    struct err                 err;

    (void) state;
    assert_true(canonical("{\"b\":1,\"a\":\"test\",\"c\":{\"d\":\"e\"}}", &out, &err));
    sha384_of(buffer_bytes(&out), digest);
    hex_append(&hex, BYTES_OF(digest));
    assert_string_equal(buffer_text(&hex), "e71ce8e70d814ba6639c3612ebee0ff1f76f650f8dbb5e47157e0f3f525cd22c"
                                           "4597480a186427c813ca941da78870c3");
}

static void sorts_names_by_utf16_units_as_rfc_8785_3_2_3_shows(void **state)
{
    (void) state;
    assert_canonical("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
                     "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,\"\xf0\x9f\x98\x80\":5,"
                     "\"\xef\xac\xb3\":3}");
    assert_canonical("{\"ab\":1,\"a\":2,\"\":3}", "{\"\":3,\"a\":2,\"ab\":1}");
}

static void escapes_only_what_it_must(void **state)
{
    (void) state;
    assert_canonical("[\"\\u0008\\t\\n\\u000c\\r\\u000f\\\"\\\\\\/\\u007f\\u00e9\"]",
                     "[\"\\b\\t\\n\\f\\r\\u000f\\\"\\\\/\x7f\xc3\xa9\"]");
}

static void writes_literals_arrays_and_integers(void **state)
{
    (void) state;
    assert_canonical(" [ null , true, false, -0, 9007199254740991, [], {} ] ", "[null,true,false,0,9007199254740991,[],{}]");
}

static void refuses_numbers_that_it_cannot_keep_exactly(void **state)
{
    AUTO(buffer) struct buffer out = { 0 };
    struct err                 err;

    (void) state;
    assert_false(canonical("[1.5]", &out, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "canonical JSON: a number that is no integer");
    assert_false(canonical("[9007199254740992]", &out, &err));
    assert_string_equal(err.text, "canonical JSON: an integer beyond 2^53");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_the_upstream_case),
        cmocka_unit_test(sorts_names_by_utf16_units_as_rfc_8785_3_2_3_shows),
        cmocka_unit_test(escapes_only_what_it_must),
        cmocka_unit_test(writes_literals_arrays_and_integers),
        cmocka_unit_test(refuses_numbers_that_it_cannot_keep_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
