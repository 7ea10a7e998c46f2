#include "tests/harness/test.h"

#include <stdio.h>

#include "policy/rego/parser.h"

/* The first error of parsing `text`, as `row:col message`, or "" when it parses. */
static const char *parse(const char *text, size_t len, enum rego_version version)
{
    static char         said[512];
    static struct front front;
    struct arena        memory = arena_of(16 << 20);
    AUTO(heap) uint8_t *exact  = exact_copy(text, len);
    struct source_file  file   = { "t.rego", { exact, len } };

    front_start(&front, &memory);
    front.files   = &file;
    front.n_files = 1;
    if (setjmp(front.out) == 0) {
        struct module *m = parse_module(&front, 0, version);

        assert_int_equal(m == NULL, front.n_errors > 0);
    }
    said[0] = '\0';
    if (front.n_errors > 0)
        (void) snprintf(said, sizeof said, "%u:%u %s", front.errors[0].row, front.errors[0].col, front.errors[0].message);
    arena_free(&memory);
    return said;
}

static const char *parse_text(const char *text, enum rego_version version)
{
    return parse(text, strlen(text), version);
}

static void accepts_the_forms_that_policies_use(void **state)
{
    static const char *const modules[] = {
        "package a\np := 1",
        "package a[\"b-c\"].d\nimport data.x as y\nimport input.z\np if { y.q; z }",
        "package a\r\ndefault p = false\r\np if not q\r\n",
        "package a\np := 1 if {\n\tfalse\n}\n\n# note\nelse := 2 if {\n\ttrue\n}\n",
        "package a\np contains x if some x in {1, 2,}\nf(x, [y, _], {\"k\": v}) := x + y * v",
        "package a\np if every k, v in input { k != v }\nq[x].r := [x | x := 1; x > 0]",
        "package a\np if {\"a\": 1}\nq if {}\nr if { 1 in [1]; (0, 1 in [1]) }",
        "package a\np := {x: y | some x, y in input} | {z | z = 1}",
        "package a\np := $\"a {input.x} \\{b}\" if count([1], 1) with input as {\"x\": 2} with data.a as 3",
        "package a\nif.x := 1\np := data.in.with.some if as.foo\nas.foo := -input.x - -1",
        "package a\np := [1, 2,\n  3][0]\nq := {\"a\": {\"b\": 1}}[\"a\"].b\nr := f(1)[0].c",
    };

    (void) state;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        assert_string_equal(parse_text(modules[i], REGO_V1), "");
}

