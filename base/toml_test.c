#include "base/toml.h"
#include "tests/harness/test.h"

static bool read_text(const char *text, struct json_object **out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text, strlen(text));

    return toml_read((struct bytes){ exact, strlen(text) }, out, err);
}

static void reads_each_form_to_the_value_it_means(void **state)
{
    static const char *const pairs[][2] = {
        { "", "{}" },
        { "a = 1", "{\"a\":1}" },
        { "# c\na = 1 # d\r\nb = -0x1", NULL },
        { "a = 0xff\nb = 0o17\nc = 0b101\nd = 1_000\ne = -5\nf = +7\n", "{\"a\":255,\"b\":15,\"c\":5,\"d\":1000,\"e\":-5,\"f\":7}" },
        { "a = \"x\\ty\\u00e4\\\\\"", "{\"a\":\"x\\ty\xc3\xa4\\\\\"}" },
        { "a = 'x\\ty'", "{\"a\":\"x\\\\ty\"}" },
        { "a = '''\nl1\nl2'''", "{\"a\":\"l1\\nl2\"}" },
        { "a = \"\"\"\nl1 \\\n   l2\"\"\"", "{\"a\":\"l1 l2\"}" },
        { "a = \"\"\"x\"\"\"\"\"", "{\"a\":\"x\\\"\\\"\"}" },
        { "a = '''x''y'''", "{\"a\":\"x''y\"}" },
        { "[t]\na = true\nb = false\n[u.v]\nc = []", "{\"t\":{\"a\":true,\"b\":false},\"u\":{\"v\":{\"c\":[]}}}" },
        { "[[p]]\na=1\n[[p]]\na=2\n[p.q]\nb=3", "{\"p\":[{\"a\":1},{\"a\":2,\"q\":{\"b\":3}}]}" },
        { "a.b.c = 1\na.b.d = 2\n\"x y\".'z' = 3", "{\"a\":{\"b\":{\"c\":1,\"d\":2}},\"x y\":{\"z\":3}}" },
        { "a = [ 1, [ 'x' ], # c\n { b = 2, c.d = 3 }, ]", "{\"a\":[1,[\"x\"],{\"b\":2,\"c\":{\"d\":3}}]}" },
        { "[a.b]\nx=1\n[a]\ny=2", "{\"a\":{\"b\":{\"x\":1},\"y\":2}}" },
        { "[f]\na.c=1\n[f.a.t]\nx=2", "{\"f\":{\"a\":{\"c\":1,\"t\":{\"x\":2}}}}" },
        { "1234 = 'bare'", "{\"1234\":\"bare\"}" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        AUTO(json) struct json_object *out = NULL;
        AUTO(buffer) struct buffer     text = { 0 };
        bool                           read = read_text(pairs[i][0], &out, &err);

        if (read != (pairs[i][1] != NULL))
            fail_msg("%s: %s", pairs[i][0], read ? "accepted" : err.text);
        if (!read)
            continue;
        json_write(out, &text);
        assert_string_equal(buffer_text(&text), pairs[i][1]);
    }
}

static void refuses_one_defect_at_a_time_and_names_the_line(void **state)
{
    static const char *const bad[][2] = {
        { "a = 1\na = 2", "TOML line 2: \"a\" is defined twice" },
        { "[t]\n[t]", "TOML line 2: table \"t\" is defined twice" },
        { "[t]\na.b = 1\n[t.a]", "TOML line 3: table \"a\" is defined twice" },
        { "a = {}\na.b = 1", "TOML line 2: \"a\" is a value already, not a table" },
        { "a = 1\n[a]", "TOML line 2: table \"a\" is defined twice" },
        { "a = []\n[[a]]", "TOML line 2: \"a\" is not an array of tables" },
        { "[a.b.c]\n[a]\nb.x = 1", "TOML line 3: \"b\" is a table of its own; a dotted key may not add to it" },
        { "a = \"x\ny\"", "TOML line 1: control character 0x0a in a string" },
        { "a = \"x", "TOML line 1: unfinished string" },
        { "a = \"\\q\"", "TOML line 1: unknown escape" },
        { "a = \"\\ud800\"", "TOML line 1: escape of U+D800 is not allowed" },
        { "a = \"\\u0000\"", "TOML line 1: escape of U+0000 is not allowed" },
        { "a = 01", "TOML line 1: \"01\" is not a value" },
        { "a = 1__0", "TOML line 1: an underscore stands between digits only" },
        { "a = 1_", "TOML line 1: an underscore stands between digits only" },
        { "a = 9223372036854775808", "TOML line 1: 9223372036854775808 does not fit in 64 bits" },
        { "a = 1.5", "TOML line 1: floats and dates are not read here" },
        { "a = 2020-01-01", "TOML line 1: floats and dates are not read here" },
        { "a = nope", "TOML line 1: \"nope\" is not a value" },
        { "a = truex", "TOML line 1: not a value" },
        { "a 1", "TOML line 1: = is wanted behind \"a\"" },
        { "= 1", "TOML line 1: a key is wanted" },
        { "a = 1 b = 2", "TOML line 1: unexpected character 0x62" },
        { "a = { b = 1, }", "TOML line 1: a comma before the end of an inline table" },
        { "a = [1 2]", "TOML line 1: a comma or ] is wanted in an array" },
        { "[a\n", "TOML line 1: ] is wanted behind the table's name" },
        { "\"\"\"k\"\"\" = 1", "TOML line 1: a key may not be a multi-line string" },
        { "a = '\xff'", "TOML: not UTF-8" },
        { "# \x01", "TOML line 1: control character in a comment" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json_object *out = NULL;

        if (read_text(bad[i][0], &out, &err))
            fail_msg("accepted %s", bad[i][0]);
        assert_string_equal(err.text, bad[i][1]);
        assert_null(out);
    }
}

static void nesting_is_bounded(void **state)
{
    char                deep[64] = "a = ";
    struct json_object *out      = NULL;
    struct err          err;

    (void) state;
    memset(deep + 4, '[', 40);
    assert_false(read_text(deep, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void text_written_reads_back(void **state)
{
    static const char *const texts[] = { "", "plain", "two\nlines\n", "q\"\\\t", "\"\"\"", "\x7f\x01", "line\n\"\"\"\\end", "\n",
                                         "it's \"so\"", " \"\n", "\"'", "{\"a\":\n\"\\n\"}\n", "\"\r\n", "\n\"\n" };
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO(buffer) struct buffer     written = { 0 };
        AUTO(json) struct json_object *out     = NULL;
        const char                    *back;

        buffer_append_text(&written, "k = ");
        toml_append_text(&written, texts[i]);
        assert_true(toml_read(buffer_bytes(&written), &out, &err));
        assert_true(json_get_text(out, "k", &back, &err));
        assert_string_equal(back, texts[i]);
    }
}

static void text_with_quotes_is_written_so_that_a_person_can_read_it(void **state)
{
    AUTO(buffer) struct buffer one = { 0 }, many = { 0 };

    (void) state;
    toml_append_text(&one, "{\"a\":1}");
    assert_string_equal(buffer_text(&one), "'{\"a\":1}'");
    toml_append_text(&many, "{\n\"a\":1}\n");
    assert_string_equal(buffer_text(&many), "'''\n{\n\"a\":1}\n'''");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_form_to_the_value_it_means),
        cmocka_unit_test(refuses_one_defect_at_a_time_and_names_the_line),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(text_written_reads_back),
        cmocka_unit_test(text_with_quotes_is_written_so_that_a_person_can_read_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
