/*
 * The owner's rules: the entry "policy.rego" of the initdata, package `agent_policy`, one rule for each request that
 * the host may make, and for those of the workloads themselves. They come on top of "policy.json" (guest/container/policy.h), which is their `data`; an owner who
 * gives rules alone decides everything by them. What is not true is denied: false, undefined, an error, a limit.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct rules;

/* The requests that rules decide: a rule of the name with "Request" after it. */
extern const char *const RULES_REQUESTS[];
extern const size_t      N_RULES_REQUESTS;

/*
 * Compiles the rules.
 *
 *   data   JSON object; empty: {}
 *   out    yours, rules_free
 *
 * Fails MALFORMED with the first error as OPA prints it, LIMIT, UNSUPPORTED for a built-in function that is not here.
 */
FALLIBLE rules_read(struct bytes rego, struct bytes data, struct rules **out, struct err *err);
void     rules_free(struct rules *rules);

/*
 * Asks the rule for `request` ("CreateContainer") with `input`, a JSON object. Fails DENIED, whatever the cause; the
 * text names the rule, and the error if there was one.
 */
FALLIBLE rules_allow(struct rules *rules, const char *request, struct bytes input, struct err *err);
