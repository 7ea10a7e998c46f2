#include "policy/rego/planner_state.h"

#include "policy/rego/number.h"

#include <string.h>

void set_place(struct planner *p, struct location at)
{
    p->place = (struct plan_place){ .file = at.file, .row = at.row, .col = at.col };
}

struct plan_stmt *emit(struct planner *p, enum plan_op op)
{
    struct plan_stmt *s = plan_emit(p->plan, p->curr, op);

    front_step(p->f, 1);
    if (p->plan->memory->failed)
        front_leave(p->f, "memory");
    s->place = p->place;
    return s;
}

uint32_t new_local(struct planner *p)
{
    uint32_t local = p->n_locals++;

    if (p->n_locals > p->most_locals)
        p->most_locals = p->n_locals;
    return local;
}

void emit_break(struct planner *p, uint32_t depth)
{
    emit(p, PLAN_BREAK)->depth = depth;
}

struct plan_stmt *emit_blocks(struct planner *p, enum plan_op op, struct plan_block *first)
{
    struct plan_stmt *s = emit(p, op);

    s->blocks = first;
    return s;
}

/* ---- constants ---- */

struct plan_operand value_constant(struct planner *p, struct value v)
{
    uint32_t index = plan_add_constant(p->plan, v);

    if (p->plan->memory->failed)
        front_leave(p->f, p->plan->memory->failed);
    return plan_constant(index);
}

struct plan_operand string_constant(struct planner *p, struct name *n)
{
    if (!n->string_constant)
        n->string_constant = value_constant(p, value_text(n->text, n->len)).index + 1;
    return plan_constant(n->string_constant - 1);
}

static struct value number_of(struct planner *p, const struct name *n)
{
    struct value v;
    struct err   err;

    if (!number_read(n->text, n->len, &v, &err))
        front_leave(p->f, front_printf(p->f, "%s", err.text));
    return v;
}

static struct value collection_of(struct planner *p, const struct term *t)
{
    enum value_type type = t->kind == TERM_ARRAY ? VALUE_ARRAY : t->kind == TERM_SET ? VALUE_SET : VALUE_OBJECT;
    struct arena   *a    = p->plan->memory;
    struct value    v    = value_new(a, type, t->items.n);
    bool            ok   = value_is_defined(v);

    for (uint32_t i = 0; ok && i < t->items.n; i++) {
        struct value item = value_of_term(p, t->items.at[i]);

        if (type == VALUE_ARRAY)
            ok = array_append(a, v, item);
        else if (type == VALUE_SET)
            ok = set_add(a, v, item);
        else
            ok = object_put(a, v, item, value_of_term(p, t->items.at[++i]));
    }
    if (!ok || !value_close(a, v))
        front_leave(p->f, a->failed ? a->failed : "memory");
    return v;
}

struct value value_of_term(struct planner *p, const struct term *t)
{
    front_step(p->f, 1);
    if (t->kind == TERM_NULL)
        return value_null();
    if (t->kind == TERM_BOOLEAN)
        return value_bool(t->truth);
    if (t->kind == TERM_NUMBER)
        return number_of(p, t->text);
    if (t->kind == TERM_STRING)
        return value_text(t->text->text, t->text->len);
    return collection_of(p, t);
}

struct plan_operand constant_of(struct planner *p, const struct term *t)
{
    if (t->kind == TERM_STRING)
        return string_constant(p, t->text);
    if (t->kind == TERM_NUMBER) {
        if (!t->text->number_constant)
            t->text->number_constant = value_constant(p, number_of(p, t->text)).index + 1;
        return plan_constant(t->text->number_constant - 1);
    }
    return value_constant(p, value_of_term(p, t));
}

/* ---- variables ---- */

