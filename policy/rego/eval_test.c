#include <pthread.h>
#include <stdio.h>

#include "policy/rego/json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

/* A program of one module whose only query binds data.t.allow. */
static struct program *prepared(const char *text, const struct host_function *hosts, uint32_t n_hosts)
{
    struct rego_text         module  = { "t.rego", bytes_of_text(text) };
    struct rego_options      options = { .print = true, .hosts = hosts, .n_hosts = n_hosts };
    const char *const        queries[] = { "x = data.t.allow" };
    struct program          *p       = NULL;
    static struct rego_diagnostics why;
    struct err               err;

    if (!rego_prepare(&module, 1, queries, 1, &options, &p, &why, &err))
        fail_msg("%s", err.text);
    return p;
}

struct outcome {
    bool              ok;
    bool              is_allowed;
    uint32_t          n_results;
    struct eval_fault fault;
    struct err        err;
};

static struct outcome decide(const struct program *p, const char *input, struct eval_options options, struct arena *memory)
{
    AUTO(arena) struct arena texts = arena_of(32 << 20);
    struct value             in    = value_undefined(), data = value_new(&texts, VALUE_OBJECT, 0), results = { 0 };
    struct outcome           o     = { 0 };

    assert_true(value_close(&texts, data));
    if (input)
        assert_true(json_text_read(&texts, bytes_of_text(input), &in, &o.err));
    o.ok = program_eval(p, 0, in, data, &options, memory, &results, &o.fault, &o.err);
    if (o.ok) {
        o.n_results = value_count(results);
        for (uint32_t i = 0; i < o.n_results; i++)
            for (uint32_t k = 0; k < value_count(array_at(results, i)); k++)
                o.is_allowed |= object_value(array_at(results, i), k).type == VALUE_BOOLEAN && object_value(array_at(results, i), k).truth;
    }
    return o;
}

static struct eval_options defaults(void)
{
    return (struct eval_options){ .limits = EVAL_LIMITS_DEFAULT };
}

#define POLICY_DENY                                                                                                  \
    "package t\n"                                                                                                    \
    "default allow := false\n"                                                                                       \
    "names := {n | some n in input.names}\n"                                                                         \
    "counts[n] := c if { some n in names; c := count([m | some m in input.names; m == n]) }\n"                       \
    "bad(p) if regex.match(`(^|/)\\.\\.($|/)`, p)\n"                                                                 \
    "allow if {\n"                                                                                                   \
    "  not bad(input.path)\n"                                                                                        \
    "  every n in input.names { startswith(n, \"a\") }\n"                                                            \
    "  sprintf(\"%v-%d\", [input.names, counts.ab]) == \"[\\\"ab\\\", \\\"ac\\\"]-1\"\n"                             \
    "  object.union({\"a\": 1}, input.labels).b == 123456789012345678901 - 1\n"                                      \
    "  not input.labels.c with input.labels as {\"d\": concat(\",\", names)}\n"                                      \
    "}\n"

static const char allowed_input[] = "{\"path\":\"a/b\",\"names\":[\"ab\",\"ac\"],\"labels\":{\"b\":123456789012345678900}}";
static const char denied_input[]  = "{\"path\":\"a/../b\",\"names\":[\"ab\",\"ac\"],\"labels\":{\"b\":123456789012345678900}}";

/* With every size of memory: the right answer or an error, never another answer. */
static void no_failed_allocation_turns_a_deny_into_an_allow(void **state)
{
    AUTO(program) struct program *p = prepared(POLICY_DENY, NULL, 0);
    unsigned                      n_failed = 0, n_decided = 0;

    (void) state;
    for (size_t limit = 0; limit < 80000; limit += 80) {
        AUTO(arena) struct arena x = arena_of(limit), y = arena_of(limit);
        struct outcome           yes = decide(p, allowed_input, defaults(), &x), no = decide(p, denied_input, defaults(), &y);

        assert_false(no.is_allowed);
        if (yes.ok)
            assert_true(yes.is_allowed);
        else
            assert_int_equal(yes.err.kind, ERR_LIMIT);
        if (!no.ok)
            assert_int_equal(no.fault.code, EVAL_LIMIT_ERROR);
        n_failed += !yes.ok;
        n_decided += yes.ok;
    }
    assert_in_range(n_failed, 10, 990);
    assert_in_range(n_decided, 10, 990);
}

