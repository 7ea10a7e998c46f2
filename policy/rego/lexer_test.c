#include "tests/harness/test.h"
#include "policy/rego/lexer.h"

struct lexed {
    struct arena memory;
    struct front front;
};

static void start(struct lexed *l)
{
    l->memory = arena_of(4 << 20);
    front_start(&l->front, &l->memory);
}

static struct token first_of(struct lexed *l, const char *text)
{
    struct lexer lexer = lexer_over(bytes_of_text(text), 0);

    lexer.keywords = KEYWORDS_ALL;
    return lexer_next(&l->front, &lexer);
}

static void names_every_token_by_kind(void **state)
{
    static const struct {
        const char     *text;
        enum token_kind kind;
    } rows[] = {
        { "", TOKEN_EOF },          { "# only a comment", TOKEN_EOF }, { "a_1", TOKEN_IDENT },   { "some", TOKEN_SOME },
        { "in", TOKEN_IN },         { "inn", TOKEN_IDENT },            { ":=", TOKEN_ASSIGN },   { ":", TOKEN_COLON },
        { "==", TOKEN_EQUAL },      { "=", TOKEN_UNIFY },              { "!=", TOKEN_NEQ },      { "<=", TOKEN_LTE },
        { "0", TOKEN_NUMBER },      { "1.5e-3", TOKEN_NUMBER },        { "\"a\"", TOKEN_STRING }, { "`a\nb`", TOKEN_RAW_STRING },
        { "$\"a{", TOKEN_TEMPLATE_PART }, { "$`a`", TOKEN_TEMPLATE_END }, { "\xef\xbb\xbfx", TOKEN_IDENT },
    };
    struct lexed l;

    (void) state;
    start(&l);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(first_of(&l, rows[i].text).kind, rows[i].kind);
    assert_int_equal(l.front.n_errors, 0);
    arena_free(&l.memory);
}

static void refuses_what_json_and_utf8_refuse(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        { "\"a", "non-terminated string" },      { "\"a\nb\"", "non-terminated string" }, { "`a", "non-terminated string" },
        { "\"\\x41\"", "illegal escape sequence" }, { "\"\\u12g4\"", "illegal escape sequence" },
        { "\"\x01\"", "illegal string literal" }, { "\"\xff\"", "illegal utf-8 character" },
        { "\"\xed\xa0\x80\"", "illegal utf-8 character" }, { "1.", "expected fraction" }, { "1e", "expected exponent" },
        { "0x10", "illegal number format" },     { "!", "illegal token" },                { "\xc3\xa9", "illegal token" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lexed l;

        start(&l);
        assert_int_equal(first_of(&l, rows[i].text).kind, TOKEN_ILLEGAL);
        assert_int_equal(l.front.n_errors, 1);
        assert_string_equal(l.front.errors[0].message, rows[i].why);
        assert_string_equal(l.front.errors[0].code, PARSE_ERROR);
        arena_free(&l.memory);
    }
}

static void counts_columns_in_code_points(void **state)
{
    struct lexed l;
    struct lexer lexer = lexer_over(bytes_of_text("\t\"\xc3\xa9\" x\n  y"), 0);

    (void) state;
    start(&l);
    assert_int_equal(lexer_next(&l.front, &lexer).at.col, 2);
    assert_int_equal(lexer_next(&l.front, &lexer).at.col, 6);
    struct token y = lexer_next(&l.front, &lexer);
    assert_int_equal(y.at.row, 2);
    assert_int_equal(y.at.col, 3);
    assert_true(y.newline_before);
    arena_free(&l.memory);
}

static void unescapes_as_go_does(void **state)
{
    static const struct {
        const char *text;
        const char *value;
    } rows[] = {
        { "\"a\\n\\u0041\"", "a\nA" },
        { "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
        { "\"\\ud800\"", "\xef\xbf\xbd" },       /* a lone surrogate */
        { "\"\\ud800\\u0041\"", "\xef\xbf\xbd" "A" },
        { "`a\\n`", "a\\n" },
        { "$\"\\{x}\"", "{x}" },
    };
    struct lexed l;

    (void) state;
    start(&l);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct token t = first_of(&l, rows[i].text);

        assert_string_equal(token_string(&l.front, &t)->text, rows[i].value);
    }
    arena_free(&l.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_token_by_kind),
        cmocka_unit_test(refuses_what_json_and_utf8_refuse),
        cmocka_unit_test(counts_columns_in_code_points),
        cmocka_unit_test(unescapes_as_go_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
