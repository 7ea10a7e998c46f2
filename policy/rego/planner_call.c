#include "policy/rego/planner_state.h"

#include "policy/rego/builtin_names.h"
#include "policy/rego/builtins.h"

#include <string.h>

#define WITH_VALUES "$with" /* where in data the values of replaced functions are kept: no policy can name it by accident */

static const struct mock *mock_of(const struct planner *p, const struct name *target)
{
    for (uint32_t i = p->world->mocks.n; i > 0; i--)
        if (p->world->mocks.at[i - 1].target == target)
            return &p->world->mocks.at[i - 1];
    return NULL;
}

/* The operands before the result, planned in order. */
static struct plan_operand *plan_args(struct planner *p, const struct expr *e, uint32_t arity, uint32_t extra)
{
    struct plan_operand *args = front_take(p->f, (arity + extra + 1) * sizeof *args);

    for (uint32_t i = 0; i < arity; i++)
        args[extra + i] = plan_term(p, e->terms.at[i + 1]);
    return args;
}

static struct plan_operand call_target(struct planner *p, struct callee callee, const struct term *operator, const struct expr *e,
                                       struct world *w)
{
    uint32_t             extra = callee.kind == CALLEE_RULE ? 2 : 0;
    struct plan_operand *args  = plan_args(p, e, callee.arity, extra);
    struct plan_stmt    *s     = emit(p, PLAN_CALL);

    s->n_args = callee.arity + extra;
    s->args   = args;
    if (callee.kind == CALLEE_RULE) {
        args[0]   = p->input;
        args[1]   = p->data;
        s->callee = PLAN_FUNCTION;
        s->index  = function_of(p, callee.node, w);
    } else if (callee.kind == CALLEE_HOST) {
        s->callee = PLAN_HOST;
        s->index  = callee.host;
    } else {
        s->callee = PLAN_BUILTIN;
        if (!builtin_find(value_of_text(term_text(p->f, operator)), &s->index))
            front_leave(p->f, front_printf(p->f, "built-in function %s", term_text(p->f, operator)));
    }
    s->target = new_local(p);
    return plan_local(s->target);
}

static void plan_truth(struct planner *p, struct plan_operand a)
{
    struct plan_stmt *s = emit(p, PLAN_NOT_EQUAL);

    s->a = a;
    s->b = value_constant(p, value_bool(false));
}

/* A relation's result holds one value for each way in which it is true. */
static void plan_relation(struct planner *p, struct plan_operand result, const struct term *value)
{
    if (!value) {
        struct plan_stmt *s = emit(p, PLAN_LEN);

        s->a                    = result;
        s->target               = new_local(p);
        struct plan_stmt *check = emit(p, PLAN_NOT_EQUAL);
        check->a                = plan_local(s->target);
        check->b                = value_constant(p, value_int(0));
        return;
    }
    struct plan_block *each = plan_block_new(p->plan);
    struct plan_stmt  *scan = emit_blocks(p, PLAN_SCAN, each);
    scan->a                 = result;
    scan->target            = new_local(p);
    scan->target2           = new_local(p);
    p->curr                 = each;
    plan_unify_operand(p, plan_local(scan->target2), value);
}

/* The value that replaces a function; the arguments must be defined all the same. */
static struct plan_operand plan_mock_value(struct planner *p, const struct mock *m, const struct expr *e, uint32_t arity)
{
    struct name        *parts[] = { name_text(p->f, WITH_VALUES), m->target };
    struct plan_operand source  = p->data;

    (void) plan_args(p, e, arity, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_stmt *s = emit(p, PLAN_DOT);

        s->a      = source;
        s->b      = string_constant(p, parts[i]);
        s->target = new_local(p);
        source    = plan_local(s->target);
    }
    return source;
}

void plan_call(struct planner *p, const struct expr *e)
{
    const struct term *operator = e->terms.at[0];

    if (operator_is(operator, "eq") && e->terms.n == 3) {
        plan_unify(p, e->terms.at[1], e->terms.at[2]);
        return;
    }

    struct callee       callee = callee_of(p->c, operator);
    struct world       *world  = p->world;
    const struct mock  *m      = p->world->mocks.n ? mock_of(p, name_text(p->f, term_text(p->f, operator))) : NULL;
    struct plan_operand result;
    const struct term  *value = e->terms.n > callee.arity + 1 ? e->terms.at[callee.arity + 1] : NULL;
    if (m && m->by_value) {
        result = plan_mock_value(p, m, e, callee.arity);
    } else if (m) {
        /* Inside the replacement the original is visible again. */
        world  = world_with(p, &(struct mock_list){ 0 }, &p->world->hidden);
        result = call_target(p, m->callee, m->operator, e, world);
    } else {
        result = call_target(p, callee, operator, e, world);
    }

    if (!m && callee.flags & BUILTIN_RELATION)
        plan_relation(p, result, value);
    else if (value)
        plan_unify_operand(p, result, value);
    else if (m || !(callee.flags & BUILTIN_VOID))
        plan_truth(p, result);
}

/* ---- with ---- */

