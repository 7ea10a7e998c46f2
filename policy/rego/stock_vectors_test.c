/* The stock policies of the broker against decisions that OPA made on policies of the same meaning. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "policy/rego/json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

static const struct {
    const char *theirs;
    const char *ours;
} policies[] = {
    { "policies/kbs/deny_all.rego", "policy/broker/deny_all.rego" },
    { "policies/kbs/allow_all.rego", "policy/broker/allow_all.rego" },
    { "policies/kbs/default.rego", "policy/broker/default.rego" },
    { "policies/kbs/affirming.rego", "policy/broker/affirming.rego" },
    { "policies/as/ear_default_policy_cpu.rego", "policy/broker/attestation_cpu.rego" },
};

static const char *folder_of(const char *variable, const char *otherwise)
{
    const char *path = getenv(variable);

    return path ? path : otherwise;
}

static bool reference_value(void *user, struct arena *a, const struct value *args, struct value *out, struct err *err)
{
    const struct value *references = user;

    (void) a;
    (void) err;
    *out = value_is(*references, VALUE_OBJECT) ? value_get(*references, args[0]) : value_undefined();
    if (!value_is_defined(*out))
        *out = value_null();
    return true;
}

struct decision {
    struct value       value; /* undefined when the query is */
    struct eval_fault  fault;
    struct err         err;
    bool               failed;
};

static struct decision decide(struct arena *memory, const char *text, const char *query, struct value test, bool strict)
{
    static const struct host_function hosts[] = { { "query_reference_value", 1, reference_value } };
    AUTO(program) struct program     *program = NULL;
    struct value                      references = object_get_text(test, "reference_values");
    struct rego_text                  module  = { "stock.rego", bytes_of_text(text) };
    struct rego_options               how     = { .hosts = hosts, .n_hosts = 1 };
    struct eval_options               options = { .limits = EVAL_LIMITS_DEFAULT, .strict_builtin_errors = strict, .user = &references };
    struct value                      data    = object_get_text(test, "data"), results;
    struct decision                   d       = { .failed = false };
    struct rego_diagnostics           why;
    char                              binding[160];
    const char                       *bound = binding;

    (void) snprintf(binding, sizeof binding, "x = %s", query);
    if (!rego_prepare(&module, 1, &bound, 1, &how, &program, &why, &d.err))
        fail_msg("%s", d.err.text);
    if (!value_is(data, VALUE_OBJECT)) {
        data = value_new(memory, VALUE_OBJECT, 0);
        assert_true(value_close(memory, data));
    }
    d.failed = !program_eval(program, 0, object_get_text(test, "input"), data, &options, memory, &results, &d.fault, &d.err);
    if (!d.failed && value_count(results) > 0) {
        struct value x = object_get_text(array_at(results, 0), "x");

        d.value = value_copy(memory, x); /* the program's constants go with it */
    }
    return d;
}

static bool agrees(const struct decision *d, struct value want)
{
    struct value error = object_get_text(want, "error");

    if (value_is_defined(error))
        return d->failed && value_is_named(error, eval_code_name(d->fault.code));
    if (d->failed)
        return false;
    struct value value = object_get_text(want, "value");
    return value_is_defined(value) ? value_is_defined(d->value) && value_equal(value, d->value) : !value_is_defined(d->value);
}

static void show(struct arena *memory, struct value test, const char *query, const struct decision *d)
{
    struct value    description = object_get_text(test, "description"), text;
    struct text_out out         = text_out_new(memory, 4096);

    if (value_is_defined(d->value))
        rego_write(&out, d->value, true);
    assert_true(text_take(&out, &text));
    printf("%.*s: %s: %.*s%s\n", (int) description.len, description.text, query, (int) text.len, text.text,
           d->failed ? d->err.text : "");
}

static unsigned judge_case(struct arena *memory, struct value test, const char *text)
{
    struct value queries = object_get_text(test, "queries");
    unsigned     wrong   = 0;

    for (uint32_t i = 0; i < value_count(queries); i++) {
        char         query[128];
        struct value key = object_key(queries, i);

        (void) snprintf(query, sizeof query, "%.*s", (int) key.len, key.text);
        for (int strict = 0; strict < 2; strict++) {
            struct decision d = decide(memory, text, query, test, strict == 1);

            if (agrees(&d, object_value(queries, i)))
                continue;
            show(memory, test, query, &d);
            wrong++;
        }
    }
    return wrong;
}

static void decides_as_the_policies_of_the_same_meaning(void **state)
{
    AUTO(arena) struct arena   memory = arena_of(256 << 20);
    AUTO(buffer) struct buffer text   = { 0 };
    struct value               cases;
    char                       path[2048];
    struct err                 err;
    unsigned                   judged = 0, wrong = 0;

    (void) state;
    (void) snprintf(path, sizeof path, "%s/rego-trustee/cases.json", folder_of("CLOISTER_VECTORS", "../shared/vectors"));
    assert_true(file_read(path, 64 << 20, &text, &err));
    assert_true(json_text_read(&memory, buffer_bytes(&text), &cases, &err));
    for (size_t p = 0; p < sizeof policies / sizeof policies[0]; p++) {
        AUTO(buffer) struct buffer policy = { 0 };

        (void) snprintf(path, sizeof path, "%s/%s", folder_of("CLOISTER_SOURCE", "."), policies[p].ours);
        assert_true(file_read(path, 1 << 20, &policy, &err));
        for (uint32_t i = 0; i < value_count(cases); i++) {
            if (!value_is_named(object_get_text(array_at(cases, i), "policy"), policies[p].theirs))
                continue;
            wrong += judge_case(&memory, array_at(cases, i), buffer_text(&policy));
            judged++;
        }
    }
    printf("%u cases\n", judged);
    assert_int_equal(wrong, 0);
    assert_in_range(judged, 70, 1000);
}

int main(void)
{
    char path[2048];

    (void) snprintf(path, sizeof path, "%s/rego-trustee", folder_of("CLOISTER_VECTORS", "../shared/vectors"));
    if (access(path, R_OK) != 0) {
        printf("no vectors at %s\n", path);
        return 77;
    }

    const struct CMUnitTest tests[] = { cmocka_unit_test(decides_as_the_policies_of_the_same_meaning) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
