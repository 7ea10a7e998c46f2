#include <stdio.h>

#include "policy/rego/builtins.h"
#include "policy/rego/json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

/* What an expression gives, as Rego text; "undefined", or the error of strict mode. */
static const char *evaluated(const char *expression)
{
    static char                    out[600];
    static struct rego_diagnostics why;
    AUTO(arena) struct arena       memory  = arena_of(64 << 20);
    AUTO(program) struct program  *p       = NULL;
    struct rego_options            compile = { 0 };
    struct eval_options            options = { .limits = EVAL_LIMITS_DEFAULT, .strict_builtin_errors = true, .now_ns = 1700000000123456789 };
    struct value                   data = value_new(&memory, VALUE_OBJECT, 0), results, text;
    struct text_out                t = text_out_new(&memory, 500);
    struct eval_fault              fault;
    struct err                     err;
    char                           query[400];
    const char                    *queries[] = { query };

    assert_true(value_close(&memory, data));
    (void) snprintf(query, sizeof query, "x = %s", expression);
    if (!rego_prepare(NULL, 0, queries, 1, &compile, &p, &why, &err))
        (void) snprintf(out, sizeof out, "%s", err.text);
    else if (!program_eval(p, 0, value_undefined(), data, &options, &memory, &results, &fault, &err))
        (void) snprintf(out, sizeof out, "%s", fault.code == EVAL_LIMIT_ERROR ? "limit" : fault.text);
    else if (value_count(results) == 0)
        return "undefined";
    else {
        rego_write(&t, object_get_text(array_at(results, 0), "x"), true);
        assert_true(text_take(&t, &text));
        (void) snprintf(out, sizeof out, "%.*s", (int) text.len, text.text);
    }
    return out;
}

struct row {
    const char *expression, *wanted;
};

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = evaluated(rows[i].expression);

        if (strcmp(got, rows[i].wanted) != 0)
            fail_msg("%s: %s, not %s", rows[i].expression, got, rows[i].wanted);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))

static void numbers_are_exact_and_print_as_written(void **state)
{
    static const struct row rows[] = {
        { "0.1 + 0.2", "0.3" }, { "1 / 3", "0.33333333333333333334" }, { "7 / 2", "3.5" }, { "6 / 3", "2" },
        { "123456789012345678901234567890 + 1", "123456789012345678901234567891" },
        { "9223372036854775807 + 1", "9223372036854775808" }, { "9223372036854775808 - 1", "9223372036854775807" },
        { "99999999999 * 99999999999", "9999999999800000000001" }, { "1e30 / 1e29", "10" }, { "-7 % 3", "-1" },
        { "123456789012345678901 % 1000000007", "148161865" }, { "1.5 % 2", "rem: modulo on floating-point number" },
        { "1 / 0", "div: divide by zero" }, { "5 % 0", "rem: modulo by zero" }, { "round(2.5)", "3" }, { "round(-2.5)", "-3" },
        { "ceil(1.1)", "2" }, { "floor(-1.1)", "-2" }, { "abs(-3.5)", "3.5" }, { "[1.0, 1e2]", "[1.0, 1e2]" }, { "1 == 1.0", "true" },
        { "to_number(\"007\")", "7" }, { "to_number(\"+.5\")", "0.5" }, { "to_number(null)", "0" },
        { "to_number(\"1e999\")", "to_number: strconv.ParseFloat: parsing \"1e999\": value out of range" },
        { "format_int(255, 16)", "\"ff\"" }, { "format_int(-5, 2)", "\"-101\"" },
        { "format_int(1, 3)", "format_int: operand 2 must be one of {2, 8, 10, 16}" }, { "bits.lsh(1, 70)", "1180591620717411303424" },
        { "bits.rsh(1180591620717411303424, 70)", "1" }, { "bits.and(-1, 340282366920938463463374607431768211455)", "340282366920938463463374607431768211455" },
        { "bits.negate(5)", "-6" }, { "bits.xor(-5, 3)", "-8" }, { "bits.lsh(1, 100000)", "limit" },
        { "numbers.range(3, 1)", "[3, 2, 1]" }, { "numbers.range_step(0, 7, 3)", "[0, 3, 6]" }, { "numbers.range(1, 10000000000)", "limit" },
        { "sum([1, 2.5])", "3.5" }, { "product([])", "1" }, { "max([])", "undefined" }, { "min([2, \"a\", null])", "null" },
    };

    (void) state;
    CHECK(rows);
}

