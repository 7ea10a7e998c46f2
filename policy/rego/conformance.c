#include "policy/rego/conformance.h"

#include "policy/rego/json.h"

#include <string.h>
#include <time.h>

enum { CASE_MEMORY = 256 << 20 };

struct run {
    struct arena           *arena;
    struct value            want;   /* the case */
    struct value            results;
    struct rego_diagnostics why_not;
    struct eval_fault       fault;
    const char             *code;   /* of the error; NULL: none */
    const char             *message;
    char                    place[64];
    bool                    unsupported;
    char                    why[768];
};

static const char *text_of(struct run *r, struct value v)
{
    char *text = arena_text(r->arena, (size_t) v.len + 1);

    if (!text)
        return "";
    memcpy(text, v.text, v.len);
    text[v.len] = '\0';
    return text;
}

static bool wants(const struct run *r, const char *field)
{
    struct value v = object_get_text(r->want, field);

    return value_is(v, VALUE_BOOLEAN) && v.truth;
}

static bool read_input(struct run *r, struct value *input, struct err *err)
{
    struct value term = object_get_text(r->want, "input_term");

    *input = object_get_text(r->want, "input");
    if (!value_is(term, VALUE_STRING))
        return true;
    return rego_read_term(r->arena, (struct bytes){ (const uint8_t *) term.text, term.len }, input, err);
}

/* OPA's own runner adds this function: waits a little, whatever its argument. */
static bool test_sleep(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    struct timespec wait = { .tv_nsec = 10000000 };

    (void) user;
    (void) a;
    if (!value_is(args[0], VALUE_STRING))
        return fail_with(err, ERR_MALFORMED, "test.sleep: no duration");
    (void) nanosleep(&wait, NULL); /* a shorter wait does no harm */
    *out = value_null();
    return true;
}
static const struct host_function test_functions[] = { { "test.sleep", 1, test_sleep } };

/* As OPA's runner names the modules of a case. */
static const char *case_path(struct run *r, uint32_t i)
{
    char *path = arena_text(r->arena, 32);

    if (!path)
        return "";
    (void) snprintf(path, 32, "test-%u.rego", i); /* fits */
    return path;
}

static bool prepare(struct run *r, bool v0, struct program **program, struct err *err)
{
    struct value        modules = object_get_text(r->want, "modules");
    struct value        query   = object_get_text(r->want, "query");
    uint32_t            n       = value_is(modules, VALUE_ARRAY) ? value_count(modules) : 0;
    struct rego_text   *texts   = arena_zeroed(r->arena, (n + 1) * sizeof *texts);
    struct rego_options options = { .v0 = v0, .experimental = wants(r, "experimental_keywords"), .hosts = test_functions, .n_hosts = 1 };

    if (!texts || !value_is(query, VALUE_STRING))
        return fail_with(err, ERR_MALFORMED, "case without a query");
    for (uint32_t i = 0; i < n; i++) {
        struct value m = array_at(modules, i);

        if (!value_is(m, VALUE_STRING))
            return fail_with(err, ERR_MALFORMED, "module is no string");
        texts[i] = (struct rego_text){ case_path(r, i), { (const uint8_t *) m.text, m.len } };
    }
    if (rego_prepare(texts, n, (const char *const[]){ text_of(r, query) }, 1, &options, program, &r->why_not, err))
        return true;
    r->unsupported = err->kind == ERR_UNSUPPORTED;
    r->code        = r->why_not.n > 0 ? r->why_not.at[0].code : "rego_compile_error";
    r->message     = r->why_not.n > 0 ? r->why_not.at[0].message : err->text;
    return false;
}

static void evaluate(struct run *r, const struct program *p, struct err *err)
{
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT, .strict_builtin_errors = wants(r, "strict_error") };
    struct value        data    = object_get_text(r->want, "data");
    struct value        input;
    struct timespec     now;

    (void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    options.now_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    if (!value_is(data, VALUE_OBJECT)) {
        data = value_new(r->arena, VALUE_OBJECT, 0);
        if (!value_is_defined(data) || !value_close(r->arena, data))
            return;
    }
    if (!read_input(r, &input, err)) {
        r->code    = "input_term";
        r->message = err->text;
        return;
    }
    if (program_eval(p, 0, input, data, &options, r->arena, &r->results, &r->fault, err))
        return;
    r->code    = eval_code_name(r->fault.code);
    r->message = r->fault.text;
    if (value_is(r->fault.file, VALUE_STRING))
        (void) snprintf(r->place, sizeof r->place, "%.*s:%u", (int) r->fault.file.len, r->fault.file.text,
                        r->fault.place.row); /* cut when long */
}

/* As JSON, so that sets are arrays and keys are strings, as in the wanted result. */
static struct value as_json(struct run *r, struct value v)
{
    struct text_out out   = text_out_new(r->arena, VALUE_TEXT_MAX);
    struct value    text  = value_undefined();
    struct value    plain = value_undefined();
    struct err      err;

    json_text_write(&out, v, &(struct json_style){ 0 });
    if (!text_take(&out, &text) ||
        !json_text_read(r->arena, (struct bytes){ (const uint8_t *) text.text, text.len }, &plain, &err))
        return value_undefined();
    return plain;
}

static struct value sorted_array(struct run *r, struct value v)
{
    struct value set = value_new(r->arena, VALUE_SET, value_count(v));
    struct value out = value_new(r->arena, VALUE_ARRAY, value_count(v));

    for (uint32_t i = 0; i < value_count(v); i++)
        if (!set_add(r->arena, set, array_at(v, i)))
            return v;
    if (!value_close(r->arena, set))
        return v;
    for (uint32_t i = 0; i < value_count(set); i++)
        if (!array_append(r->arena, out, array_at(set, i)))
            return v;
    return value_close(r->arena, out) ? out : v;
}

