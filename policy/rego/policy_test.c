#include "tests/harness/test.h"

#include <stdio.h>

#include "policy/rego/json.h"
#include "policy/rego/policy.h"

/* What a query gives, as JSON; or the error as `code: message`. */
static const char *evaluate(const char *module, const char *query, const char *input, bool strict)
{
    static char                   said[4096];
    AUTO(program) struct program *program = NULL;
    AUTO(arena) struct arena      memory  = arena_of(16 << 20);
    struct rego_text              text    = { "t.rego", bytes_of_text(module) };
    struct rego_options           how     = { 0 };
    struct eval_options           options = { .limits = EVAL_LIMITS_DEFAULT, .strict_builtin_errors = strict };
    struct rego_diagnostics       why     = { .n = 0 };
    struct eval_fault             fault   = { 0 };
    struct value                  in = value_undefined(), data, results, json;
    struct err                    err;

    if (!rego_prepare(&text, 1, &query, 1, &how, &program, &why, &err)) {
        (void) snprintf(said, sizeof said, "%s", err.text);
        return said;
    }
    assert_true(!input || json_text_read(&memory, bytes_of_text(input), &in, &err));
    assert_true(json_text_read(&memory, bytes_of_text("{\"base\":{\"a\":[1,2]},\"t\":{\"extra\":7}}"), &data, &err));
    if (!program_eval(program, 0, in, data, &options, &memory, &results, &fault, &err)) {
        (void) snprintf(said, sizeof said, "%s: %s", eval_code_name(fault.code), fault.text);
        return said;
    }
    struct text_out out = text_out_new(&memory, sizeof said - 1);
    json_text_write(&out, results, &(struct json_style){ 0 });
    assert_true(text_take(&out, &json));
    (void) snprintf(said, sizeof said, "%.*s", (int) json.len, json.text);
    return said;
}

struct row {
    const char *module;
    const char *query;
    const char *input;
    const char *gives;
};

static void all_give(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_string_equal(evaluate(rows[i].module, rows[i].query, rows[i].input, false), rows[i].gives);
}
#define ALL_GIVE(rows) all_give(rows, sizeof(rows) / sizeof(rows)[0])