static void texts_count_code_points(void **state)
{
    static const struct row rows[] = {
        { "count(\"häß\")", "3" }, { "substring(\"häß\", 1, 1)", "\"ä\"" }, { "substring(\"abc\", -1, 1)", "substring: negative offset" },
        { "substring(\"abc\", 1, -1)", "\"bc\"" }, { "indexof(\"häß\", \"ß\")", "2" }, { "indexof_n(\"aaa\", \"aa\")", "[0, 1]" },
        { "split(\"\", \",\")", "[\"\"]" }, { "split(\"äb\", \"\")", "[\"ä\", \"b\"]" }, { "replace(\"abc\", \"\", \"-\")", "\"-a-b-c-\"" },
        { "concat(\",\", {\"b\", \"a\"})", "\"a,b\"" }, { "concat(\",\", [1])", "concat: operand 2 must be array of strings but got array containing number" },
        { "lower(\"ÄẞİI\")", "\"äßii\"" }, { "upper(\"äß\")", "\"Äß\"" }, { "trim_space(\"\\u00a0 a\\n\")", "\"a\"" },
        { "trim(\"xxaxx\", \"x\")", "\"a\"" }, { "trim_left(\"xxaxx\", \"x\")", "\"axx\"" }, { "strings.reverse(\"aäb\")", "\"bäa\"" },
        { "strings.replace_n({\"a\": \"b\", \"b\": \"c\"}, \"ab\")", "\"bc\"" }, { "strings.count(\"aaaa\", \"aa\")", "2" },
        { "sprintf(\"%d|%5.2f|%-4s|%v|%x\", [10, 3.14159, \"a\", {\"k\": {1}}, \"hi\"])", "\"10| 3.14|a   |{\\\"k\\\": {1}}|6869\"" },
        { "sprintf(\"%d %s\", [1.5, 2])", "\"%!d(float64=1.5) %!s(int=2)\"" }, { "sprintf(\"%v %[1]q\", [\"a\"])", "\"a \\\"a\\\"\"" },
        { "sprintf(\"%*d\", [1000000000, 1])", "\"%!(BADWIDTH)1\"" }, { "regex.match(\"^a$\", \"a\\n\")", "false" },
        { "regex.find_n(\"a*\", \"baac\", -1)", "[\"\", \"aa\", \"\"]" },
        { "regex.find_all_string_submatch_n(\"(a)(b)?\", \"abac\", 1)", "[[\"ab\", \"a\", \"b\"]]" },
        { "regex.replace(\"a1b2\", `([a-z])(\\d)`, \"$2${1}$$\")", "\"1a$2b$\"" }, { "regex.split(\"-+\", \"a--b-c\")", "[\"a\", \"b\", \"c\"]" },
        { "regex.match(\"(\", \"a\")", "regex.match: error parsing regexp: missing closing ): `(`" }, { "regex.is_valid(\"a**\")", "false" },
        { "glob.match(\"*.github.com\", [], \"api.github.com\")", "true" }, { "glob.match(\"*.github.com\", [], \"a.b.github.com\")", "false" },
        { "glob.match(\"**.com\", [\".\"], \"a.b.com\")", "true" }, { "glob.match(\"{a,b}[!x]?\", null, \"ayz\")", "true" },
    };

    (void) state;
    CHECK(rows);
}