void name_bind(struct planner *p, struct name *n, struct plan_operand operand)
{
    struct bound *b = front_take(p->f, sizeof *b);

    *b      = (struct bound){ n, operand, n->mark };
    n->mark = b;
    LIST_ADD(p->f, &p->bound, b);
    if (!operand.is_constant && !name_is_wildcard(n) && (!name_is_generated(n) || n->original)) {
        const struct name *shown = n->original ? n->original : n;

        plan_name_local(p->plan, &p->names, operand.index, value_text(shown->text, shown->len));
    }
}

bool bound_operand(const struct planner *p, const struct name *n, struct plan_operand *out)
{
    const struct bound *b = n->mark;

    (void) p;
    if (!b)
        return false;
    *out = b->operand;
    return true;
}

void unbind(struct planner *p, uint32_t down_to)
{
    while (p->bound.n > down_to) {
        struct bound *b = p->bound.at[--p->bound.n];

        b->name->mark = b->hidden;
    }
}

bool has_unseen(struct planner *p, const struct term *t)
{
    struct plan_operand ignored;

    if (t->kind == TERM_VAR)
        return !name_is(t->text, "input") && !name_is(t->text, "data") && !bound_operand(p, t->text, &ignored);
    if (t->kind != TERM_REF && t->kind != TERM_CALL && !term_is_collection(t))
        return false;
    for (uint32_t i = 0; i < t->items.n; i++)
        if (has_unseen(p, t->items.at[i]))
            return true;
    return false;
}

/* ---- functions under sets of replacements ---- */

bool owns_rules(const struct rule_node *n)
{
    return n->rules.n > 0 || n->has_odd_child;
}

bool is_hidden(const struct world *w, const struct rule_node *n)
{
    for (; n; n = n->parent)
        for (uint32_t i = 0; i < w->hidden.n; i++)
            if (w->hidden.at[i] == n)
                return true;
    return false;
}

static bool same_mock(const struct mock *a, const struct mock *b)
{
    return a->target == b->target && a->by_value == b->by_value && (a->by_value || term_equal(a->operator, b->operator));
}

static bool same_world(const struct world *w, const struct mock_list *mocks, const struct node_list *hidden)
{
    if (w->mocks.n != mocks->n || w->hidden.n != hidden->n)
        return false;
    for (uint32_t i = 0; i < mocks->n; i++)
        if (!same_mock(&w->mocks.at[i], &mocks->at[i]))
            return false;
    for (uint32_t i = 0; i < hidden->n; i++)
        if (w->hidden.at[i] != hidden->at[i])
            return false;
    return true;
}

struct world *world_with(struct planner *p, const struct mock_list *mocks, const struct node_list *hidden)
{
    for (struct world *w = p->worlds; w; w = w->next) {
        front_step(p->f, 1 + mocks->n);
        if (same_world(w, mocks, hidden))
            return w;
    }

    struct world *w = front_take(p->f, sizeof *w);
    w->mocks        = *mocks;
    w->hidden       = *hidden;
    w->index        = p->n_worlds++;
    w->next         = p->worlds;
    p->worlds       = w;
    return w;
}

static struct value path_of_node(struct planner *p, const struct rule_node *n, const struct world *w)
{
    const struct rule_node *way[REF_PARTS_MAX * 2 + 2];
    uint32_t                depth = 0;
    struct arena           *a     = p->plan->memory;
    struct value            path  = value_new(a, VALUE_ARRAY, n->depth + 1);
    const char             *tag   = front_printf(p->f, "g%u", w->index);
    bool                    ok    = value_is_defined(path) && array_append(a, path, value_of_text(tag));

    for (; n->parent && depth < sizeof way / sizeof way[0]; n = n->parent)
        way[depth++] = n;
    while (ok && depth > 0)
        ok = array_append(a, path, value_of_term(p, way[--depth]->key));
    if (!ok || !value_close(a, path))
        front_leave(p->f, "memory");
    return path;
}

static struct value name_of_node(struct planner *p, const struct rule_node *n)
{
    const char *text = "";

