/* What an expression binds, given the variables whose names are marked safe. Shared by two passes. */
#pragma once

#include "policy/rego/compile.h"

/* Adds to `out` the variables that `e` makes safe; duplicates are possible. */
void outputs_of_expr(struct compiler *c, const struct expr *e, struct name_list *out);

/* Marks a name safe and remembers to undo it; nothing when it is safe already. */
void mark_safe(struct front *f, struct name_list *undo, struct name *n);
void unmark_safe(struct name_list *undo, uint32_t down_to);
