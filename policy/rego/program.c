#include "policy/rego/program.h"

#include <stdlib.h>
#include <string.h>

#include "policy/rego/builtins.h"

/* One enclosing block while its code is written. Hidden ones are ours: the breaks of a plan do not count them. */
struct level {
    bool     is_hidden;
    bool     has_address; /* scans: leaving the block goes back to `address` */
    uint32_t address;
    uint32_t chain;       /* code whose `to` is the end of the block, linked through `to`; NO_CODE ends it */
    bool     is_with;
    uint16_t slot;
    uint32_t local;
};
#define NO_CODE UINT32_MAX

struct builder {
    const struct plan *plan;
    struct program    *p;
    uint32_t           code_room, operands_room, places_room;
    uint32_t           n_locals; /* of the function */
    uint32_t           n_slots;
    uint32_t           n_levels;
    struct level       levels[PROGRAM_BLOCKS_DEEP + 1];
    struct err        *err;
};

static bool full(struct builder *b)
{
    return fail_with(b->err, ERR_LIMIT, "plan: more than %d bytes of program", PROGRAM_MEMORY_MAX);
}

static bool broken(struct builder *b, const char *what)
{
    return fail_with(b->err, ERR_MALFORMED, "plan: %s", what);
}

/* Tables grow on the heap, and move into the program's arena when they are complete. */
static bool grow(void **table, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room)
        return true;

    uint32_t more = *room ? *room * 2 : 256;
    void    *to   = realloc(*table, more * size);
    if (!to)
        return false;
    *table = to;
    *room  = more;
    return true;
}

static bool add_place(struct builder *b, struct plan_place place, uint32_t *out)
{
    struct program *p = b->p;

    if (p->n_places > 0 && memcmp(&p->places[p->n_places - 1], &place, sizeof place) == 0) {
        *out = p->n_places - 1;
        return true;
    }
    if (!grow((void **) &p->places, p->n_places, &b->places_room, sizeof place))
        return full(b);
    p->places[p->n_places] = place;
    *out                   = p->n_places++;
    return true;
}

/* Where code that leaves `depth` + 1 levels goes. */
static void link_to(struct builder *b, uint32_t at, uint32_t depth)
{
    struct level *l = &b->levels[b->n_levels - 1 - depth];
    struct code  *c = &b->p->code[at];

    if (l->has_address) {
        c->to = l->address;
    } else {
        c->to    = l->chain;
        l->chain = at;
    }
}

static bool put_code(struct builder *b, struct code c, uint32_t depth)
{
    struct program *p = b->p;

    if (p->n_code >= PROGRAM_CODE_MAX)
        return fail_with(b->err, ERR_LIMIT, "plan: more than %d statements", PROGRAM_CODE_MAX);
    if (!grow((void **) &p->code, p->n_code, &b->code_room, sizeof c))
        return full(b);
    p->code[p->n_code] = c;
    link_to(b, p->n_code, depth);
    p->n_code++;
    return true;
}

static bool push_level(struct builder *b, struct level l)
{
    if (b->n_levels >= PROGRAM_BLOCKS_DEEP)
        return fail_with(b->err, ERR_LIMIT, "plan: blocks nested deeper than %d", PROGRAM_BLOCKS_DEEP);
    l.chain                  = NO_CODE;
    b->levels[b->n_levels++] = l;
    return true;
}

/* The block ends here: everything that leaves it goes on here. */
static void pop_level(struct builder *b)
{
    struct level *l = &b->levels[--b->n_levels];

    for (uint32_t at = l->chain, next; at != NO_CODE; at = next) {
        next               = b->p->code[at].to;
        b->p->code[at].to = b->p->n_code;
    }
}

static bool local_ok(const struct builder *b, uint32_t local)
{
    return local < b->n_locals;
}

static bool operand(struct builder *b, struct plan_operand o, uint32_t *out)
{
    if (o.is_constant ? o.index >= b->plan->n_constants : !local_ok(b, o.index))
        return broken(b, "operand out of range");
    *out = o.index | (o.is_constant ? CODE_CONSTANT : 0);
    return true;
}

