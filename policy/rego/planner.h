/* Compiled bodies to a plan: every variable becomes a numbered local, every rule path a function. [OPA planner] */
#pragma once

#include "policy/rego/compile.h"

/*
 * Adds one query, and the functions of all rules that it needs, to `plan`. Leaves through c->f->out at a limit.
 * `query` has passed compile_query.
 */
void plan_query(struct compiler *c, struct plan *plan, const char *name, const body *query);