/* The bindings as a set; arrays among them sorted when the case says that their order is open. */
static struct value bindings_of(struct run *r, struct value results)
{
    struct value set = value_new(r->arena, VALUE_SET, value_count(results));

    for (uint32_t i = 0; i < value_count(results); i++) {
        struct value from = array_at(results, i);
        struct value to   = value_new(r->arena, VALUE_OBJECT, value_count(from));

        for (uint32_t j = 0; j < value_count(from); j++) {
            struct value v = object_value(from, j);

            if (wants(r, "sort_bindings") && value_is(v, VALUE_ARRAY))
                v = sorted_array(r, v);
            if (!object_put(r->arena, to, object_key(from, j), v))
                return value_undefined();
        }
        if (!value_close(r->arena, to) || !set_add(r->arena, set, to))
            return value_undefined();
    }
    return value_close(r->arena, set) ? set : value_undefined();
}

static void put_value(struct run *r, struct buffer *to, struct value v)
{
    struct text_out out  = text_out_new(r->arena, VALUE_TEXT_MAX);
    struct value    text = value_undefined();

    rego_write(&out, v, true);
    if (text_take(&out, &text))
        buffer_append(to, (struct bytes){ (const uint8_t *) text.text, text.len });
}

static bool fail_case(struct run *r, struct buffer *text)
{
    const char *at = buffer_text(text);

    (void) snprintf(r->why, sizeof r->why, "%s", at); /* cut when long */
    buffer_free(text);
    return false;
}

static bool result_matches(struct run *r, struct value want)
{
    struct buffer text = { 0 };

    if (r->code) {
        buffer_printf(&text, "error %s: %s", r->code, r->message);
        return fail_case(r, &text);
    }
    struct value plain = as_json(r, r->results);
    struct value got   = value_is_defined(plain) ? bindings_of(r, plain) : plain;
    struct value ideal = bindings_of(r, want);
    if (value_is_defined(got) && value_is_defined(ideal) && value_equal(got, ideal))
        return true;
    buffer_append_text(&text, "got ");
    put_value(r, &text, r->results);
    buffer_append_text(&text, " want ");
    put_value(r, &text, want);
    return fail_case(r, &text);
}

static bool error_matches(struct run *r, struct value code, struct value text)
{
    struct buffer got = { 0 };

    if (!r->code) {
        buffer_append_text(&got, "no error, but ");
        put_value(r, &got, r->results);
        return fail_case(r, &got);
    }
    if (r->place[0])
        buffer_printf(&got, "%s: ", r->place);
    buffer_printf(&got, "%s: %s", r->code, r->message);
    bool ok = !value_is(code, VALUE_STRING) || value_is_named(code, r->code);
    if (ok && value_is(text, VALUE_STRING))
        ok = strstr(buffer_text(&got), text_of(r, text)) != NULL;
    if (ok) {
        buffer_free(&got);
        return true;
    }
    return fail_case(r, &got);
}

static bool matches(struct run *r)
{
    struct value code  = object_get_text(r->want, "want_error_code");
    struct value text  = object_get_text(r->want, "want_error");
    struct value want  = object_get_text(r->want, "want_result");
    bool         error = value_is(code, VALUE_STRING) || value_is(text, VALUE_STRING);

    if (error && (r->code || !value_is(want, VALUE_ARRAY)))
        return error_matches(r, code, text);
    if (value_is(want, VALUE_ARRAY))
        return result_matches(r, want);
    return r->code == NULL;
}

static struct conformance_report run_case(struct arena *arena, struct run *r, struct value want, bool v0)
{
    AUTO(program) struct program *program = NULL;
    struct err                    err     = { 0 };
    struct value                  note    = object_get_text(want, "note");

    *r = (struct run){ .arena = arena, .want = want };
    if (prepare(r, v0, &program, &err))
        evaluate(r, program, &err);

    struct conformance_report report = { .outcome = CASE_PASSED };
    if (value_is(note, VALUE_STRING))
        report.note = (struct bytes){ (const uint8_t *) note.text, note.len };
    if (r->unsupported) {
        report.outcome = CASE_SKIPPED;
        report.why     = r->message;
    } else if (!matches(r)) {
        report.outcome = CASE_FAILED;
        report.why     = r->why[0] ? r->why : "error expected, or no error";
    }
    return report;
}

FALLIBLE conformance_run(struct bytes text, bool v0, struct conformance_tally *tally,
                         void (*report)(void *user, const struct conformance_report *r), void *user, struct err *err)
{
    AUTO(arena) struct arena file   = arena_of(CASE_MEMORY);
    AUTO(arena) struct arena memory = arena_of(CASE_MEMORY);
    struct value             all;
    struct run               run;

    if (!json_text_read(&file, text, &all, err))
        return false;
    struct value cases = value_is(all, VALUE_OBJECT) ? object_get_text(all, "cases") : value_undefined();
    if (!value_is(cases, VALUE_ARRAY))
        return fail_with(err, ERR_MALFORMED, "no case file: no array \"cases\"");
    for (uint32_t i = 0; i < value_count(cases); i++) {
        arena_reset(&memory);
        struct conformance_report r = run_case(&memory, &run, array_at(cases, i), v0);
        r.index                     = i;
        tally->passed += r.outcome == CASE_PASSED;
        tally->failed += r.outcome == CASE_FAILED;
        tally->skipped += r.outcome == CASE_SKIPPED;
        if (report)
            report(user, &r);
    }
    return true;
}