static bool add_operands(struct builder *b, const struct plan_operand *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!grow((void **) &b->p->operands, b->p->n_operands, &b->operands_room, sizeof(uint32_t)))
            return full(b);
        if (!operand(b, from[i], &b->p->operands[b->p->n_operands]))
            return false;
        b->p->n_operands++;
    }
    return true;
}

static bool new_slot(struct builder *b, uint16_t *out)
{
    if (b->n_slots >= PROGRAM_LOCALS_MAX)
        return fail_with(b->err, ERR_LIMIT, "plan: more than %d locals", PROGRAM_LOCALS_MAX);
    *out = (uint16_t) b->n_slots++;
    return true;
}

static bool put_blocks(struct builder *b, const struct plan_block *blocks);
static bool put_stmts(struct builder *b, const struct plan_block *block);

static bool arity_of(struct builder *b, const struct plan_stmt *s, uint32_t *out)
{
    const struct builtin *builtin;

    switch (s->callee) {
    case PLAN_FUNCTION:
        if (s->index >= b->plan->n_functions)
            return broken(b, "function out of range");
        *out = b->plan->functions[s->index].n_params;
        return true;
    case PLAN_BUILTIN:
        builtin = builtin_at(s->index);
        if (!builtin)
            return broken(b, "built-in out of range");
        *out = builtin->n_args;
        return true;
    case PLAN_HOST:
        if (s->index >= b->plan->n_hosts)
            return broken(b, "host function out of range");
        *out = b->plan->hosts[s->index].n_args;
        return true;
    }
    return broken(b, "unknown kind of call");
}

static bool put_call(struct builder *b, const struct plan_stmt *s, struct code c)
{
    static const uint16_t ops[] = { [PLAN_FUNCTION] = PLAN_CALL, [PLAN_BUILTIN] = CODE_CALL_BUILTIN, [PLAN_HOST] = CODE_CALL_HOST };
    uint32_t              arity = 0;

    if (!local_ok(b, s->target))
        return broken(b, "operand out of range");
    if (s->n_args > PROGRAM_ARGS_MAX || s->n_path > UINT8_MAX)
        return fail_with(b->err, ERR_LIMIT, "plan: call with more than %d arguments", PROGRAM_ARGS_MAX);
    if (s->op == PLAN_CALL_DYNAMIC && s->n_args < 2)
        return broken(b, "dynamic call without input and data");
    if (s->op == PLAN_CALL) {
        if (!arity_of(b, s, &arity))
            return false;
        if (arity != s->n_args)
            return fail_with(b->err, ERR_MALFORMED, "plan: call with %u arguments of %u", s->n_args, arity);
        c.op = ops[s->callee];
    }
    c.b       = s->index;
    c.n_path  = s->op == PLAN_CALL ? 0 : (uint16_t) s->n_path;
    c.n_args  = (uint16_t) s->n_args;
    c.target2 = b->p->n_operands;
    return add_operands(b, s->path, c.n_path) && add_operands(b, s->args, s->n_args) && put_code(b, c, 0);
}

/* Leaving a With on the way out puts its local back. */
static bool put_break(struct builder *b, const struct plan_stmt *s)
{
    uint32_t depth = 0, left = s->depth;

    for (;; depth++) {
        if (depth >= b->n_levels)
            return broken(b, "break out of range");
        const struct level *l = &b->levels[b->n_levels - 1 - depth];
        if (!l->is_hidden && left-- == 0)
            break; /* where the jump lands: a With here restores by itself */
        if (l->is_with && !put_code(b, (struct code){ .op = CODE_WITH_LEAVE, .slot = l->slot, .target = l->local }, 0))
            return false;
    }
    return put_code(b, (struct code){ .op = CODE_JUMP }, depth);
}

