/*
 * A policy of the shape and size of Kata's agent policy, generated: how long it takes to load, to decide about a
 * CreateContainer request of 300 lines of JSON (parsing included), and what a small decision costs.
 */
#include <stdio.h>
#include <time.h>

#include "policy/rego/json.h"
#include "policy/rego/policy.h"

enum { FUNCTIONS = 90, CONTAINERS = 3, VARIABLES = 12, MOUNTS = 14, ROUNDS = 200, LOADS = 20 };

static double seconds(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (double) now.tv_sec + (double) now.tv_nsec * 1e-9;
}

static void write_checks(struct buffer *to)
{
    buffer_append_text(to, "package agent_policy\n\ndefault CreateContainerRequest := false\ndefault ReadStreamRequest := false\n"
                           "ReadStreamRequest := true if policy_data.request_defaults.ReadStreamRequest == true\n"
                           "CreateContainerRequest if {\n\tsome c in policy_data.containers\n\tprint(\"container\", c.name)\n");
    for (int i = 0; i < FUNCTIONS; i++)
        buffer_printf(to, "\tcheck_%d(c, input.OCI)\n", i);
    buffer_append_text(to, "\tallow_env(c, input.OCI)\n\tallow_mounts(c, input.OCI)\n}\n");
    for (int i = 0; i < FUNCTIONS; i++)
        buffer_printf(to,
                      "check_%d(p, i) if {\n\tprint(\"check_%d: start\", p.name, i.Version)\n\ti.Version == p.version\n"
                      "\tp.limits[\"l%d\"] >= count(i.Process.Args)\n\tstartswith(i.Root.Path, p.root)\n\tnot i.Hostname in p.denied\n"
                      "\tp_user := p.user\n\ti_user := i.Process.User\n\tp_user.UID == i_user.UID\n\tp_user.GID == i_user.GID\n"
                      "\tcount(i.Annotations) == count(p.annotations)\n\tprint(\"check_%d: true\")\n}\n"
                      "check_%d(p, i) if {\n\tp.version == \"any%d\"\n\tevery a in i.Process.Args { a in p.args }\n"
                      "\tprint(\"check_%d: any\", i.Version)\n}\n", i, i, i, i, i, i, i);
    buffer_append_text(to,
        "allow_env(p, i) if every v in i.Process.Env { allow_var(p, v) }\n"
        "allow_var(p, v) if { some p_var in p.env; p_var == v }\n"
        "allow_var(p, v) if { parts := split(v, \"=\"); count(parts) == 2; parts[0] in p.free }\n"
        "allow_mounts(p, i) if every m in i.Mounts { some p_m in p.mounts; allow_mount(p_m, m) }\n"
        "allow_mount(p, m) if { p.destination == m.destination; regex.match(replace(p.source, \"$(cid)\", input.id), m.source); p.options == m.options }\n");
}

static void write_policy(struct buffer *to)
{
    write_checks(to);
    buffer_append_text(to, "policy_data := {\"request_defaults\": {\"ReadStreamRequest\": true}, \"containers\": [\n");
    for (int c = 0; c < CONTAINERS; c++) {
        buffer_printf(to, "{\"name\": \"c%d\", \"version\": \"1.1.%d\", \"root\": \"/run/\", \"denied\": [\"evil\"], \"user\": {\"UID\": 0, \"GID\": 0},\n"
                          "\"annotations\": {\"a\": \"b\"}, \"args\": [\"/bin/sh\"], \"free\": [\"HOSTNAME\"], \"limits\": {", c, c);
        for (int i = 0; i < FUNCTIONS; i++)
            buffer_printf(to, "%s\"l%d\": %d", i ? ", " : "", i, 100 + i);
        buffer_append_text(to, "},\n\"env\": [");
        for (int i = 0; i < VARIABLES; i++)
            buffer_printf(to, "%s\"VAR_%d=value-%d\"", i ? ", " : "", i, i);
        buffer_append_text(to, "],\n\"mounts\": [");
        for (int i = 0; i < MOUNTS; i++)
            buffer_printf(to, "%s{\"destination\": \"/mnt/%d\", \"source\": \"^/run/kata/$(cid)/m%d$\", \"options\": [\"rbind\", \"rw\"]}\n", i ? ", " : "", i, i);
        buffer_printf(to, "]}%s\n", c + 1 < CONTAINERS ? "," : "");
    }
    buffer_append_text(to, "]}\n");
}

