#include "tests/harness/test.h"
#include "policy/rego/regex.h"

#include <stdio.h>

/* The match and its groups as text, "-" for a group that took no part; "no" without a match. */
static const char *search(const char *pattern, const char *text)
{
    static char              out[256];
    AUTO(arena) struct arena a  = arena_of(16 << 20);
    const struct regex      *re = NULL;
    struct regex_input       in = { .arena = &a, .text = bytes_of_text(text), .budget = 1 << 24 };
    size_t                   slots[2 * 10], n = 0;
    struct err               err;
    bool                     found;

    if (!regex_compile(&a, bytes_of_text(pattern), &re, &err)) {
        (void) snprintf(out, sizeof out, "%s", err.text);
        return out;
    }
    uint32_t groups = regex_groups(re) < 10 ? regex_groups(re) : 10;
    assert_true(regex_search(re, &in, 0, groups, slots, &found));
    bool only_found;
    assert_true(regex_search(re, &in, 0, 0, NULL, &only_found));
    assert_int_equal(found, only_found);
    if (!found)
        return "no";
    for (uint32_t i = 0; i < groups; i++) {
        if (slots[2 * i] == REGEX_NONE)
            n += (size_t) snprintf(out + n, sizeof out - n, "%s-", i ? "," : "");
        else
            n += (size_t) snprintf(out + n, sizeof out - n, "%s%.*s", i ? "," : "", (int) (slots[2 * i + 1] - slots[2 * i]), text + slots[2 * i]);
    }
    return out;
}

static void matches_as_go_does(void **state)
{
    static const char *const rows[][3] = {
        { "a+b", "xaaab", "aaab" }, { "^a$", "a\n", "no" }, { "(?m)^a$", "b\na\nc", "a" }, { "a|ab", "ab", "a" },
        { "(a|ab)(c|bcd)", "abcd", "abcd,a,bcd" }, { "a*?b", "aab", "aab" }, { "(a*)(a*)", "aa", "aa,aa," },
        { "(a*?)(a*)", "aa", "aa,,aa" }, { "(?U)a+", "aa", "a" }, { "[^a]", "\n", "\n" }, { ".", "\n", "no" },
        { "(?s).", "\n", "\n" }, { "\\bfoo\\b", "a foo b", "foo" }, { "\\Bo", "foo", "o" }, { "\\d{2,3}", "a12345", "123" },
        { "a{,2}", "a{,2}", "a{,2}" }, { "[]a]+", "]a]", "]a]" }, { "[[:alpha:]]+", "1ab2", "ab" }, { "\\pL+", "1äb2", "äb" },
        { "\\p{Greek}", "aλ", "λ" }, { "\\P{Greek}", "λa", "a" }, { "(?i)straSSE", "STRAsse", "STRAsse" },
        { "(?i)k", "\xe2\x84\xaa", "\xe2\x84\xaa" }, { "\\Qa.b\\E", "a.b", "a.b" }, { "\\Qa.b\\E+", "a.bb", "a.bb" },
        { "(?P<x>a)(?<y>b)", "ab", "ab,a,b" }, { "(a)|(b)", "b", "b,-,b" }, { "(a*)*", "b", "," }, { "(a*)+", "b", "," },
        { "(|a)*", "aa", "," }, { "x{0}", "x", "" }, { "(?:a{2}){2}", "aaaaa", "aaaa" }, { "[a-c-e]+", "b-e", "b-e" },
        { "\\x41\\x{42}", "AB", "AB" }, { "\\pN", "a5", "5" }, { "\\s", "\v", "no" }, { "(^|/)\\.\\.($|/)", "a/../b", "/../,/,/" },
        { "", "abc", "" }, { "^", "abc", "" }, { "\\z", "abc", "" }, { "ab\\z", "ab\n", "no" }, { "(?i:a)b", "Ab", "Ab" },
        { "(?i)[^x]", "X", "no" }, { "[\\d\\-x]+", "1-x", "1-x" }, { "a$|b", "ab", "b" }, { "\\.", "a.b", "." },
        { "日本", "xx日本語", "日本" }, { "[日-語]+", "日語", "日語" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = search(rows[i][0], rows[i][1]);

        if (strcmp(got, rows[i][2]) != 0)
            fail_msg("%s on %s: %s, not %s", rows[i][0], rows[i][1], got, rows[i][2]);
    }
}

static void rejects_what_go_rejects(void **state)
{
    static const char *const rows[][2] = {
        { "a**", "invalid nested repetition operator" }, { "a{2}{3}", "invalid nested repetition operator" },
        { "a{1001}", "invalid repeat count" }, { "(a{100}){11}", "invalid repeat count" }, { "a{3,2}", "invalid repeat count" },
        { "*", "missing argument" }, { "(", "missing closing )" }, { ")", "unexpected )" }, { "[a", "missing closing ]" },
        { "[b-a]", "invalid character class range" }, { "[a-\\d]", "invalid escape" }, { "\\1", "invalid escape" },
        { "\\h", "invalid escape" }, { "\\Z", "invalid escape" }, { "(?=a)", "unsupported Perl" }, { "(?<=a)", "unsupported Perl" },
        { "(?P<1x", "invalid named capture" }, { "(?P<n>a)(?P<n>b)", "duplicate" }, { "\\p{Nope}", "invalid character class" },
        { "[[:nope:]]", "invalid character class" }, { "\\", "trailing backslash" }, { "\\x{110000}", "invalid escape" },
        { "a\xff", "invalid UTF-8" }, { "a++", "invalid nested" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) struct arena a = arena_of(16 << 20);
        const struct regex      *re;
        struct err               err = { 0 };

        if (regex_compile(&a, bytes_of_text(rows[i][0]), &re, &err) || err.kind != ERR_MALFORMED || !strstr(err.text, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], err.text);
    }
}

static void a_limit_is_not_a_mismatch(void **state)
{
    AUTO(arena) struct arena a = arena_of(16 << 20);
    const struct regex      *re;
    struct regex_input       in = { .arena = &a, .text = bytes_of_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), .budget = 100 };
    struct err               err;
    bool                     found;

    (void) state;
    assert_true(regex_compile(&a, bytes_of_text("(a|aa|aaa)*b"), &re, &err));
    assert_false(regex_search(re, &in, 0, 0, NULL, &found));
    assert_false(arena_ok(&a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    arena_reset(&a);
    assert_false(regex_compile(&a, bytes_of_text("((a{30}){30}|(b{30}){30}|(c{30}){30}|(d{30}){30}|(e{30}){30}|(f{30}){30}|(g{30}){30}"
        "|(h{30}){30}|(i{30}){30}|(j{30}){30}|(k{30}){30}|(l{30}){30}|(m{30}){30}|(n{30}){30}|(o{30}){30}|(p{30}){30}|(q{30}){30}"
        "|(r{30}){30}|(s{30}){30}|(t{30}){30}|(u{30}){30}|(v{30}){30}|(w{30}){30}|(x{30}){30}|(y{30}){30})"), &re, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_go_does),
        cmocka_unit_test(rejects_what_go_rejects),
        cmocka_unit_test(a_limit_is_not_a_mismatch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