static bool put_scan(struct builder *b, const struct plan_stmt *s, struct code c)
{
    struct code next  = { .op = CODE_SCAN_NEXT, .target = s->target, .target2 = s->target2, .place = c.place };
    uint32_t    start;

    if (!local_ok(b, s->target) || !local_ok(b, s->target2) || !s->blocks || s->blocks->next)
        return broken(b, "scan");
    c.op = CODE_SCAN_START;
    if (!new_slot(b, &c.slot) || !push_level(b, (struct level){ .is_hidden = true }) || !put_code(b, c, 0))
        return false;
    next.slot = c.slot;
    start     = b->p->n_code;
    if (!put_code(b, next, 0) || !push_level(b, (struct level){ .has_address = true, .address = start }) ||
        !put_stmts(b, s->blocks) || !put_code(b, (struct code){ .op = CODE_JUMP }, 0))
        return false;
    pop_level(b);
    pop_level(b);
    return true;
}

static bool put_not(struct builder *b, const struct plan_stmt *s)
{
    if (!s->blocks || s->blocks->next)
        return broken(b, "not");
    if (!push_level(b, (struct level){ 0 }) || !put_stmts(b, s->blocks) || !put_code(b, (struct code){ .op = CODE_JUMP }, 1))
        return false;
    pop_level(b);
    return true;
}

static bool put_with(struct builder *b, const struct plan_stmt *s, struct code c)
{
    struct code leave = { .op = CODE_WITH_LEAVE, .target = s->target };

    if (!local_ok(b, s->target) || !s->blocks || s->blocks->next || s->n_path > UINT8_MAX)
        return broken(b, "with");
    c.op      = CODE_WITH_ENTER;
    c.target  = s->target;
    c.n_path  = (uint16_t) s->n_path;
    c.target2 = b->p->n_operands;
    if (!new_slot(b, &c.slot) || !add_operands(b, s->path, s->n_path) || !put_code(b, c, 0))
        return false;
    leave.slot = c.slot;
    if (!push_level(b, (struct level){ .is_hidden = true }) || /* ends behind both ways out */
        !push_level(b, (struct level){ .is_with = true, .slot = c.slot, .local = s->target }) ||
        !put_stmts(b, s->blocks) || !put_code(b, leave, 0) || !put_code(b, (struct code){ .op = CODE_JUMP }, 1))
        return false;
    pop_level(b);
    if (!put_code(b, leave, 0) || !put_code(b, (struct code){ .op = CODE_JUMP }, 1))
        return false;
    pop_level(b);
    return true;
}

static bool writes_target(enum plan_op op)
{
    switch (op) {
    case PLAN_BREAK:
    case PLAN_BLOCK:
    case PLAN_EQUAL:
    case PLAN_NOT_EQUAL:
    case PLAN_IS_ARRAY:
    case PLAN_IS_OBJECT:
    case PLAN_IS_SET:
    case PLAN_IS_DEFINED:
    case PLAN_IS_UNDEFINED:
    case PLAN_NOP:
    case PLAN_NOT:
    case PLAN_RESULT_ADD:
    case PLAN_RETURN:
        return false;
    case PLAN_ARRAY_APPEND:
    case PLAN_ASSIGN:
    case PLAN_ASSIGN_ONCE:
    case PLAN_CALL:
    case PLAN_CALL_DYNAMIC:
    case PLAN_DOT:
    case PLAN_DOT_BASE:
    case PLAN_LEN:
    case PLAN_MAKE_ARRAY:
    case PLAN_MAKE_OBJECT:
    case PLAN_MAKE_SET:
    case PLAN_OBJECT_INSERT:
    case PLAN_OBJECT_INSERT_ONCE:
    case PLAN_OBJECT_MERGE:
    case PLAN_RESET:
    case PLAN_SCAN:
    case PLAN_SET_ADD:
    case PLAN_WITH:
        return true;
    case PLAN_N_OPS:
        break;
    }
    return false;
}

