#include "policy/rego/builtins.h"

#include <string.h>

#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

#define BUILTIN_ROW(name, n, function) { name, n, builtin_##function },
static const struct builtin rows[] = { BUILTIN_ROWS(BUILTIN_ROW) };
#undef BUILTIN_ROW

/* Called once per name while a policy is loaded: a walk over the table is soon enough. */
bool builtin_find(struct value name, uint32_t *out)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (value_is_named(name, rows[i].name)) {
            *out = i;
            return true;
        }
    }
    return false;
}

const struct builtin *builtin_at(uint32_t index)
{
    return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}
