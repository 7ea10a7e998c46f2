/*
 * Rego for the broker: texts in, texts out. Compiled policies are kept, by their text; an evaluation is bounded in steps,
 * memory and time, so that no administrator's policy can hold up the others.
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

struct policy_engine;

FALLIBLE policy_engine_new(struct policy_engine **out, struct err *err);
void     policy_engine_free(struct policy_engine *engine);
DEFINE_AUTO(policy_engine, struct policy_engine *, policy_engine_free)

/* What a policy may ask of the broker. A failure is an error of the evaluation, and so denies. */
struct policy_lookups {
    /* query_reference_value(name): appends JSON text; nothing: null */
    FALLIBLE (*reference_value)(void *owner, const char *name, struct buffer *json, struct err *err);
    /* reference_is_registered(kind): of the guest that asks; see keys/api/admin.h */
    FALLIBLE (*is_registered)(void *owner, const char *kind, bool *out, struct err *err);
    void *owner;
};

enum { POLICY_TEXT_MAX = 1 << 20, POLICY_QUERIES_MAX = 4 };

struct policy_question {
    struct bytes                 module; /* Rego text */
    const char *const           *rules;  /* "data.policy.allow"; at most POLICY_QUERIES_MAX */
    size_t                       n_rules;
    struct bytes                 input, data; /* JSON texts; data is an object */
    int64_t                      now;         /* what time.now_ns gives, in seconds */
    const struct policy_lookups *lookups;
};

/*
 * Evaluates.
 *
 *   answers    one per rule: its value as JSON text is appended; nothing when it is undefined
 *
 * Fails MALFORMED with the policy's own error as OPA names it, LIMIT, or as a lookup failed: all deny.
 */
FALLIBLE policy_engine_ask(struct policy_engine *engine, const struct policy_question *question, struct buffer *answers,
                           struct err *err);

/* Compiles for nothing but the error: what is wrong where. `rules` as above; the first of them, if any, must be there. */
FALLIBLE policy_engine_check(struct policy_engine *engine, const struct policy_question *question, struct err *err);
