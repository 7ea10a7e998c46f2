/* Single expressions with the results that OPA 0.62 gave: values, undefined, and the codes of errors in both modes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "policy/rego/json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

/*
 * Where OPA itself has changed since: exact big integers, spellings that to_number takes, keywords as names, unused
 * variables as errors; and where this test asks otherwise: a bare comparison over several elements drops the false ones.
 */
enum { CHANGED_SINCE = 22 };

struct answer {
    bool         failed;
    const char  *code;
    struct value values; /* set of what the expression was */
    uint32_t     n;
};

static const char *path_of(const char *name, char room[static 2048])
{
    const char *vectors = getenv("CLOISTER_VECTORS");

    (void) snprintf(room, 2048, "%s/rego/own/%s", vectors ? vectors : "../shared/vectors", name);
    return room;
}

/* Whether the query can stand on the right of `x__ =`. */
static bool is_term(const char *query)
{
    static const char *const not_terms[] = { "not ", "some ", "every " };

    for (size_t i = 0; i < sizeof not_terms / sizeof not_terms[0]; i++)
        if (strncmp(query, not_terms[i], strlen(not_terms[i])) == 0)
            return false;
    if (strstr(query, " with ") || strchr(query, ';') || strstr(query, "print("))
        return false;
    for (const char *at = strchr(query, '='); at; at = strchr(at + 1, '='))
        if (at[1] == '=')
            at++;
        else if (at == query || !strchr("!<>", at[-1]))
            return false;
    return true;
}

static struct answer ask(struct arena *a, const char *query, struct value input, bool strict)
{
    AUTO(program) struct program *program = NULL;
    AUTO(buffer) struct buffer    text    = { 0 };
    struct rego_options           how     = { .print = true };
    struct eval_options           options = { .limits = EVAL_LIMITS_DEFAULT, .strict_builtin_errors = strict, .now_ns = 1 };
    struct answer                 answer  = { .values = value_new(a, VALUE_SET, 0) };
    struct value                  data    = value_new(a, VALUE_OBJECT, 0), results;
    static struct rego_diagnostics why;
    struct eval_fault             fault;
    struct err                    err;

    buffer_append_text(&text, is_term(query) ? "x__ = (" : "");
    buffer_append_text(&text, query);
    buffer_append_text(&text, is_term(query) ? ")" : "");
    const char *whole = buffer_text(&text);
    assert_true(value_close(a, data));
    if (!rego_prepare(NULL, 0, &whole, 1, &how, &program, &why, &err))
        return (struct answer){ .failed = true, .code = why.at[0].code };
    if (!program_eval(program, 0, input, data, &options, a, &results, &fault, &err))
        return (struct answer){ .failed = true, .code = eval_code_name(fault.code) };
    answer.n = value_count(results);
    for (uint32_t i = 0; i < answer.n; i++) {
        struct text_out out = text_out_new(a, 1 << 20);
        struct value    x = object_get_text(array_at(results, i), "x__"), json;

        if (!value_is_defined(x))
            continue;
        json_text_write(&out, x, &(struct json_style){ 0 });
        assert_true(text_take(&out, &json));
        assert_true(json_text_read(a, (struct bytes){ (const uint8_t *) json.text, json.len }, &x, &err));
        assert_true(set_add(a, answer.values, x));
    }
    assert_true(value_close(a, answer.values));
    return answer;
}

static bool matches(struct arena *a, struct value want, const struct answer *got, const char *query)
{
    struct value error = object_get_text(want, "error"), results = object_get_text(want, "result");
    struct value values = value_new(a, VALUE_SET, 0);

    if (value_is(error, VALUE_STRING))
        return value_is_named(error, "rego_type_error") || (got->failed && value_is_named(error, got->code));
    if (got->failed)
        return false;
    if (!value_is(results, VALUE_ARRAY))
        return got->n == 0;
    if (!is_term(query))
        return got->n > 0 || value_equal(object_get_text(array_at(results, 0), "values").in->at[0], value_bool(false));
    for (uint32_t i = 0; i < value_count(results); i++)
        assert_true(set_add(a, values, array_at(object_get_text(array_at(results, i), "values"), 0)));
    assert_true(value_close(a, values));
    return value_equal(values, got->values);
}

static void expressions_give_what_opa_gave(void **state)
{
    AUTO(arena) struct arena   file = arena_of(64 << 20), memory = arena_of(64 << 20);
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[2048];
    struct value               all, cases;
    struct err                 err;
    unsigned                   judged = 0, wrong = 0;

    (void) state;
    assert_true(file_read(path_of("golden-expr.json", path), 16 << 20, &text, &err));
    assert_true(json_text_read(&file, buffer_bytes(&text), &all, &err));
    cases = object_get_text(all, "cases");
    for (uint32_t i = 0; i < value_count(cases); i++) {
        struct value test = array_at(cases, i), query = object_get_text(test, "query");
        struct value strict = object_get_text(test, "strict_builtin_errors");
        char         q[1024];

        (void) snprintf(q, sizeof q, "%.*s", (int) query.len, query.text);
        for (int mode = 0; mode < (value_is(strict, VALUE_OBJECT) ? 2 : 1); mode++) {
            arena_reset(&memory);
            struct answer got = ask(&memory, q, object_get_text(all, "input"), mode == 1);

            judged++;
            if (matches(&memory, mode == 1 ? strict : test, &got, q))
                continue;
            printf("%s%s: %s\n", q, mode == 1 ? " (strict)" : "", got.failed ? got.code : "another value");
            wrong++;
        }
    }
    printf("%u expressions, %u of them otherwise than OPA 0.62\n", judged, wrong);
    assert_in_range(judged, 557, 2000);
    assert_in_range(wrong, 0, CHANGED_SINCE);
}

int main(void)
{
    char path[2048];

    if (access(path_of("golden-expr.json", path), R_OK) != 0) {
        printf("no vectors at %s\n", path);
        return 77;
    }

    const struct CMUnitTest tests[] = { cmocka_unit_test(expressions_give_what_opa_gave) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