static void collections_keep_their_order(void **state)
{
    static const struct row rows[] = {
        { "sort([3, \"a\", 1, null, {}])", "[null, 1, 3, \"a\", {}]" }, { "array.slice([1, 2, 3], -1, 2)", "[1, 2]" },
        { "array.concat([1], {2})", "array.concat: operand 2 must be array but got set" }, { "array.flatten([[1], [[2]]])", "[1, [2]]" },
        { "object.get({\"a\": [5]}, [\"a\", 0], 1)", "5" }, { "object.get({}, \"a\", 1)", "1" },
        { "object.union({\"a\": {\"x\": 1}}, {\"a\": {\"y\": 2}})", "{\"a\": {\"x\": 1, \"y\": 2}}" },
        { "object.remove({\"a\": 1, \"b\": 2}, {\"a\"})", "{\"b\": 2}" }, { "object.subset([1, 2, 3], [2, 3])", "true" },
        { "json.patch({\"a\": [1]}, [{\"op\": \"add\", \"path\": \"/a/-\", \"value\": 2}])", "{\"a\": [1, 2]}" },
        { "json.remove({\"a\": {\"b\": 1, \"c\": 2}}, [\"a/b\"])", "{\"a\": {\"c\": 2}}" }, { "json.filter({\"a\": {\"b\": 1, \"c\": 2}}, [\"a/b\"])", "{\"a\": {\"b\": 1}}" },
        { "json.marshal({\"<\": {1, 2}, 1: null})", "\"{\\\"1\\\":null,\\\"\\\\u003c\\\":[1,2]}\"" },
        { "json.unmarshal(`{\"a\":1,\"a\":2}`)", "{\"a\": 2}" }, { "json.unmarshal(`[1] x`)", "json.unmarshal: JSON at offset 4: bytes behind the document" },
        { "base64.encode(\"hi?>\")", "\"aGk/Pg==\"" }, { "base64url.encode_no_pad(\"hi?>\")", "\"aGk_Pg\"" }, { "base64url.decode(\"aGk_Pg\")", "\"hi?>\"" },
        { "base64.decode(\"a\")", "base64.decode: illegal base64 data at input byte 0" }, { "hex.decode(\"6869\")", "\"hi\"" },
        { "urlquery.encode(\"a b&ä\")", "\"a+b%26%C3%A4\"" }, { "urlquery.decode_object(\"a=1&a=2&b\")", "{\"a\": [\"1\", \"2\"], \"b\": [\"\"]}" },
        { "crypto.sha256(\"\")", "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"" },
        { "crypto.hmac.sha256(\"what do ya want for nothing?\", \"Jefe\")", "\"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\"" },
        { "graph.reachable({\"a\": [\"b\"], \"b\": []}, [\"a\"])", "{\"a\", \"b\"}" }, { "semver.compare(\"1.2.3-a.2\", \"1.2.3-a.10\")", "-1" },
        { "net.cidr_contains(\"10.0.0.0/8\", \"10.1.2.3\")", "true" }, { "net.cidr_merge([\"10.0.0.0/25\", \"10.0.0.128/25\"])", "{\"10.0.0.0/24\"}" },
        { "net.cidr_expand(\"::/1\")", "limit" }, { "units.parse_bytes(\"1.5KiB\")", "1536" }, { "units.parse(\"100m\")", "0.1" },
    };

    (void) state;
    CHECK(rows);
}

static void times_are_those_of_go(void **state)
{
    static const struct row rows[] = {
        { "time.now_ns()", "1700000000123456789" }, { "time.parse_rfc3339_ns(\"2017-06-02T19:00:00.5-07:00\")", "1496455200500000000" },
        { "time.parse_rfc3339_ns(\"2262-04-11T23:47:16.854775808Z\")", "time.parse_rfc3339_ns: time outside of valid range" },
        { "time.parse_rfc3339_ns(\"2017-02-29T00:00:00Z\")", "time.parse_rfc3339_ns: parsing time \"2017-02-29T00:00:00Z\": day out of range" },
        { "time.date(-1)", "[1969, 12, 31]" }, { "time.weekday(0)", "\"Thursday\"" }, { "time.add_date(0, 0, 1, 30)", "5270400000000000" },
        { "time.format([0, \"UTC\", \"RFC1123\"])", "\"Thu, 01 Jan 1970 00:00:00 UTC\"" }, { "time.format(1)", "\"1970-01-01T00:00:00.000000001Z\"" },
        { "time.parse_duration_ns(\"1h2.5s\")", "3602500000000" }, { "time.parse_duration_ns(\"1x\")", "time.parse_duration_ns: time: invalid duration \"1x\"" },
        { "time.diff(86400000000000, 0)", "[0, 0, 1, 0, 0, 0]" },
    };

    (void) state;
    CHECK(rows);
}

static void every_row_of_the_table_can_be_found(void **state)
{
    uint32_t n = 0, found;

    (void) state;
    for (; builtin_at(n); n++) {
        assert_true(builtin_find(value_of_text(builtin_at(n)->name), &found));
        assert_int_equal(found, n);
        assert_in_range(builtin_at(n)->n_args, 0, BUILTIN_ARGS_MAX);
    }
    assert_in_range(n, 140, 250);
    assert_false(builtin_find(value_of_text("http.send"), &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact_and_print_as_written), cmocka_unit_test(texts_count_code_points),
        cmocka_unit_test(collections_keep_their_order),           cmocka_unit_test(times_are_those_of_go),
        cmocka_unit_test(every_row_of_the_table_can_be_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