    for (; n->parent; n = n->parent)
        text = front_printf(p->f, ".%s%s", n->key->kind <= TERM_BOOLEAN ? "?" : n->key->text->text, text);
    return value_of_text(front_printf(p->f, "data%s", text));
}

uint32_t function_of(struct planner *p, struct rule_node *n, struct world *w)
{
    uint32_t slot = (uint32_t) (((uintptr_t) n >> 4) * 31 + w->index) % WANTED_SLOTS;

    for (struct wanted *other = p->slots[slot]; other; other = other->same)
        if (other->node == n && other->world == w)
            return other->index;
    if (++p->n_functions > FUNCTIONS_MAX)
        front_leave(p->f, "functions");

    struct wanted *more = front_take(p->f, sizeof *more);
    more->node          = n;
    more->world         = w;
    more->index         = plan_add_function(p->plan, (struct plan_function){ .name = name_of_node(p, n),
                                                                             .path = path_of_node(p, n, w) });
    more->same     = p->slots[slot];
    p->slots[slot] = more;
    if (p->last)
        p->last->next = more;
    else
        p->first = more;
    p->last = more;
    return more->index;
}

struct plan_operand emit_call(struct planner *p, uint32_t function)
{
    struct plan_stmt *s = emit(p, PLAN_CALL);

    s->callee = PLAN_FUNCTION;
    s->index  = function;
    s->n_args = 2;
    s->args   = plan_operands(p->plan, 2);
    if (!s->args)
        front_leave(p->f, "memory");
    s->args[0] = p->input;
    s->args[1] = p->data;
    s->target  = new_local(p);
    return plan_local(s->target);
}

/* ---- expressions ---- */

static void plan_not(struct planner *p, const struct expr *e)
{
    struct plan_block *outer = p->curr;
    struct plan_block *inner = plan_block_new(p->plan);
    struct expr        plain = *e;
    uint32_t           mark  = p->bound.n;

    plain.negated = false;
    p->curr       = inner;
    plan_expr(p, &plain);
    unbind(p, mark);
    p->curr = outer;
    emit_blocks(p, PLAN_NOT, inner);
}

/* One branch of the check that a value can be iterated: `op` holds, then out of both blocks. */
static struct plan_block *iterable_branch(struct planner *p, enum plan_op op, struct plan_operand a)
{
    struct plan_block *b = plan_block_new(p->plan);

    p->curr       = b;
    emit(p, op)->a = a;
    emit_break(p, 1);
    return b;
}

/* A domain that is no collection makes the expression undefined. */
static void plan_iterable(struct planner *p, struct plan_operand a)
{
    struct plan_block *outer  = p->curr;
    struct plan_block *middle = plan_block_new(p->plan);
    struct plan_block *first  = iterable_branch(p, PLAN_IS_ARRAY, a);

    first->next       = iterable_branch(p, PLAN_IS_OBJECT, a);
    first->next->next = iterable_branch(p, PLAN_IS_SET, a);
    p->curr           = middle;
    emit_blocks(p, PLAN_BLOCK, first);
    emit_break(p, 1);
    p->curr = outer;
    emit_blocks(p, PLAN_BLOCK, middle);
}

/* An element for which the body fails leaves the scan and the block around it. */
static void plan_every(struct planner *p, const struct every *every)
{
    struct plan_operand domain = plan_term(p, every->domain);
    struct plan_block  *outer  = p->curr;
    struct plan_block  *each   = plan_block_new(p->plan);
    struct plan_block  *holds  = plan_block_new(p->plan);
    uint32_t            mark   = p->bound.n;
    uint32_t            held   = new_local(p);

    plan_iterable(p, domain);
    struct plan_stmt *scan = emit_blocks(p, PLAN_SCAN, each);
    scan->a                = domain;
    scan->target           = new_local(p);
    scan->target2          = new_local(p);
    p->curr                = each;
    name_bind(p, every->key->text, plan_local(scan->target));
    name_bind(p, every->value->text, plan_local(scan->target2));
    emit(p, PLAN_RESET)->target = held;
    p->curr                     = holds;
    plan_body(p, &every->body);
    struct plan_stmt *s = emit(p, PLAN_ASSIGN);
    s->a                = value_constant(p, value_bool(true));
    s->target           = held;
    p->curr             = each;
    emit_blocks(p, PLAN_BLOCK, holds);
    emit(p, PLAN_IS_UNDEFINED)->a = plan_local(held);
    emit_break(p, 1);
    unbind(p, mark);
    p->curr = outer;
}

