/* The table of built-in functions: one row each, with its name, its number of arguments and the function. */
#pragma once

#include "policy/rego/eval.h"

/* What a built-in works with. Its arguments are defined and closed. */
struct call {
    struct evaluation *evaluation; /* eval.c */
    struct arena      *arena;
    const char        *name;
    struct eval_fault *fault;
};

/* True with *out, undefined for an undefined call; false with the fault filled, or with the arena failed. */
typedef bool builtin_function(struct call *c, const struct value *args, struct value *out);

struct builtin {
    const char       *name;
    uint32_t          n_args;
    builtin_function *call;
};

enum { BUILTIN_ARGS_MAX = 12 };

/* False when there is none of this name: then the policy must be refused. Index for plan_stmt.index. */
bool                  builtin_find(struct value name, uint32_t *out);
const struct builtin *builtin_at(uint32_t index); /* NULL behind the last */
