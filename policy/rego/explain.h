/* Why a rule is undefined: the first expression of each body that did not hold, with the values around it. */
#pragma once

#include <stdio.h>

#include "policy/rego/policy.h"

enum { EXPLAIN_DEPTH_MAX = 64, EXPLAIN_SEEN_MAX = 4096 };

struct explanation {
    const struct rego_text *modules;
    uint32_t                n_modules;
    const char             *query;
    FILE                   *to;
    uint64_t                seen[EXPLAIN_SEEN_MAX]; /* places already told, per function */
    uint32_t                n_seen;
};

void explanation_start(struct explanation *e, const struct rego_text *modules, uint32_t n_modules, const char *query, FILE *to);
void explanation_trace(void *user, const struct eval_moment *moment); /* for eval_options.trace, with `user` the explanation */
