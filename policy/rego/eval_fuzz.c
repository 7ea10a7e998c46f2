#include <string.h>

#include "base/auto.h"
#include "policy/rego/builtins.h"
#include "policy/rego/eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An arbitrary plan from bytes: what a verifier lets through must run without harm. */
enum { LOCALS = 12, FUNCTIONS = 3, DEPTH = 6 };

struct source {
    struct reader r;
    struct plan   plan;
    uint32_t      n_builtins;
    uint32_t      n_stmts;
};

static struct plan_operand operand(struct source *s)
{
    uint8_t b = take_u8(&s->r);

    return b & 0x80 ? plan_constant((b & 0x7fu) % s->plan.n_constants) : plan_local(b % LOCALS);
}

static struct plan_block *block(struct source *s, unsigned depth);

static void fill_call(struct source *s, struct plan_stmt *stmt)
{
    stmt->callee = take_u8(&s->r) % 4 ? PLAN_BUILTIN : PLAN_FUNCTION;
    stmt->index  = take_u8(&s->r) % (stmt->callee == PLAN_BUILTIN ? s->n_builtins : FUNCTIONS);
    stmt->n_args = stmt->callee == PLAN_BUILTIN ? builtin_at(stmt->index)->n_args : 3;
    if (stmt->op == PLAN_CALL_DYNAMIC) {
        stmt->n_args = 3;
        stmt->n_path = 1;
        stmt->path   = plan_operands(&s->plan, 1);
        if (stmt->path)
            stmt->path[0] = operand(s);
    }
    stmt->args = plan_operands(&s->plan, stmt->n_args);
    for (uint32_t i = 0; stmt->args && i < stmt->n_args; i++)
        stmt->args[i] = operand(s);
}

static void fill(struct source *s, struct plan_stmt *stmt, unsigned depth)
{
    stmt->a       = operand(s);
    stmt->b       = operand(s);
    stmt->target  = take_u8(&s->r) % LOCALS;
    stmt->target2 = take_u8(&s->r) % LOCALS;
    stmt->depth   = take_u8(&s->r) % 4;
    if (stmt->op == PLAN_CALL || stmt->op == PLAN_CALL_DYNAMIC)
        fill_call(s, stmt);
    if (stmt->op == PLAN_BLOCK || stmt->op == PLAN_NOT || stmt->op == PLAN_SCAN || stmt->op == PLAN_WITH)
        stmt->blocks = block(s, depth - 1);
    if (stmt->op == PLAN_WITH && stmt->depth > 1) {
        stmt->n_path = 1;
        stmt->path   = plan_operands(&s->plan, 1);
        if (stmt->path)
            stmt->path[0] = operand(s);
    }
}

static struct plan_block *block(struct source *s, unsigned depth)
{
    struct plan_block *b = plan_block_new(&s->plan);
    unsigned           n = take_u8(&s->r) % 8;

    for (unsigned i = 0; i < n && depth > 0 && !s->r.failed && s->n_stmts < 500; i++, s->n_stmts++)
        fill(s, plan_emit(&s->plan, b, take_u8(&s->r) % PLAN_N_OPS), depth);
    return b;
}

static void add_constants(struct source *s)
{
    static const char *const texts[] = { "", "a", "abc", "%v %d", "^a+$", "data", "1.5" };
    struct value             array   = value_new(s->plan.memory, VALUE_ARRAY, 3);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        (void) plan_add_constant(&s->plan, value_of_text(texts[i]));
    for (int i = -1; i < 4; i++)
        (void) plan_add_constant(&s->plan, value_int(i));
    (void) plan_add_constant(&s->plan, value_bool(true));
    (void) plan_add_constant(&s->plan, value_bool(false));
    (void) plan_add_constant(&s->plan, value_null());
    for (int i = 0; i < 3; i++)
        if (!array_append(s->plan.memory, array, value_of_text(texts[i])))
            return;
    if (value_close(s->plan.memory, array))
        (void) plan_add_constant(&s->plan, array);
}

static void add_functions(struct source *s)
{
    while (builtin_at(s->n_builtins))
        s->n_builtins++;
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        struct value path = value_new(s->plan.memory, VALUE_ARRAY, 1);

        if (!array_append(s->plan.memory, path, value_of_text(i ? "a" : "abc")) || !value_close(s->plan.memory, path))
            return;
        (void) plan_add_function(&s->plan, (struct plan_function){
            .name = value_of_text("f"), .path = path, .n_params = 3, .n_locals = LOCALS, .blocks = block(s, DEPTH) });
    }
    (void) plan_add_query(&s->plan, (struct plan_query){ .name = value_of_text("q"), .n_locals = LOCALS, .blocks = block(s, DEPTH) });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena      memory  = arena_of(4 << 20), room = arena_of(2 << 20);
    AUTO(program) struct program *p       = NULL;
    struct source                 s       = { .r = reader_over((struct bytes){ data, size }), .plan = plan_over(&memory) };
    struct eval_options           options = { .limits = { .steps = 20000, .depth = 40, .host_calls = 1, .print_bytes = 1000 } };
    struct value                  object  = value_new(&memory, VALUE_OBJECT, 0), results;
    struct eval_fault             fault;
    struct err                    err;

    add_constants(&s);
    add_functions(&s);
    if (!object_put(&memory, object, value_of_text("a"), value_int(1)) || !value_close(&memory, object) ||
        !program_new(&s.plan, &p, &err))
        return 0;
    options.strict_builtin_errors = size % 2;
    if (!program_eval(p, 0, object, object, &options, &room, &results, &fault, &err) && fault.code == EVAL_NO_ERROR)
        __builtin_trap(); /* a failure that names no cause */
    return 0;
}