static void says_where_and_why_it_refuses(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        { "", "1:1 empty module" },
        { "p := 1", "1:1 package expected" },
        { "package a\np { true }", "2:1 `if` keyword is required before rule body" },
        { "package a\np[x] { x := 1 }", "2:1 `if` keyword is required before rule body" },
        { "package a\np[1]", "2:1 `contains` keyword is required for partial set rules" },
        { "package a\np", "2:1 var cannot be used for rule name" },
        { "package a\np if", "2:5 unexpected eof token" },
        { "package a\np if { true", "2:12 unexpected eof token: expected \\n or ; or }" },
        { "package a\np if { true true }", "2:13 unexpected true keyword: expected \\n or ; or }" },
        { "package a\np := 01", "2:6 unexpected number token: expected number without leading zero" },
        { "package a\np := 1e999999", "2:6 number too big" },
        { "package a\ndefault p := input.x", "2:1 illegal default rule (value cannot contain ref)" },
        { "package a\ndefault p contains 1", "2:1 illegal default rule (must have a value)" },
        { "package a\ndefault f(1) := 1", "2:1 illegal default rule (arguments cannot contain value)" },
        { "package a\np contains 1 if false else := 2", "2:23 else keyword cannot be used on multi-value rules" },
        { "package a\np if { not some x in [1] }", "2:12 unexpected some keyword: illegal negation of 'some'" },
        { "package a\np if every 1 in [1] { true }", "2:21 unexpected { token: expected value to be a variable" },
        { "package a\nimport foo.bar", "2:8 unexpected import path, must begin with one of: {data, future, input, rego}, "
                                       "got: foo (hint: if this is unexpected, try updating OPA)" },
        { "package a\nimport data.foo as input", "2:20 unexpected identifier token: expected var" },
        { "package a\nimport future.keywords.foo", "2:1 unexpected keyword, must be one of [contains every if in]" },
        { "package a\np := \"a\"[0]", "2:6 illegal ref (head cannot be string)" },
        { "package a\np := (1", "2:8 non-terminated expression" },
        { "package a\np := {1: 2", "2:11 unexpected eof token: non-terminated object" },
        { "package a\np := $\"{x = 1}\"", "2:9 unexpected unification ('=') in template-string expression" },
        { "package a\np := 1 with", "2:8 unexpected with keyword" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(parse_text(rows[i].text, REGO_V1), rows[i].why);
}

static void v0_reads_keywords_as_names_until_they_are_imported(void **state)
{
    (void) state;
    assert_string_equal(parse_text("package a\np[x] { x = 1 }\nin = 2\nq[k] = v { k = 1; v = 2 }", REGO_V0), "");
    assert_string_equal(parse_text("package a\np { 1 in [1] }", REGO_V0), "2:7 unexpected identifier token: expected \\n or ; or }");
    assert_string_equal(parse_text("package a\nimport future.keywords.every\np { every x in [1] { x } }", REGO_V0), "");
    assert_string_equal(parse_text("package a\nimport rego.v1\np { true }", REGO_V0),
                        "3:1 `if` keyword is required before rule body");
    assert_string_equal(parse_text("package a\nimport rego.v1\nimport future.keywords.if\np if true", REGO_V0),
                        "3:1 the `rego.v1` import implies `future.keywords`, these are therefore mutually exclusive");
}

static void not_and_its_experimental_siblings_need_their_imports(void **state)
{
    (void) state;
    assert_string_equal(parse_text("package a\nimport future.keywords.not\np if not { false }", REGO_V1), "");
    assert_string_equal(parse_text("package a\np if { not { x | x := 1 } }", REGO_V1), "");
    assert_string_equal(parse_text("package a\nimport future.keywords.and\np if { 1 and 2 }", REGO_V1),
                        "2:1 unexpected keyword, must be one of [contains every if in]");
    assert_string_equal(parse_text("package a\np if { 1 or 2 }", REGO_V1),
                        "2:10 unexpected identifier token: expected \\n or ; or }");
}

static void nesting_is_bounded(void **state)
{
    static char text[8192];

    (void) state;
    memset(text, '[', sizeof text - 1);
    memcpy(text, "package a\np := ", 15);
    assert_string_equal(parse_text(text, REGO_V1), "0:0 max parsing recursion depth exceeded");
}

static void stepping_back_costs_no_depth(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };

    (void) state;
    buffer_append_text(&text, "package a\n");
    for (int i = 0; i < 2 * NESTING_MAX; i++)
        buffer_append_text(&text, "p contains [1 | 2, 3]\n"); /* first read as a comprehension */
    assert_string_equal(parse_text(buffer_text(&text), REGO_V1), "");
}

static void chains_of_operators_are_bounded(void **state)
{
    static char text[8192];

    (void) state;
    memset(text, 0, sizeof text);
    memcpy(text, "package a\np := 1", 16);
    for (size_t i = 16; i + 3 < sizeof text; i += 2)
        memcpy(text + i, "+1", 2);
    assert_string_equal(parse_text(text, REGO_V1), "2:2053 max parsing recursion depth exceeded");
}

static void every_truncation_parses_or_is_refused(void **state)
{
    static const char module[] = "package a.b\nimport data.c as d\n\ndefault p := {\"k\": [1, null]}\n"
                                 "p := x if { some i, x in d[_]; not x == $\"a{i}b`\"; count({y | y := i}) > 0 with input.z as `r` }"
                                 " else := f(\"\\u0041\") if every k, v in {1.5e3} { k < v }\nf(_) contains 1";

    (void) state;
    for (size_t len = 0; len < sizeof module; len++)
        (void) parse(module, len, len % 2 ? REGO_V0 : REGO_V1); /* the sanitizers are the judge; parse asserts one outcome */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_forms_that_policies_use),
        cmocka_unit_test(says_where_and_why_it_refuses),
        cmocka_unit_test(v0_reads_keywords_as_names_until_they_are_imported),
        cmocka_unit_test(not_and_its_experimental_siblings_need_their_imports),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(stepping_back_costs_no_depth),
        cmocka_unit_test(chains_of_operators_are_bounded),
        cmocka_unit_test(every_truncation_parses_or_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
