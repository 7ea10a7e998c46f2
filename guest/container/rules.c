#include "guest/container/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/container/limits.h"
#include "policy/rego/json.h"
#include "policy/rego/policy.h"

const char *const RULES_REQUESTS[] = {
    "GetStatus",  "ConfigureNetwork", "CreateContainer", "StartContainer", "WaitContainer",  "SignalContainer",
    "ReadOutput", "WriteInput",       "DeleteContainer", "GetTimeline",    "Shutdown",       "ExecProcess",
    "ResizeTerminal", "StatsContainer", "UpdateContainer", "UpdateVolume", "GetReceipt",
    "ShareProcesses", "HidePath", "SetSysctl", /* of a CreateContainer that asks for it, besides that */
    "ExecProcessAs", /* of an ExecProcess with another user, directory or environment, likewise */
    "GetResource", "GetToken", "GetEvidence", "ExtendRuntimeMeasurement", "UnsealSecret", /* of the workload: guest/workload */
};
const size_t N_RULES_REQUESTS = sizeof RULES_REQUESTS / sizeof *RULES_REQUESTS;

enum { QUERY_MAX = 96 };

struct rules {
    struct program *program; /* query i is the rule for RULES_REQUESTS[i] */
    struct arena    held, work; /* of `data`, and of one evaluation */
    struct buffer   text;    /* that `data` borrows from */
    struct value    data;
};

static FALLIBLE compile(struct bytes rego, struct program **out, struct err *err)
{
    struct rego_text        module  = { "policy.rego", rego };
    struct rego_options     options = { .memory = RULES_MEMORY_MAX };
    struct rego_diagnostics why     = { .n = 0 };
    char                    texts[sizeof RULES_REQUESTS / sizeof *RULES_REQUESTS][QUERY_MAX];
    const char             *queries[sizeof RULES_REQUESTS / sizeof *RULES_REQUESTS];

    for (size_t i = 0; i < N_RULES_REQUESTS; i++) {
        (void) snprintf(texts[i], QUERY_MAX, "x = data.agent_policy.%sRequest", RULES_REQUESTS[i]); /* fits */
        queries[i] = texts[i];
    }
    return rego_prepare(&module, 1, queries, (uint32_t) N_RULES_REQUESTS, &options, out, &why, err);
}

static FALLIBLE data_read(struct rules *rules, struct bytes data, struct err *err)
{
    buffer_append(&rules->text, data.len > 0 ? data : bytes_of_text("{}"));
    if (!json_text_read(&rules->held, buffer_bytes(&rules->text), &rules->data, err))
        return context(err, "policy.json");
    return value_is(rules->data, VALUE_OBJECT) || fail_with(err, ERR_MALFORMED, "policy.json: no JSON object");
}

FALLIBLE rules_read(struct bytes rego, struct bytes data, struct rules **out, struct err *err)
{
    struct rules *rules;

    if (rego.len > POLICY_LEN_MAX || data.len > POLICY_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "policy.rego: over %d bytes", POLICY_LEN_MAX);
    rules = calloc(1, sizeof *rules);
    if (!rules)
        abort();
    rules->held = arena_of(RULES_MEMORY_MAX);
    rules->work = arena_of(RULES_MEMORY_MAX);
    if (!data_read(rules, data, err) || !compile(rego, &rules->program, err)) {
        rules_free(rules);
        return false;
    }
    *out = rules;
    return true;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    program_free(rules->program);
    arena_free(&rules->held);
    arena_free(&rules->work);
    buffer_free(&rules->text);
    free(rules);
}

static bool is_true(struct value results)
{
    struct value x;

    if (!value_is(results, VALUE_ARRAY) || value_count(results) != 1)
        return false;
    x = object_get_text(array_at(results, 0), "x");
    return value_is(x, VALUE_BOOLEAN) && x.truth;
}

static FALLIBLE evaluate(struct rules *rules, uint32_t query, struct bytes input, bool *out, struct err *err)
{
    struct eval_options options = { .limits = EVAL_LIMITS_DEFAULT };
    struct eval_fault   fault   = { .code = EVAL_NO_ERROR };
    struct value        asked, results;

    if (!json_text_read(&rules->work, input, &asked, err) ||
        !program_eval(rules->program, query, asked, rules->data, &options, &rules->work, &results, &fault, err))
        return false;
    *out = is_true(results);
    return true;
}

FALLIBLE rules_allow(struct rules *rules, const char *request, struct bytes input, struct err *err)
{
    struct err why  = { 0 };
    bool       said = false;
    bool       fine;

    for (size_t i = 0; i < N_RULES_REQUESTS; i++) {
        if (strcmp(RULES_REQUESTS[i], request) != 0)
            continue;
        fine = evaluate(rules, (uint32_t) i, input, &said, &why);
        arena_reset(&rules->work);
        if (fine && said)
            return true;
        return fine ? fail_with(err, ERR_DENIED, "policy.rego: %sRequest is not true", request)
                    : fail_with(err, ERR_DENIED, "policy.rego: %sRequest: %.120s", request, why.text);
    }
    return fail_with(err, ERR_DENIED, "policy.rego: no rule can allow %s", request);
}
