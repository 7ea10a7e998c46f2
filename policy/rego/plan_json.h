/* Reads OPA's JSON form of a plan (`opa build -t plan`, and the vectors made with it). */
#pragma once

#include "policy/rego/plan.h"

/*
 * Fills `out`, which stands over an arena, from the value of a plan.json; the value and its text must outlive
 * the plan. Fails MALFORMED, LIMIT, and UNSUPPORTED naming a built-in that we do not have.
 */
FALLIBLE plan_json_read(struct value json, struct plan *out, struct err *err);
