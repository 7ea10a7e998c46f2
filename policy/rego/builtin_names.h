/* The built-in functions that OPA declares, whether this engine has them or not. */
#pragma once

enum builtin_flag {
    BUILTIN_RELATION   = 1, /* gives a collection whose elements are the results */
    BUILTIN_VOID       = 2, /* gives no value */
    BUILTIN_DEPRECATED = 4, /* refused by v1 */
    BUILTIN_VARIADIC   = 8
};

struct builtin_name {
    const char *name;
    unsigned    n_args;
    unsigned    flags;
};

const struct builtin_name *builtin_name_find(const char *name); /* NULL when OPA has none */
