#include "base/json.h"
#include "base/secret.h"
#include "base/text.h"
#include "tests/harness/test.h"
#include "tests/harness/traces.h"

static bool read_text(const char *text, struct json_object **out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text, strlen(text));

    return json_read((struct bytes){ exact, strlen(text) }, 4096, out, err);
}

static void reads_what_rfc_8259_allows(void **state)
{
    static const char *const good[] = { "{}", "[]", "null", "true", "0", "-1.5e3", "\"a\"", " [1, 2] \n",
        "{\"a\":{\"b\":[1,{\"c\":null}]}}", "\"\\ud83d\\ude00\"", "\"\\u00e4\\n\\\"\\\\\"", "{\"a:b\":\"c:d\"}", "12345678901234567890" };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        AUTO(json) struct json_object *out = NULL;

        if (!read_text(good[i], &out, &err))
            fail_msg("%s: %s", good[i], err.text);
    }
}

static void refuses_one_defect_at_a_time(void **state)
{
    static const char *const bad[] = { "", " ", "{", "[1,]", "{\"a\":1,}", "{'a':1}", "[1]x", "[1] [2]", "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}", "{\"x\":{\"a\":1,\"a\":2}}", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800a\"",
        "\"\xff\"", "NaN", "Infinity", "/* c */ 1", "01", "\"\x01\"", "\"unfinished", "tru", "{\"a\" 1}", "[1 2]", "+1", "1.", ".5", "\"\\u12\"",
        "[1]\xc2\xa0" };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json_object *out = (struct json_object *) &err;

        if (read_text(bad[i], &out, &err))
            fail_msg("accepted %s", bad[i]);
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_ptr_equal(out, &err);
    }
}

static void depth_and_size_are_limits(void **state)
{
    char                deep[200] = { 0 };
    struct json_object *out       = NULL;
    struct err          err;

    (void) state;
    memset(deep, '[', 100);
    memset(deep + 100, ']', 99);
    assert_false(read_text(deep, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(json_read(bytes_of_text("[1,2,3]"), 6, &out, &err));
    assert_string_equal(err.text, "JSON of 7 bytes; at most 6 are allowed");
}

static void getters_name_what_is_missing(void **state)
{
    AUTO(json) struct json_object *o = NULL;
    const char                    *text;
    uint64_t                       n;
    struct err                     err;

    (void) state;
    assert_true(read_text("{\"a\":\"x\",\"n\":7,\"m\":-1,\"z\":null}", &o, &err));
    assert_true(json_get_text(o, "a", &text, &err));
    assert_string_equal(text, "x");
    assert_true(json_get_u64(o, "n", 7, &n, &err));
    assert_false(json_get_u64(o, "n", 6, &n, &err));
    assert_false(json_get_u64(o, "m", 6, &n, &err));
    assert_false(json_get_text(o, "n", &text, &err));
    assert_string_equal(err.text, "\"n\": string wanted, found int");
    assert_false(json_get_text(o, "b", &text, &err));
    assert_string_equal(err.text, "\"b\" is missing");
    assert_false(json_has(o, "z"));
}

static void a_misspelt_member_is_told(void **state)
{
    static const char *const known[] = { "a", "b", NULL };
    AUTO(json) struct json_object *good = NULL, *bad = NULL, *list = NULL;
    struct err                     err;

    (void) state;
    assert_true(read_text("{\"b\":1}", &good, &err));
    assert_true(json_only(good, known, &err));
    assert_true(read_text("{\"a\":1,\"B\":2}", &bad, &err));
    assert_false(json_only(bad, known, &err));
    assert_string_equal(err.text, "unknown member \"B\"");
    assert_true(read_text("[]", &list, &err));
    assert_false(json_only(list, known, &err));
    assert_string_equal(err.text, "not an object");
}

static void writes_what_json_c_writes(void **state)
{
    static const char *const documents[] = { "{}", "[]", "null", "[true,false,-1,18446744073709551615,1.5,1e300,\"\"]",
        "{\"a/b\":{\"\\n\":[[],{},[{}]]},\"\\\\\":\"\\u00e4\\ud83d\\ude00\"}" };
    char                           every[128] = { 0 };
    AUTO(json) struct json_object *texts      = NULL;
    AUTO(buffer) struct buffer     text       = { 0 };
    struct err                     err;

    (void) state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        AUTO(json) struct json_object *read    = NULL;
        AUTO(buffer) struct buffer     written = { 0 };

        assert_true(read_text(documents[i], &read, &err));
        json_write(read, &written);
        assert_string_equal(buffer_text(&written), json_object_to_json_string_ext(read, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    for (size_t i = 0; i < sizeof every; i++)
        every[i] = (char) i;
    texts = json_object_new_array();
    assert_int_equal(json_object_array_add(texts, json_object_new_string_len(every, sizeof every)), 0);
    json_write(texts, &text);
    assert_string_equal(buffer_text(&text), json_object_to_json_string_ext(texts, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* Read, written, read again, while it is one text among others. */
static void pass_a_secret(int fd)
{
    enum { PLAIN_LEN = 3000 };
    AUTO(buffer) struct buffer          text  = WIPED_BUFFER, hex = WIPED_BUFFER, again = WIPED_BUFFER;
    AUTO(secret) struct secret          plain = { 0 };
    AUTO(wiped_json) struct json_object *read = NULL;
    char                               *mark  = strdup(TRACES_MARK); /* leaked by design */
    struct err                          err;

    assert_non_null(mark);
    assert_true(secret_random(PLAIN_LEN, &plain, &err));
    hex_append(&hex, secret_expose(&plain));
    buffer_append_text(&text, "{\"env\":[\"A=b\",\"PASSWORD=");
    buffer_append(&text, buffer_bytes(&hex));
    buffer_append_text(&text, "\"],\"args\":[\"/bin/sh\"]}");
    assert_true(json_read_wiped(buffer_bytes(&text), 1 << 16, &read, &err));
    json_write(read, &again);
    assert_true(bytes_equal(buffer_bytes(&text), buffer_bytes(&again)));
    assert_int_equal(write(fd, hex.at, 4096), 4096);
}

static void of_a_wiped_document_nothing_stays(void **state)
{
    (void) state;
    assert_no_traces_of(pass_a_secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_rfc_8259_allows),
        cmocka_unit_test(refuses_one_defect_at_a_time),
        cmocka_unit_test(depth_and_size_are_limits),
        cmocka_unit_test(getters_name_what_is_missing),
        cmocka_unit_test(a_misspelt_member_is_told),
        cmocka_unit_test(writes_what_json_c_writes),
        cmocka_unit_test(of_a_wiped_document_nothing_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
