#include "policy/rego/compile.h"

FALLIBLE compile_modules(struct compiler *c)
{
    static void (*const passes[])(struct compiler *) = {
        pass_tree,      pass_locals,    pass_templates, pass_print,     pass_hoist_calls, pass_hoist_heads,
        pass_with,      pass_conflicts, pass_functions, pass_safety,    pass_hoist_refs,  pass_paths,
        pass_recursion,
    };

    for (uint32_t i = 0; i < sizeof passes / sizeof passes[0] && c->f->n_errors == 0; i++)
        passes[i](c);
    return c->f->n_errors == 0;
}

static void query_functions(struct compiler *c, body *b)
{
    functions_of_body(c, b, c->options.version == REGO_V1);
}

FALLIBLE compile_query(struct compiler *c, body *query)
{
    static void (*const passes[])(struct compiler *, body *) = {
        locals_of_query, templates_of_body, print_of_body,   hoist_calls_of_body, hoist_heads_of_body,
        with_of_body,    query_functions,   safety_of_query, hoist_refs_of_body,
    };

    for (uint32_t i = 0; i < sizeof passes / sizeof passes[0] && c->f->n_errors == 0; i++)
        passes[i](c, query);
    return c->f->n_errors == 0;
}