/* The same for every number of steps. */
static void no_used_up_budget_turns_a_deny_into_an_allow(void **state)
{
    AUTO(program) struct program *p       = prepared(POLICY_DENY, NULL, 0);
    struct eval_options           options = defaults();
    unsigned                      n_failed = 0;

    (void) state;
    for (uint64_t steps = 0; steps < 2000; steps++) {
        AUTO(arena) struct arena x = arena_of(1 << 20), y = arena_of(1 << 20);

        options.limits.steps = steps;
        struct outcome yes = decide(p, allowed_input, options, &x), no = decide(p, denied_input, options, &y);
        assert_false(no.is_allowed);
        assert_true(yes.ok ? yes.is_allowed : yes.err.kind == ERR_LIMIT);
        n_failed += !yes.ok;
    }
    assert_in_range(n_failed, 50, 1999);
}

static void a_built_in_error_is_undefined_or_fatal_as_asked(void **state)
{
    AUTO(program) struct program *p       = prepared("package t\nallow if not to_number(input.x) == 1\n", NULL, 0);
    AUTO(program) struct program *q       = prepared("package t\nallow if to_number(input.x) == 1\n", NULL, 0);
    AUTO(arena) struct arena      a       = arena_of(1 << 20);
    struct eval_options           options = defaults();
    struct outcome                o       = decide(q, "{\"x\":\"one\"}", options, &a);

    (void) state;
    assert_true(o.ok);
    assert_int_equal(o.n_results, 0);
    options.strict_builtin_errors = true;
    o                             = decide(p, "{\"x\":\"one\"}", options, &a);
    assert_false(o.ok);
    assert_int_equal(o.fault.code, EVAL_BUILTIN_ERROR);
    assert_int_equal(o.fault.place.row, 2);
    assert_string_equal(o.fault.text, "to_number: strconv.ParseFloat: parsing \"one\": invalid syntax");
}

static bool ask(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    unsigned *n = user;

    (void) a;
    ++*n;
    if (value_is_named(args[0], "broken"))
        return fail_with(err, ERR_TIMEOUT, "no answer");
    *out = value_is_named(args[0], "known") ? value_bool(true) : value_undefined();
    return true;
}

static void host_functions_answer_and_their_failure_is_fatal(void **state)
{
    static const struct host_function hosts[] = { { "query_reference_value", 1, ask } };
    AUTO(program) struct program *p = prepared("package t\nallow if query_reference_value(input)\n", hosts, 1);
    AUTO(program) struct program *q = prepared("package t\nallow if not query_reference_value(input)\n", hosts, 1);
    AUTO(program) struct program *r = prepared("package t\nallow if { some i in numbers.range(1, 1000); query_reference_value(sprintf(\"%d\", [i])) }\n", hosts, 1);
    AUTO(arena) struct arena      a = arena_of(4 << 20);
    unsigned                      n = 0;
    struct eval_options           options = defaults();
    struct outcome                o;

    (void) state;
    options.user = &n;
    assert_true(decide(p, "\"known\"", options, &a).is_allowed);
    assert_int_equal(decide(p, "\"other\"", options, &a).n_results, 0);
    o = decide(q, "\"broken\"", options, &a);
    assert_false(o.ok);
    assert_int_equal(o.err.kind, ERR_TIMEOUT);
    assert_string_equal(o.err.text, "eval_internal_error: query_reference_value: no answer");
    n = 0;
    o = decide(r, "0", options, &a);
    assert_int_equal(o.err.kind, ERR_LIMIT);
    assert_int_equal(n, EVAL_LIMITS_DEFAULT.host_calls);
}