static void write_input(struct buffer *to)
{
    buffer_append_text(to, "{\n \"id\": \"abc123\",\n \"OCI\": {\n  \"Version\": \"1.1.2\",\n  \"Hostname\": \"pod\",\n  \"Root\": {\n   \"Path\": \"/run/kata/rootfs\"\n  },\n"
                           "  \"Annotations\": {\n   \"a\": \"b\"\n  },\n  \"Process\": {\n   \"User\": {\n    \"UID\": 0,\n    \"GID\": 0\n   },\n   \"Args\": [\n    \"/bin/sh\"\n   ],\n   \"Env\": [\n");
    for (int i = 0; i < VARIABLES; i++)
        buffer_printf(to, "    \"VAR_%d=value-%d\",\n", i, i);
    buffer_append_text(to, "    \"HOSTNAME=pod\"\n   ],\n   \"Rlimits\": [\n");
    for (int i = 0; i < 60; i++)
        buffer_printf(to, "    {\n     \"Type\": \"R%d\",\n     \"Hard\": %d\n    }%s\n", i, i, i < 59 ? "," : "");
    buffer_append_text(to, "   ]\n  },\n  \"Mounts\": [\n");
    for (int i = 0; i < MOUNTS; i++)
        buffer_printf(to, "   {\n    \"destination\": \"/mnt/%d\",\n    \"source\": \"/run/kata/abc123/m%d\",\n    \"options\": [\n     \"rbind\",\n     \"rw\"\n    ]\n   }%s\n", i, i, i + 1 < MOUNTS ? "," : "");
    buffer_append_text(to, "  ]\n }\n}\n");
}

static double decide(const struct program *p, uint32_t query, struct bytes input_text, struct arena *memory, uint32_t *n)
{
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT };
    struct value        data = value_undefined(), input = value_undefined(), results = value_undefined();
    struct eval_fault   fault;
    struct err          err;
    double              start = seconds();

    arena_reset(memory);
    if (!json_text_read(memory, input_text, &input, &err) || !json_text_read(memory, bytes_of_text("{}"), &data, &err) ||
        !program_eval(p, query, input, data, &options, memory, &results, &fault, &err)) {
        (void) printf("failed: %s\n", err.text);
        exit(1);
    }
    *n = value_count(results);
    return seconds() - start;
}

static double best_decision(const struct program *p, uint32_t query, struct bytes input, struct arena *memory)
{
    double   best = 1;
    uint32_t n    = 0;

    for (int i = 0; i < ROUNDS; i++) {
        double took = decide(p, query, input, memory, &n);

        best = took < best ? took : best;
    }
    if (n != 1) {
        (void) printf("the request was denied\n");
        exit(1);
    }
    return best;
}

int main(void)
{
    static const char *const      queries[] = { "data.agent_policy.CreateContainerRequest", "data.agent_policy.ReadStreamRequest" };
    AUTO(program) struct program *program   = NULL;
    AUTO(buffer) struct buffer    policy = { 0 }, input = { 0 };
    AUTO(arena) struct arena      memory = arena_of(64 << 20);
    struct rego_options           how    = { 0 };
    struct rego_diagnostics       why;
    struct err                    err;
    double                        load = 1;

    write_policy(&policy);
    write_input(&input);
    struct rego_text text = { "generated.rego", buffer_bytes(&policy) };
    for (int i = 0; i < LOADS; i++) {
        double start = seconds();

        program_free(program);
        program = NULL;
        if (!rego_prepare(&text, 1, queries, 2, &how, &program, &why, &err)) {
            (void) printf("%s\n", err.text);
            return 1;
        }
        double took = seconds() - start;
        load        = took < load ? took : load;
    }
    (void) printf("policy %zu bytes, input %zu bytes\n", policy.len, input.len);
    (void) printf("load                 %8.2f ms\n", load * 1e3);
    (void) printf("held                 %8zu KiB\n", program_memory(program) / 1024);
    (void) printf("CreateContainer      %8.1f us\n", best_decision(program, 0, buffer_bytes(&input), &memory) * 1e6);
    (void) printf("small decision       %8.1f us\n", best_decision(program, 1, bytes_of_text("{}"), &memory) * 1e6);
    return 0;
}
