/*
 * What decisions cost. The policy has the shape of the one that Kata's agent runs: some ninety functions over
 * the fields of a CreateContainer request. It is made here, so that its size can be varied.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/rego/json.h"
#include "policy/rego/policy.h"

static double now_us(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* CPU time, so that other work does not count */
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static struct program *prepared(struct bytes text, const char *query)
{
    static struct rego_diagnostics why;
    struct rego_options            options = { 0 };
    struct program                *p       = NULL;
    struct err                     err;
    double                         start = now_us();

    if (!rego_prepare(&(struct rego_text){ "bench.rego", text }, 1, &query, 1, &options, &p, &why, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    printf("load: %zu bytes of text in %.0f us, %zu KiB held\n", text.len, now_us() - start, program_memory(p) >> 10);
    return p;
}

struct sample {
    double parse_us, evaluate_us;
    size_t memory;
};

static int by_time(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

/* Median of many decisions; each parses its input. */
static struct sample measured(const struct program *p, struct bytes input, unsigned n, bool wanted)
{
    static double       parse[1000], evaluate[1000];
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT };
    struct arena        memory  = arena_of(64 << 20), fixed = arena_of(1 << 16);
    struct value        data    = value_new(&fixed, VALUE_OBJECT, 0), in, results;
    struct eval_fault   fault;
    struct err          err;
    struct sample       s = { 0 };

    options.limits.steps = 100000000;
    if (!value_close(&fixed, data))
        exit(1);
    for (unsigned i = 0; i < n && i < 1000; i++) {
        arena_reset(&memory);
        double start = now_us();
        if (!json_text_read(&memory, input, &in, &err))
            exit(1);
        parse[i] = now_us() - start;
        if (!program_eval(p, 0, in, data, &options, &memory, &results, &fault, &err)) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        evaluate[i] = now_us() - start - parse[i];
        if (value_count(results) != 1 || object_get_text(array_at(results, 0), "x").truth != wanted) {
            fprintf(stderr, "the decision is not the wanted one\n");
            exit(1);
        }
    }
    s.memory = memory.taken;
    qsort(parse, n, sizeof *parse, by_time);
    qsort(evaluate, n, sizeof *evaluate, by_time);
    s.parse_us    = parse[n / 2];
    s.evaluate_us = evaluate[n / 2];
    arena_free(&memory);
    arena_free(&fixed);
    return s;
}

static const char small_policy[] =
    "package p\n"
    "default allow := false\n"
    "allow if { input.action == \"read\"; some r in input.roles; r in {\"reader\", \"admin\"} }\n";

/* A request of `scale` times the usual size: arguments, environment, mounts. */
static void write_request(struct buffer *to, unsigned scale)
{
    buffer_append_text(to, "{\n\"OCI\": {\n\"Version\": \"1.1.0\",\n\"Process\": {\n\"Args\": [\n");
    for (unsigned i = 0; i < 8 * scale; i++)
        buffer_printf(to, "%s\"--option-%u=value\"", i ? ",\n" : "", i);
    buffer_append_text(to, "],\n\"Env\": [\n");
    for (unsigned i = 0; i < 30 * scale; i++)
        buffer_printf(to, "%s\"VARIABLE_%u=/usr/local/path/%u\"", i ? ",\n" : "", i, i);
    buffer_append_text(to, "],\n\"User\": {\n\"UID\": 0,\n\"GID\": 0\n},\n\"Cwd\": \"/\"\n},\n\"Mounts\": [\n");
    for (unsigned i = 0; i < 30 * scale; i++)
        buffer_printf(to, "%s{\n\"destination\": \"/mnt/%u\",\n\"source\": \"/run/kata/shared/%u\",\n\"type_\": \"bind\",\n\"options\": [\n"
                          "\"rbind\",\n\"ro\"\n]\n}", i ? ",\n" : "", i, i);
    buffer_append_text(to, "]\n}\n}\n");
}

static const char rule_of_n[] =
    "rule_%u(a, b) if { startswith(a, \"/mnt/\"); not regex.match(`(^|/)\\.\\.($|/)`, a); s := replace(b, \"$(n)\", \"%u\"); "
    "count(split(s, \"/\")) > 2; contains(s, \"/\") }\n"
    "rule_%u(a, b) if { a == \"/special/%u\"; b == \"x\" }\n";

static void write_policy(struct buffer *to)
{
    buffer_append_text(to, "package p\ndefault allow := false\n");
    for (unsigned i = 0; i < 90; i++)
        buffer_printf(to, rule_of_n, i, i, i, i);
    buffer_append_text(to, "policy_data := {\"mounts\": [");
    for (unsigned i = 0; i < 300; i++)
        buffer_printf(to, "%s{\"destination\": \"/mnt/%u\", \"source\": \"/run/kata/shared/%u\", \"type_\": \"bind\", \"options\": [\"rbind\", \"ro\"]}",
                      i ? ", " : "", i, i);
    buffer_append_text(to, "]}\n"
        "allow if {\n"
        "  input.OCI.Version == \"1.1.0\"\n  input.OCI.Process.User.UID == 0\n"
        "  every a in input.OCI.Process.Args { regex.match(`^--[a-z]+-[0-9]+=value$`, a) }\n"
        "  every e in input.OCI.Process.Env { env_ok(e) }\n"
        "  every m in input.OCI.Mounts { mount_ok(m) }\n"
        "}\n"
        "env_ok(e) if { parts := split(e, \"=\"); count(parts) == 2; startswith(parts[0], \"VARIABLE_\"); "
        "not contains(parts[1], \"..\"); regex.match(`^/usr/local/path/[0-9]+$`, parts[1]) }\n"
        "mount_ok(m) if { m.type_ == \"bind\"; \"ro\" in m.options; m.source != m.destination;\n");
    for (unsigned i = 0; i < 6; i++)
        buffer_printf(to, "  rule_%u(m.destination, m.source)\n", i);
    buffer_append_text(to, "}\n");
}

static void small_decision(void)
{
    struct program *p = prepared(bytes_of_text(small_policy), "x = data.p.allow");
    struct sample   s = measured(p, bytes_of_text("{\"action\":\"read\",\"roles\":[\"guest\",\"reader\"]}"), 1000, true);

    printf("small decision: parse %.2f us, evaluate %.2f us (wanted: 30 us), %zu KiB\n", s.parse_us, s.evaluate_us, s.memory >> 10);
    program_free(p);
}

static size_t count_lines(const struct buffer *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->at[i] == '\n';
    return n;
}

static void large_decisions(void)
{
    AUTO(buffer) struct buffer policy = { 0 };
    struct program            *p;

    write_policy(&policy);
    p = prepared(buffer_bytes(&policy), "x = data.p.allow");
    for (unsigned scale = 1; scale <= 64; scale *= 2) {
        AUTO(buffer) struct buffer input = { 0 };

        write_request(&input, scale);
        struct sample s = measured(p, buffer_bytes(&input), scale < 8 ? 400 : 40, true);
        printf("request x %2u (%zu lines, %zu bytes): parse %.0f us, evaluate %.0f us, %.2f us per line%s, %zu KiB\n", scale,
               count_lines(&input), input.len, s.parse_us, s.evaluate_us, (s.parse_us + s.evaluate_us) / (double) count_lines(&input),
               scale == 1 ? " (wanted: 1000 us)" : "", s.memory >> 10);
    }
    program_free(p);
}

int main(void)
{
    small_decision();
    large_decisions();
    return 0;
}
