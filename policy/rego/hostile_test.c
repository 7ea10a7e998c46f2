/*
 * Policies written to exhaust an engine: each stops, and no limit is taken for an answer. As a benchmark (--timed) each
 * also has to stop within 10 ms of processor time; a test must not depend on the machine's speed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "policy/rego/json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

/* What an agent would allow: decisions of genuine policies take a few thousand steps. */
static const struct eval_limits limits = {
    .steps = 300000, .depth = 512, .host_calls = 256, .print_bytes = 64 << 10, .time_ms = 2000,
};

enum { MEMORY = 64 << 20, EVALUATION_US_MAX = 10000, RUNS = 3 };

static const char *folder(void)
{
    static char path[4096];
    const char *vectors = getenv("CLOISTER_VECTORS");

    (void) snprintf(path, sizeof path, "%s/rego/hostile", vectors ? vectors : ".");
    return path;
}

/* {"$runs": [[s, n], …]} stands for s repeated n times, and so on. */
static struct value expanded(struct arena *a, struct value v)
{
    struct value    runs = object_get_text(v, "$runs"), text;
    struct text_out t    = text_out_new(a, VALUE_TEXT_MAX);

    if (runs.type == VALUE_ARRAY) {
        for (uint32_t i = 0; i < value_count(runs); i++)
            for (int64_t n = 0; n < array_at(array_at(runs, i), 1).integer; n++)
                text_put(&t, array_at(array_at(runs, i), 0).text, array_at(array_at(runs, i), 0).len);
        assert_true(text_take(&t, &text));
        return text;
    }
    if (v.type != VALUE_OBJECT)
        return v;

    struct value to = value_new(a, VALUE_OBJECT, 0);
    for (uint32_t i = 0; i < value_count(v); i++)
        assert_true(object_put(a, to, object_key(v, i), expanded(a, object_value(v, i))));
    assert_true(value_close(a, to));
    return to;
}

static bool answer(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    (void) user;
    (void) a;
    (void) args;
    (void) err;
    *out = value_null();
    return true;
}

static void drop(void *user, struct bytes line)
{
    size_t *n = user;

    *n += line.len;
}

static int64_t cpu_us(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct sums {
    unsigned n, results, limits, refused;
    int64_t  slowest_us;
    size_t   printed;
};

static struct program *compiled(struct value file, const char *query, int64_t *us, struct err *err)
{
    static const struct host_function hosts[] = { { "query_reference_value", 1, answer } };
    static struct rego_diagnostics    why;
    AUTO(buffer) struct buffer        text    = { 0 };
    char                              path[8192];
    struct rego_options               options = { .print = true, .hosts = hosts, .n_hosts = 1 };
    struct program                   *p       = NULL;
    int64_t                           start;

    (void) snprintf(path, sizeof path, "%s/%.*s", folder(), (int) file.len, file.text);
    if (!file_read(path, 16 << 20, &text, err))
        fail_msg("%s", err->text);
    start = cpu_us();
    if (!rego_prepare(&(struct rego_text){ path, buffer_bytes(&text) }, 1, &query, 1, &options, &p, &why, err))
        p = NULL;
    *us = cpu_us() - start;
    return p;
}

static void run_case(struct arena *a, struct value test, struct sums *sums)
{
    AUTO(arena) struct arena      memory  = arena_of(MEMORY);
    AUTO(program) struct program *p       = NULL;
    struct eval_options           options = { .limits = limits, .print = drop, .user = &sums->printed };
    struct value                  file = object_get_text(test, "file"), name = object_get_text(test, "query");
    struct value                  input = expanded(a, object_get_text(test, "input")), data = value_new(a, VALUE_OBJECT, 0), results = { 0 };
    struct eval_fault             fault = { 0 };
    struct err                    err = { 0 };
    char                          query[100];
    int64_t                       compile_us, start, us;
    bool                          ok = false;

    sums->n++;
    assert_true(value_close(a, data));
    (void) snprintf(query, sizeof query, "x = %.*s", (int) name.len, name.text);
    p = compiled(file, query, &compile_us, &err);
    if (!p) {
        printf("%-28.*s compile %7lld us: %.70s\n", (int) file.len, file.text, (long long) compile_us, err.text);
        sums->refused++;
        return;
    }
    us = INT64_MAX;
    for (int i = 0; i < RUNS; i++) { /* the fastest: other work of the machine only ever adds */
        arena_reset(&memory);
        start = cpu_us();
        ok    = program_eval(p, 0, input, data, &options, &memory, &results, &fault, &err);
        us    = cpu_us() - start < us ? cpu_us() - start : us;
    }
    sums->slowest_us = us > sums->slowest_us ? us : sums->slowest_us;
    printf("%-28.*s compile %7lld us, evaluate %6lld us, %5zu KiB: %s%.60s\n", (int) file.len, file.text, (long long) compile_us,
           (long long) us, memory.taken >> 10, ok ? "result" : "", ok ? "" : err.text);
    if (ok) {
        sums->results++;
        return;
    }
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(fault.code, EVAL_LIMIT_ERROR);
    sums->limits++;
}

static void every_hostile_policy_stops(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(arena) struct arena   a    = arena_of(256 << 20);
    struct sums                sums = { 0 };
    struct value               file, cases;
    char                       path[8192];
    struct err                 err;

    (void) snprintf(path, sizeof path, "%s/cases.json", folder());
    assert_true(file_read(path, 64 << 20, &text, &err));
    assert_true(json_text_read(&a, buffer_bytes(&text), &file, &err));
    cases = object_get_text(file, "cases");
    for (uint32_t i = 0; i < value_count(cases); i++)
        run_case(&a, array_at(cases, i), &sums);
    printf("%u policies: %u results, %u limits, %u not compiled; slowest evaluation %lld us, %zu bytes printed\n", sums.n,
           sums.results, sums.limits, sums.refused, (long long) sums.slowest_us, sums.printed);
    assert_int_equal(sums.n, 37);
    assert_in_range(sums.limits, 12, 37);
    assert_in_range(sums.printed, 0, limits.print_bytes);
    if (*(const bool *) *state)
        assert_in_range(sums.slowest_us, 0, EVALUATION_US_MAX);
}

int main(int argc, char **argv)
{
    bool                    is_timed = argc > 1 && strcmp(argv[1], "--timed") == 0;
    const struct CMUnitTest tests[]  = { cmocka_unit_test_prestate(every_hostile_policy_stops, &is_timed) };
    AUTO(dir) DIR          *dir     = opendir(folder());

    if (!dir) {
        printf("skipped: no folder %s\n", folder());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