static void collect(void *user, struct bytes line)
{
    char  *text = user;
    size_t n    = strlen(text);

    (void) snprintf(text + n, 200 - n, "%.*s|", (int) line.len, (const char *) line.at);
}

static void printing_is_bounded_and_never_changes_a_result(void **state)
{
    AUTO(program) struct program *p = prepared("package t\nallow if { print(\"a\", 1, input.no, [\"x\"]); print({\"k\": {2}}); print(\"dropped\") }\n", NULL, 0);
    AUTO(arena) struct arena      a       = arena_of(1 << 20);
    char                          text[200] = "";
    struct eval_options           options = defaults();

    (void) state;
    options.print              = collect;
    options.user               = text;
    options.limits.print_bytes = 34;
    assert_true(decide(p, "{}", options, &a).is_allowed);
    assert_string_equal(text, "a 1 <undefined> [\"x\"]|{\"k\": {2}}|");
}

struct seen {
    unsigned n_enter, n_leave;
    uint32_t undefined_row;
};

static void watch(void *user, const struct eval_moment *m)
{
    struct seen *s = user;

    s->n_enter += m->event == EVAL_ENTER;
    s->n_leave += m->event == EVAL_LEAVE;
    if (m->event == EVAL_UNDEFINED && m->place.row > 0)
        s->undefined_row = m->place.row;
}

static void a_trace_names_the_expression_that_was_undefined(void **state)
{
    AUTO(program) struct program *p       = prepared("package t\nallow if {\n  input.a == 1\n  input.b == 2\n}\n", NULL, 0);
    AUTO(arena) struct arena      a       = arena_of(1 << 20);
    struct seen                   seen    = { 0 };
    struct eval_options           options = defaults();

    (void) state;
    options.trace = watch;
    options.user  = &seen;
    assert_int_equal(decide(p, "{\"a\":1,\"b\":3}", options, &a).n_results, 0);
    assert_in_range(seen.n_enter, 2, 4);
    assert_in_range(seen.n_leave, 1, 4);
}

static void a_with_ends_where_it_stands(void **state)
{
    AUTO(program) struct program *p = prepared("package t\nx := input.v\nallow if { x == 1; x == 2 with input.v as 2; x == 1; not x == 3 with input as {\"v\": 4} }\n", NULL, 0);
    AUTO(arena) struct arena      a = arena_of(1 << 20);

    (void) state;
    assert_true(decide(p, "{\"v\":1}", defaults(), &a).is_allowed);
}

static void *decide_often(void *program)
{
    AUTO(arena) struct arena a      = arena_of(1 << 20);
    unsigned                 n_wrong = 0;

    for (int i = 0; i < 200; i++) {
        arena_reset(&a);
        n_wrong += !decide(program, allowed_input, defaults(), &a).is_allowed;
        n_wrong += decide(program, denied_input, defaults(), &a).is_allowed;
    }
    return n_wrong ? program : NULL;
}

static void one_program_serves_many_threads(void **state)
{
    AUTO(program) struct program *p = prepared(POLICY_DENY, NULL, 0);
    pthread_t                     threads[4];
    void                         *wrong;

    (void) state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decide_often, p), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_allocation_turns_a_deny_into_an_allow),
        cmocka_unit_test(no_used_up_budget_turns_a_deny_into_an_allow),
        cmocka_unit_test(a_built_in_error_is_undefined_or_fatal_as_asked),
        cmocka_unit_test(host_functions_answer_and_their_failure_is_fatal),
        cmocka_unit_test(printing_is_bounded_and_never_changes_a_result),
        cmocka_unit_test(a_trace_names_the_expression_that_was_undefined),
        cmocka_unit_test(a_with_ends_where_it_stands),
        cmocka_unit_test(one_program_serves_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
