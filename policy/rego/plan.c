#include "policy/rego/plan.h"

#include <string.h>

struct plan plan_over(struct arena *memory)
{
    return (struct plan){ .memory = memory };
}

/* Room for one more of `n` pieces of `size`: the table itself, a larger copy, or NULL. */
static void *grown(struct plan *p, void *table, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room)
        return table;

    uint32_t more = *room ? *room * 2 : 16;
    void    *to   = more > *room ? arena_take(p->memory, more * size) : NULL;
    if (!to)
        return NULL;
    if (n > 0)
        memcpy(to, table, n * size);
    *room = more;
    return to;
}

uint32_t plan_add_constant(struct plan *p, struct value v)
{
    struct value *at = grown(p, p->constants, p->n_constants, &p->constants_room, sizeof *at);

    if (!at)
        return 0;
    p->constants       = at;
    at[p->n_constants] = v;
    return p->n_constants++;
}

uint32_t plan_add_function(struct plan *p, struct plan_function f)
{
    struct plan_function *at = grown(p, p->functions, p->n_functions, &p->functions_room, sizeof *at);

    if (!at)
        return 0;
    p->functions       = at;
    at[p->n_functions] = f;
    return p->n_functions++;
}

uint32_t plan_add_query(struct plan *p, struct plan_query q)
{
    struct plan_query *at = grown(p, p->queries, p->n_queries, &p->queries_room, sizeof *at);

    if (!at)
        return 0;
    p->queries       = at;
    at[p->n_queries] = q;
    return p->n_queries++;
}

uint32_t plan_add_file(struct plan *p, struct value name)
{
    struct value *at = grown(p, p->files, p->n_files, &p->files_room, sizeof *at);

    if (!at)
        return 0;
    p->files       = at;
    at[p->n_files] = name;
    return p->n_files++;
}

struct plan_block *plan_block_new(struct plan *p)
{
    struct plan_block *b = arena_zeroed(p->memory, sizeof *b);

    return b ? b : &p->spare_block;
}

struct plan_stmt *plan_emit(struct plan *p, struct plan_block *in, enum plan_op op)
{
    struct plan_stmt *s = in == &p->spare_block ? NULL : arena_zeroed(p->memory, sizeof *s);

    if (!s) {
        p->spare = (struct plan_stmt){ .op = PLAN_NOP };
        return &p->spare;
    }
    s->op = op;
    if (in->last)
        in->last->next = s;
    else
        in->first = s;
    in->last = s;
    return s;
}

struct plan_operand *plan_operands(struct plan *p, uint32_t n)
{
    return arena_zeroed(p->memory, n * sizeof(struct plan_operand));
}

void plan_name_local(struct plan *p, struct plan_name **names, uint32_t local, struct value name)
{
    struct plan_name *n = arena_take(p->memory, sizeof *n);

    if (!n)
        return;
    *n     = (struct plan_name){ .local = local, .name = name, .next = *names };
    *names = n;
}

FALLIBLE plan_ok(const struct plan *p, struct err *err)
{
    return arena_ok(p->memory, err);
}