static void plan_condition(struct planner *p, const struct term *t)
{
    if (t->kind == TERM_BOOLEAN && !t->truth) {
        emit_break(p, 0);
    } else if (t->kind == TERM_VAR || t->kind == TERM_REF) {
        struct plan_operand a = plan_term(p, t);
        struct plan_stmt   *s = emit(p, PLAN_NOT_EQUAL);

        s->a = a;
        s->b = value_constant(p, value_bool(false));
    } else if (term_is_comprehension(t)) {
        (void) plan_term(p, t); /* always true, but it may hold a conflict */
    }
}

void plan_plain_expr(struct planner *p, const struct expr *e)
{
    if (e->kind == EXPR_CALL)
        plan_call(p, e);
    else if (e->kind == EXPR_EVERY)
        plan_every(p, e->every);
    else
        plan_condition(p, e->term);
}

void plan_expr(struct planner *p, const struct expr *e)
{
    set_place(p, e->at);
    if (e->negated)
        plan_not(p, e);
    else if (e->with.n > 0)
        plan_with(p, e);
    else
        plan_plain_expr(p, e);
}

void plan_body(struct planner *p, const body *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        plan_expr(p, b->at[i]);
}

/* ---- queries ---- */

static void add_files(struct planner *p)
{
    for (uint32_t i = p->plan->n_files; i < p->f->n_files; i++)
        (void) plan_add_file(p->plan, value_of_text(p->f->files[i].path)); /* the order of adding is the index */
}

static void plan_result(struct planner *p, const body *query)
{
    struct var_walk   w      = var_walk_of(p->f, VARS_FOR_SAFETY);
    struct plan_stmt *make   = emit(p, PLAN_MAKE_OBJECT);
    uint32_t          result = new_local(p);

    make->target = result;
    vars_of_body(&w, query);
    for (uint32_t i = 0; i < w.found.n; i++) {
        struct name        *n = w.found.at[i];
        struct name        *shown = n->original ? n->original : n;
        struct plan_operand operand;

        if (name_is_wildcard(n) || (name_is_generated(n) && !n->original) || !bound_operand(p, n, &operand))
            continue;
        struct plan_stmt *s = emit(p, PLAN_OBJECT_INSERT);
        s->target           = result;
        s->a                = string_constant(p, shown);
        s->b                = operand;
    }
    emit(p, PLAN_RESULT_ADD)->a = plan_local(result);
}

void plan_query(struct compiler *c, struct plan *plan, const char *name, const body *query)
{
    struct planner    *p     = front_take(c->f, sizeof *p);
    struct plan_block *start = plan_block_new(plan);
    struct plan_query  q     = { .name = value_of_text(name), .blocks = start };

    *p = (struct planner){ .c = c, .f = c->f, .plan = plan, .curr = start, .n_locals = 2, .most_locals = 2 };
    p->input = plan_local(0);
    p->data  = plan_local(1);
    p->world = world_with(p, &(struct mock_list){ 0 }, &(struct node_list){ 0 });
    add_files(p);
    plan_body(p, query);
    plan_result(p, query);
    unbind(p, 0);
    q.n_locals = p->most_locals;
    q.names    = p->names;
    (void) plan_add_query(plan, q);
    for (; p->first; p->first = p->first->next)
        plan_function_of(p, p->first);
    if (plan->memory->failed)
        front_leave(c->f, plan->memory->failed);
}