static void documents_are_rules_over_data(void **state)
{
    static const struct row rows[] = {
        { "package t\np := 1", "x = data.t.p", NULL, "[{\"x\":1}]" },
        { "package t\np := 1\nq contains 2", "x = data.t", NULL, "[{\"x\":{\"extra\":7,\"p\":1,\"q\":[2]}}]" },
        { "package t\np := 1\nf(x) := x", "data.t[k] = v", NULL, "[{\"k\":\"extra\",\"v\":7},{\"k\":\"p\",\"v\":1}]" },
        { "package t\np if data.base.a[_] == 2", "data.t.p", NULL, "[{}]" },
        { "package t\np := 1 if false", "data.t.p", NULL, "[]" },
        { "package t\np.q.r := 1\np.s[x] := x if some x in [2]", "x = data.t.p", NULL, "[{\"x\":{\"q\":{\"r\":1},\"s\":{\"2\":2}}}]" },
        { "package t\np[x] contains y if { some x, y in [3, 4] }", "x = data.t.p", NULL, "[{\"x\":{\"0\":[3],\"1\":[4]}}]" },
        { "package t\nk := \"p\"\np := 5", "x = data.t[data.t.k]", NULL, "[{\"x\":5}]" },
        { "package t\nk := \"extra\"", "x = data.t[data.t.k]", NULL, "[{\"x\":7}]" },
        { "package t", "x := 1; y = [x, z]; z = 2", NULL, "[{\"x\":1,\"y\":[1,2],\"z\":2}]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

/* The most dangerous differences between engines: an undefined operand denies, also under `not`. */
static void undefined_operands_of_not_deny(void **state)
{
    static const struct row rows[] = {
        { "package t", "not input.y", "{}", "[{}]" },
        { "package t", "not input.y == 1", "{}", "[]" },
        { "package t", "not startswith(input.y, \"a\")", "{}", "[]" },
        { "package t", "not count(input.y) == 0", "{}", "[]" },
        { "package t", "not 1 in input.y", "{}", "[]" },
        { "package t", "not input.y == 1", "{\"y\":2}", "[{}]" },
        { "package t\np if not input.x == 1", "data.t.p", "{}", "[]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static void the_imported_not_takes_the_whole_expression(void **state)
{
    static const struct row rows[] = {
        { "package t\nimport future.keywords.not\np if not input.x == 1", "data.t.p", "{}", "[{}]" },
        { "package t\nimport future.keywords.not\np if not input.x == 1", "data.t.p", "{\"x\":1}", "[]" },
        { "package t\nimport future.keywords.not\np if { y := 2; not { x := input.x; x == y } }", "data.t.p", "{\"x\":2}", "[]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static void every_fails_over_what_is_no_collection(void **state)
{
    static const struct row rows[] = {
        { "package t", "every x in input.l { x > 0 }", "{\"l\":[1,2]}", "[{}]" },
        { "package t", "every x in input.l { x > 1 }", "{\"l\":[1,2]}", "[]" },
        { "package t", "every x in input.l { x > 1 }", "{\"l\":[]}", "[{}]" },
        { "package t", "every x in input.l { x > 1 }", "{\"l\":7}", "[]" },
        { "package t", "every x in input.l { x > 1 }", "{\"l\":\"text\"}", "[]" },
        { "package t", "every x in input.l { x > 1 }", "{}", "[]" },
        { "package t", "every x in [1, 2] { some y in [2, 3]; y == x + 1 }", NULL, "[{}]" },
        { "package t", "every x in [1, 5] { some y in [2, 3]; y == x + 1 }", NULL, "[]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static void two_values_for_one_rule_are_an_error(void **state)
{
    static const struct row rows[] = {
        { "package t\np := 1\np := 2", "data.t.p", NULL, "eval_conflict_error: complete rules must not produce multiple outputs" },
        { "package t\np := x if some x in [1, 2]", "not data.t.p", NULL,
          "eval_conflict_error: complete rules must not produce multiple outputs" },
        { "package t\nf(_) := 1\nf(_) := 2", "data.t.f(0)", NULL,
          "eval_conflict_error: functions must not produce multiple outputs for same inputs" },
        { "package t\np[\"a\"] := x if some x in [1, 2]", "data.t.p", NULL,
          "eval_conflict_error: complete rules must not produce multiple outputs" },
        { "package t\np[k] := x if { some x in [1, 2]; k := \"a\" }", "data.t.p", NULL, "eval_conflict_error: object keys must be unique" },
        { "package t\np := 1\np := 1", "x = data.t.p", NULL, "[{\"x\":1}]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static void else_and_default_take_over_in_order(void **state)
{
    static const struct row rows[] = {
        { "package t\np := 1 if input.a\nelse := 2 if input.b\nelse := 3 if input.c\ndefault p := 4", "x = data.t.p", "{\"b\":true,\"c\":true}", "[{\"x\":2}]" },
        { "package t\np := 1 if input.a\nelse := 2 if input.b\ndefault p := 4", "x = data.t.p", "{\"b\":false}", "[{\"x\":4}]" },
        { "package t\ndefault p := [x | some x in [1]]\np := 2 if false", "x = data.t.p", NULL, "[{\"x\":[1]}]" },
        { "package t\ndefault f(_) := 0\nf(x) := 1 if x > 1", "x = [data.t.f(2), data.t.f(1)]", NULL, "[{\"x\":[1,0]}]" },
        { "package t\ndefault f(_) := 0", "x = data.t.f(input.none)", "{}", "[]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static void with_replaces_for_one_expression_only(void **state)
{
    static const struct row rows[] = {
        { "package t\np := input.x", "a = data.t.p with input.x as 1; b = data.t.p with input as {\"x\": 2}; c = data.t.p", "{\"x\":3}", "[{\"a\":1,\"b\":2,\"c\":3}]" },
        { "package t\nq := 1\np := q + 1", "a = data.t.p with data.t.q as 5; b = data.t.p", NULL, "[{\"a\":6,\"b\":2}]" },
        { "package t\nf(x) := x\ng(x) := x * 10\np := f(4)", "a = data.t.p with data.t.f as data.t.g; b = data.t.p", NULL, "[{\"a\":40,\"b\":4}]" },
        { "package t\np := count([1, 2])", "a = data.t.p with count as 9; b = data.t.p", NULL, "[{\"a\":9,\"b\":2}]" },
        { "package t\np := count([1, 2])", "x := 7; a = data.t.p with count as x", NULL, "[{\"a\":7,\"x\":7}]" },
        { "package t\np := input", "x = data.t.p with input.a.b as 1", NULL, "[{\"x\":{\"a\":{\"b\":1}}}]" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static void failing_builtins_are_undefined_unless_strict(void **state)
{
    (void) state;
    assert_string_equal(evaluate("package t", "1 / 0", NULL, false), "[]");
    assert_string_equal(evaluate("package t", "1 / 0", NULL, true), "eval_builtin_error: div: divide by zero");
}

static void compile_errors_read_as_those_of_opa(void **state)
{
    static const struct row rows[] = {
        { "package t\np if x > 1", "data.t.p", NULL, "t.rego:2: rego_unsafe_var_error: var x is unsafe" },
        { "package t\np if { x := 1; x := 2 }", "data.t.p", NULL, "t.rego:2: rego_compile_error: var x assigned above" },
        { "package t\np if q\nq if p", "data.t.p", NULL, "t.rego:2: rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p" },
        { "package t\np := foo(1)", "data.t.p", NULL, "t.rego:2: rego_type_error: undefined function foo" },
        { "package t\np := count(1, 2, 3)", "data.t.p", NULL, "t.rego:2: rego_type_error: count: arity mismatch" },
        { "package t\np := 1\np contains 2", "data.t.p", NULL, "t.rego:2: rego_type_error: conflicting rules data.t.p found" },
        { "package t\np.q := 1\np.q.r := 2", "data.t.p", NULL, "t.rego:2: rego_type_error: rule data.t.p.q conflicts with [data.t.p.q.r]" },
        { "package t\np if { true with x.y as 1 }", "data.t.p", NULL,
          "t.rego:2: rego_type_error: with keyword target must reference existing input, data, or a function" },
        { "package t\np if http.send({})", "data.t.p", NULL,
          "t.rego:2: rego_unsupported_builtin_error: built-in function http.send is not supported" },
        { "package t\np if { print(x); true }", "data.t.p", NULL, "t.rego:2: rego_compile_error: var x is undeclared" },
    };

    (void) state;
    ALL_GIVE(rows);
}

static bool answer_seven(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    (void) user;
    (void) a;
    (void) err;
    *out = value_is_named(args[0], "known") ? value_int(7) : value_undefined();
    return true;
}

static void host_functions_are_called_like_builtins(void **state)
{
    static const struct host_function hosts[] = { { "query_reference_value", 1, answer_seven } };
    AUTO(program) struct program     *program = NULL;
    AUTO(arena) struct arena          memory  = arena_of(1 << 20);
    struct rego_text                  text    = { "t.rego", bytes_of_text("package t\np if query_reference_value(\"known\") == 7\n"
                                                                          "q if query_reference_value(\"other\")") };
    struct rego_options     how       = { .hosts = hosts, .n_hosts = 1 };
    struct eval_options     options   = { .limits = EVAL_LIMITS_DEFAULT };
    const char             *queries[] = { "data.t.p", "data.t.q" };
    struct rego_diagnostics why;
    struct eval_fault       fault;
    struct value            results, data = value_new(&memory, VALUE_OBJECT, 0);
    struct err              err;

    (void) state;
    assert_true(value_close(&memory, data));
    assert_true(rego_prepare(&text, 1, queries, 2, &how, &program, &why, &err));
    assert_true(program_eval(program, 0, value_undefined(), data, &options, &memory, &results, &fault, &err));
    assert_int_equal(value_count(results), 1);
    assert_true(program_eval(program, 1, value_undefined(), data, &options, &memory, &results, &fault, &err));
    assert_int_equal(value_count(results), 0);
}

/* `[1 | x, 1]` is read as a comprehension, then as a list: nested, each level doubles the work. */
static void reading_again_is_bounded(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };

    (void) state;
    buffer_append_text(&text, "package t\np := ");
    for (int i = 0; i < 60; i++)
        buffer_append_text(&text, "[1 | ");
    buffer_append_text(&text, "1");
    for (int i = 0; i < 60; i++)
        buffer_append_text(&text, ", 1]");
    assert_string_equal(evaluate(buffer_text(&text), "data.t.p", NULL, false), "rego_limit_error: tokens");
}

/* Every amount of memory gives a refusal or the whole policy, never a part of it. */
static void any_shortage_of_memory_is_an_error(void **state)
{
    static const char module[] = "package t\nimport data.base as b\ndefault allow := false\nallow if { some x in b.a; f(x) == {y | y := x * 2}; not deny[x] }\n"
                                 "f(x) := {x + x}\ndeny contains x if { some x in [5]; every y in b.a { y < x } }";
    struct rego_text        text  = { "t.rego", BYTES_OF(module) };
    const char             *query = "data.t.allow";
    size_t                  enough = 0;
    struct rego_diagnostics why;
    struct err              err;

    (void) state;
    text.text.len--;
    for (size_t memory = 1; enough == 0; memory += 997) {
        AUTO(program) struct program *program = NULL;
        struct rego_options           how     = { .memory = memory };

        assert_in_range(memory, 1, 1 << 20);
        if (rego_prepare(&text, 1, &query, 1, &how, &program, &why, &err))
            enough = memory;
        else
            assert_int_equal(err.kind, ERR_LIMIT);
    }
    assert_string_equal(evaluate(module, query, NULL, false), "[{}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_rules_over_data),
        cmocka_unit_test(undefined_operands_of_not_deny),
        cmocka_unit_test(the_imported_not_takes_the_whole_expression),
        cmocka_unit_test(every_fails_over_what_is_no_collection),
        cmocka_unit_test(two_values_for_one_rule_are_an_error),
        cmocka_unit_test(else_and_default_take_over_in_order),
        cmocka_unit_test(with_replaces_for_one_expression_only),
        cmocka_unit_test(failing_builtins_are_undefined_unless_strict),
        cmocka_unit_test(compile_errors_read_as_those_of_opa),
        cmocka_unit_test(host_functions_are_called_like_builtins),
        cmocka_unit_test(reading_again_is_bounded),
        cmocka_unit_test(any_shortage_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
