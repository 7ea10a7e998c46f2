/* OPA's own compiled plans of its conformance cases, run here: results and errors must be OPA's. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "policy/rego/eval.h"
#include "policy/rego/json.h"
#include "policy/rego/plan_json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

enum { PLANS_PASSED = 1536 }; /* at least; raised with every built-in */

struct tally {
    unsigned passed, failed, unsupported;
};

static void append_json(struct arena *a, struct value v, struct value *out)
{
    struct text_out t = text_out_new(a, VALUE_TEXT_MAX);
    struct value    text;
    struct err      err;

    json_text_write(&t, v, &(struct json_style){ 0 });
    assert_true(text_take(&t, &text));
    assert_true(json_text_read(a, (struct bytes){ (const uint8_t *) text.text, text.len }, out, &err));
}

/* What a binding is compared as: with arrays sorted where the case says so. */
static struct value sorted(struct arena *a, struct value v)
{
    struct value set = value_new(a, VALUE_SET, 0);

    for (uint32_t i = 0; i < value_count(v); i++)
        assert_true(set_add(a, set, array_at(v, i)));
    assert_true(value_close(a, set));
    return set;
}

/* The results as a set of objects of JSON values. */
static struct value as_set(struct arena *a, struct value results, struct value test)
{
    struct value set  = value_new(a, VALUE_SET, 0), plain;
    bool         sort = value_is_defined(object_get_text(test, "sort_bindings"));
    bool         hide = value_is_defined(object_get_text(test, "ignore_generated_vars"));

    append_json(a, results, &plain);
    for (uint32_t i = 0; i < value_count(plain); i++) {
        struct value from = array_at(plain, i), to = value_new(a, VALUE_OBJECT, 0);

        for (uint32_t k = 0; k < value_count(from); k++) {
            struct value key = object_key(from, k), v = object_value(from, k);

            if (hide && key.len > 8 && memcmp(key.text, "__localq", 8) == 0)
                continue;
            assert_true(object_put(a, to, key, sort && v.type == VALUE_ARRAY ? sorted(a, v) : v));
        }
        assert_true(value_close(a, to));
        assert_true(set_add(a, set, to));
    }
    assert_true(value_close(a, set));
    return set;
}

static void show(struct arena *a, struct value id, const char *what, struct value v)
{
    struct text_out t = text_out_new(a, VALUE_TEXT_MAX);
    struct value    text;

    rego_write(&t, v, false);
    if (text_take(&t, &text))
        printf("%.*s: %s: %.*s\n", (int) id.len, id.text, what, (int) (text.len < 300 ? text.len : 300), text.text);
}

/* The wanted text without a place in front: these plans carry none. */
static bool has_text(const char *text, struct value wanted)
{
    char        buffer[512];
    const char *code;

    if (wanted.type != VALUE_STRING)
        return true;
    (void) snprintf(buffer, sizeof buffer, "%.*s", (int) wanted.len, wanted.text);
    code = strstr(buffer, ": eval_");
    return strstr(text, code ? code + 2 : buffer) != NULL;
}

static bool as_wanted(struct arena *a, struct value test, bool ok, struct value results, const char *text)
{
    struct value code = object_get_text(test, "want_error_code"), error = object_get_text(test, "want_error");
    struct value wanted = object_get_text(test, "want_plan_result");

    if (value_is_defined(code) || value_is_defined(error)) {
        if (!ok && has_text(text, code) && has_text(text, error))
            return true;
        show(a, object_get_text(test, "id"), "wanted error", value_is_defined(error) ? error : code);
        printf("    got %s\n", ok ? "a result" : text);
        return false;
    }
    if (!ok) {
        show(a, object_get_text(test, "id"), "failed", value_of_text(text));
        return false;
    }
    if (value_equal(as_set(a, results, test), as_set(a, wanted, test)))
        return true;
    show(a, object_get_text(test, "id"), "wanted", wanted);
    show(a, object_get_text(test, "id"), "   got", results);
    return false;
}

static bool input_of(struct arena *a, struct value test, struct value *out)
{
    struct value term = object_get_text(test, "input_term");
    struct err   err;

    *out = object_get_text(test, "input");
    if (term.type != VALUE_STRING)
        return true;
    return rego_read_term(a, (struct bytes){ (const uint8_t *) term.text, term.len }, out, &err);
}

static void run_case(struct value test, struct tally *tally)
{
    AUTO(arena) struct arena     memory  = arena_of(64 << 20), room = arena_of(64 << 20);
    AUTO(program) struct program *p      = NULL;
    struct plan                  plan    = plan_over(&memory);
    struct eval_options          options = { .limits = EVAL_LIMITS_DEFAULT, .now_ns = 1700000000000000000 };
    struct value                 input, data = object_get_text(test, "data"), results = { 0 };
    struct eval_fault            fault;
    struct err                   err = { 0 };
    bool                         ok;

    if (!plan_json_read(object_get_text(test, "plan"), &plan, &err) || !program_new(&plan, &p, &err)) {
        if (err.kind != ERR_UNSUPPORTED)
            show(&memory, object_get_text(test, "id"), "plan", value_of_text(err.text));
        *(err.kind == ERR_UNSUPPORTED ? &tally->unsupported : &tally->failed) += 1;
        return;
    }
    if (!input_of(&memory, test, &input)) {
        tally->failed++;
        return;
    }
    if (!value_is_defined(data))
        data = value_new(&memory, VALUE_OBJECT, 0);
    assert_true(value_close(&memory, data));
    options.strict_builtin_errors = value_is_defined(object_get_text(test, "strict_error"));
    ok                            = program_eval(p, 0, input, data, &options, &room, &results, &fault, &err);
    if (as_wanted(&memory, test, ok, results, err.text))
        tally->passed++;
    else
        tally->failed++;
}

static void run_file(const char *path, struct tally *tally)
{
    AUTO(buffer) struct buffer text   = { 0 };
    AUTO(arena) struct arena   memory = arena_of(256 << 20);
    struct value               file, cases;
    struct err                 err;

    if (!file_read(path, 64 << 20, &text, &err) || !json_text_read(&memory, buffer_bytes(&text), &file, &err)) {
        printf("%s: %s\n", path, err.text);
        tally->failed++;
        return;
    }
    cases = object_get_text(file, "cases");
    for (uint32_t i = 0; cases.type == VALUE_ARRAY && i < value_count(cases); i++)
        run_case(array_at(cases, i), tally);
}

static const char *folder(void)
{
    static char path[4096];
    const char *vectors = getenv("CLOISTER_VECTORS");

    (void) snprintf(path, sizeof path, "%s/rego-ir", vectors ? vectors : ".");
    return path;
}

static void runs_every_plan_as_opa_does(void **state)
{
    AUTO(dir) DIR *dir   = opendir(folder());
    struct tally   tally = { 0 };

    (void) state;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[8192];

        (void) snprintf(path, sizeof path, "%s/%s", folder(), entry->d_name);
        if (strstr(entry->d_name, ".json"))
            run_file(path, &tally);
    }
    printf("%u passed, %u failed, %u with built-ins that we do not have\n", tally.passed, tally.failed, tally.unsupported);
    assert_int_equal(tally.failed, 0);
    assert_in_range(tally.passed, PLANS_PASSED, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(runs_every_plan_as_opa_does) };
    AUTO(dir) DIR          *dir     = opendir(folder());

    if (!dir) {
        printf("skipped: no folder %s\n", folder());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