static bool put_stmt(struct builder *b, const struct plan_stmt *s)
{
    struct code c = { .op = (uint16_t) s->op, .target = s->target };

    if ((unsigned) s->op >= PLAN_N_OPS)
        return broken(b, "unknown statement");
    if (writes_target(s->op) && !local_ok(b, s->target))
        return broken(b, "operand out of range");
    if (!add_place(b, s->place, &c.place))
        return false;
    if (s->op == PLAN_BREAK)
        return put_break(b, s);
    if (s->op == PLAN_BLOCK)
        return put_blocks(b, s->blocks);
    if (s->op == PLAN_NOT)
        return put_not(b, s);
    if (!operand(b, s->a, &c.a) || !operand(b, s->b, &c.b))
        return false;
    if (s->op == PLAN_SCAN)
        return put_scan(b, s, c);
    if (s->op == PLAN_WITH)
        return put_with(b, s, c);
    if (s->op == PLAN_CALL || s->op == PLAN_CALL_DYNAMIC)
        return put_call(b, s, c);
    return s->op == PLAN_NOP || put_code(b, c, 0);
}

static bool put_stmts(struct builder *b, const struct plan_block *block)
{
    for (const struct plan_stmt *s = block->first; s; s = s->next)
        if (!put_stmt(b, s))
            return false;
    return true;
}

static bool put_blocks(struct builder *b, const struct plan_block *blocks)
{
    for (; blocks; blocks = blocks->next) {
        if (!push_level(b, (struct level){ 0 }) || !put_stmts(b, blocks))
            return false;
        pop_level(b);
    }
    return true;
}

static bool copy_names(struct builder *b, const struct plan_name *from, const struct plan_name **out)
{
    for (; from; from = from->next) {
        struct plan_name *n = arena_take(&b->p->memory, sizeof *n);

        if (!n)
            return full(b);
        if (!local_ok(b, from->local))
            return broken(b, "named local out of range");
        *n = (struct plan_name){ .local = from->local, .name = value_copy(&b->p->memory, from->name), .next = *out };
        if (!value_is_defined(n->name))
            return full(b);
        *out = n;
    }
    return true;
}

/* The code of one function or query. */
static bool put_body(struct builder *b, const struct plan_block *blocks, uint32_t n_locals, struct program_function *f)
{
    if (n_locals > PROGRAM_LOCALS_MAX)
        return fail_with(b->err, ERR_LIMIT, "plan: more than %d locals", PROGRAM_LOCALS_MAX);
    if (n_locals < f->n_params)
        return broken(b, "fewer locals than parameters");
    b->n_locals = b->n_slots = n_locals;
    b->n_levels = 0;
    f->start    = b->p->n_code;
    if (!put_blocks(b, blocks) || !push_level(b, (struct level){ 0 }) || !put_code(b, (struct code){ .op = CODE_END }, 0))
        return false;
    pop_level(b);
    f->n_slots = b->n_slots;
    return true;
}

static bool copy_value(struct builder *b, struct value v, struct value *out)
{
    *out = value_copy(&b->p->memory, v);
    return v.type == VALUE_UNDEFINED || value_is_defined(*out) || full(b);
}

static bool copy_params(struct builder *b, const struct plan_function *from, struct program_function *f)
{
    if (!from->params)
        return true;
    for (uint32_t i = 0; i < from->n_params; i++)
        if (from->params[i] >= from->n_locals || (i < 2 && from->params[i] != i))
            return broken(b, "parameter out of range");
    f->params = arena_copy(&b->p->memory, from->params, from->n_params * sizeof *f->params);
    return f->params || full(b);
}

static bool put_function(struct builder *b, const struct plan_function *from, struct program_function *f)
{
    *f = (struct program_function){
        .n_params = from->n_params, .is_function = from->is_function, .may_repeat = from->may_repeat,
    };
    if (from->n_params < 2 || from->n_params > PROGRAM_ARGS_MAX)
        return broken(b, "number of parameters");
    return copy_value(b, from->name, &f->name) && copy_value(b, from->path, &f->path) &&
           put_body(b, from->blocks, from->n_locals, f) && copy_names(b, from->names, &f->names) &&
           copy_params(b, from, f) && add_place(b, from->place, &f->place);
}