/* A copy of a document's local that statements behind it may change. */
static struct plan_operand copied(struct planner *p, struct plan_operand from)
{
    struct plan_block *outer  = p->curr;
    struct plan_block *b      = plan_block_new(p->plan);
    uint32_t           target = new_local(p);

    emit(p, PLAN_RESET)->target = target;
    p->curr                     = b;
    struct plan_stmt *s         = emit(p, PLAN_ASSIGN);
    s->a                        = from;
    s->target                   = target;
    p->curr                     = outer;
    emit_blocks(p, PLAN_BLOCK, b);
    return plan_local(target);
}

/* Opens a block in which `local` has `value` at a path of names; what follows goes on inside. */
static void open_with(struct planner *p, struct plan_operand local, struct plan_operand *path, uint32_t n, struct plan_operand value)
{
    struct plan_block *b = plan_block_new(p->plan);
    struct plan_stmt  *s = emit_blocks(p, PLAN_WITH, b);

    s->target = local.index;
    s->a      = value;
    s->path   = path;
    s->n_path = n;
    p->curr   = b;
}

struct replaced {
    struct mock_list    mocks;
    struct node_list    hidden;
    struct plan_operand input;
    struct plan_operand data;
    bool                has_input;
    bool                has_data;
};

static struct plan_operand *path_operands(struct planner *p, const struct term *target)
{
    struct plan_operand *path = front_take(p->f, target->items.n * sizeof *path);

    for (uint32_t i = 1; i < target->items.n; i++)
        path[i - 1] = constant_of(p, target->items.at[i]);
    return path;
}

static void replace_document(struct planner *p, struct replaced *r, const struct term *target, struct plan_operand value)
{
    bool                 is_input = ref_is_root(target, "input");
    struct plan_operand *local    = is_input ? &r->input : &r->data;
    bool                *has      = is_input ? &r->has_input : &r->has_data;

    if (!*has)
        *local = copied(p, *local);
    *has = true;
    open_with(p, *local, path_operands(p, target), target->items.n - 1, value);
    if (!is_input) {
        struct rule_node *n = node_at(p->c, target, target->items.n);

        if (n)
            LIST_ADD(p->f, &r->hidden, n);
    }
}

static void add_mock(struct planner *p, struct replaced *r, struct mock m)
{
    for (uint32_t i = 0; i < r->mocks.n; i++)
        if (r->mocks.at[i].target == m.target) {
            r->mocks.at[i] = m;
            return;
        }
    LIST_ADD(p->f, &r->mocks, m);
}

static void replace_function(struct planner *p, struct replaced *r, const struct with *w, struct plan_operand value)
{
    struct mock m = { .target = name_text(p->f, term_text(p->f, w->target)) };

    if (w->names_function) {
        m.callee   = callee_of(p->c, w->value);
        m.operator = w->value;
    } else {
        struct plan_operand *path = front_take(p->f, 2 * sizeof *path);

        m.by_value = true;
        path[0]    = string_constant(p, name_text(p->f, WITH_VALUES));
        path[1]    = string_constant(p, m.target);
        if (!r->has_data)
            r->data = copied(p, r->data);
        r->has_data = true;
        open_with(p, r->data, path, 2, value);
    }
    add_mock(p, r, m);
}

static bool replaces_function(const struct planner *p, const struct term *target)
{
    struct callee callee = callee_of(p->c, target);

    return callee.kind >= CALLEE_BUILTIN || (callee.kind == CALLEE_RULE && callee.node->rules.at[0]->head.is_function);
}

/* Copies lists that a world shares. */
static struct replaced replaced_here(struct planner *p)
{
    struct replaced r = { .input = p->input, .data = p->data };

    for (uint32_t i = 0; i < p->world->mocks.n; i++)
        LIST_ADD(p->f, &r.mocks, p->world->mocks.at[i]);
    for (uint32_t i = 0; i < p->world->hidden.n; i++)
        LIST_ADD(p->f, &r.hidden, p->world->hidden.at[i]);
    return r;
}

/* The expression sees the replacements; what follows it, inside the same blocks, sees the originals. */
void plan_with(struct planner *p, const struct expr *e)
{
    struct replaced      r      = replaced_here(p);
    struct plan_operand *values = front_take(p->f, e->with.n * sizeof *values);
    struct plan_operand  input  = p->input;
    struct plan_operand  data   = p->data;
    struct world        *world  = p->world;

    for (uint32_t i = 0; i < e->with.n; i++)
        if (!e->with.at[i].names_function)
            values[i] = plan_term(p, e->with.at[i].value);
    for (uint32_t i = 0; i < e->with.n; i++) {
        if (replaces_function(p, e->with.at[i].target))
            replace_function(p, &r, &e->with.at[i], values[i]);
        else
            replace_document(p, &r, e->with.at[i].target, values[i]);
    }
    p->input = r.input;
    p->data  = r.data;
    p->world = world_with(p, &r.mocks, &r.hidden);
    plan_plain_expr(p, e);
    p->input = input;
    p->data  = data;
    p->world = world;
}