static bool put_query(struct builder *b, const struct plan_query *from, struct program_function *f)
{
    *f = (struct program_function){ .n_params = 2 };
    return copy_value(b, from->name, &f->name) && put_body(b, from->blocks, from->n_locals, f) &&
           copy_names(b, from->names, &f->names) && add_place(b, (struct plan_place){ 0 }, &f->place);
}

static bool put_functions(struct builder *b)
{
    const struct plan *plan = b->plan;
    struct program    *p    = b->p;

    p->n_functions = plan->n_functions;
    p->n_queries   = plan->n_queries;
    p->functions   = arena_take(&p->memory, ((size_t) p->n_functions + p->n_queries) * sizeof *p->functions);
    if (!p->functions)
        return full(b);
    for (uint32_t i = 0; i < plan->n_functions; i++)
        if (!put_function(b, &plan->functions[i], &p->functions[i]))
            return false;
    for (uint32_t i = 0; i < plan->n_queries; i++)
        if (!put_query(b, &plan->queries[i], &p->functions[p->n_functions + i]))
            return false;
    return true;
}

static bool copy_values(struct builder *b, const struct value *from, uint32_t n, struct value **out)
{
    *out = arena_take(&b->p->memory, n * sizeof **out);
    if (!*out)
        return full(b);
    for (uint32_t i = 0; i < n; i++)
        if (!copy_value(b, from[i], &(*out)[i]))
            return false;
    return true;
}

static bool index_paths(struct builder *b)
{
    struct arena *a = &b->p->memory;

    b->p->by_path = value_new(a, VALUE_OBJECT, 0);
    if (!value_is_defined(b->p->by_path))
        return full(b);
    for (uint32_t i = 0; i < b->p->n_functions; i++) {
        struct value path = b->p->functions[i].path;

        if (path.type == VALUE_ARRAY && !object_put(a, b->p->by_path, path, value_int(i)))
            return full(b);
    }
    return value_close(a, b->p->by_path) || full(b);
}

static bool move_in(struct builder *b, void *table, size_t size)
{
    void **at   = table;
    void  *copy = arena_copy(&b->p->memory, *at, size);

    free(*at);
    *at = copy;
    return copy != NULL;
}

static bool build(struct builder *b)
{
    struct program    *p  = b->p;
    const struct plan *in = b->plan;
    bool               ok = copy_values(b, in->constants, in->n_constants, &p->constants) &&
              copy_values(b, in->files, in->n_files, &p->files) && put_functions(b) && index_paths(b);

    p->n_constants = in->n_constants;
    p->n_files     = in->n_files;
    p->hosts       = in->hosts;
    p->n_hosts     = in->n_hosts;
    bool code      = move_in(b, &p->code, p->n_code * sizeof *p->code);
    bool operands  = move_in(b, &p->operands, p->n_operands * sizeof *p->operands);
    bool places    = move_in(b, &p->places, p->n_places * sizeof *p->places);
    return ok && ((code && operands && places) || full(b));
}

FALLIBLE program_new(const struct plan *plan, struct program **out, struct err *err)
{
    struct program *p = calloc(1, sizeof *p);
    struct builder *b = calloc(1, sizeof *b);
    bool            ok;

    if (!p || !b) {
        free(p);
        free(b);
        return fail_with(err, ERR_LIMIT, "plan: no memory");
    }
    p->memory = arena_of(PROGRAM_MEMORY_MAX);
    b->plan   = plan;
    b->p      = p;
    b->err    = err;
    ok        = plan_ok(plan, err) && build(b);
    free(b);
    if (!ok) {
        program_free(p);
        return false;
    }
    *out = p;
    return true;
}

void program_free(struct program *p)
{
    if (!p)
        return;
    arena_free(&p->memory);
    free(p);
}

bool program_find_query(const struct program *p, const char *name, uint32_t *out)
{
    for (uint32_t i = 0; i < p->n_queries; i++) {
        if (value_is_named(p->functions[p->n_functions + i].name, name)) {
            *out = i;
            return true;
        }
    }
    return false;
}

size_t program_memory(const struct program *p)
{
    return p->memory.taken;
}
