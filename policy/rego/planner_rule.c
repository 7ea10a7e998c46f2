#include "policy/rego/planner_state.h"

/*
 * One function for the rules at a path. Complete rules assign their value once; `contains` adds to a set; a path
 * with variable parts builds an object, into which every rule inserts at its own depth.
 */
struct target {
    uint32_t result;   /* local of what the function gives */
    uint32_t branch;   /* local of the rule at hand, for else branches and conflicts within it */
    uint32_t n_static; /* parts of the path before those that vary */
    bool     builds_object;
};

static void collect(struct planner *p, const struct rule_node *n, struct rule_list *to)
{
    for (uint32_t i = 0; i < n->rules.n; i++)
        LIST_ADD(p->f, to, n->rules.at[i]);
    for (const struct rule_node *child = n->first_child; child; child = child->next_sibling)
        collect(p, child, to);
}

/* Longer paths first: what they build is then met, as a conflict, by a shorter one that gives it whole. */
static struct rule_list by_length(struct planner *p, const struct rule_list *rules)
{
    struct rule_list sorted  = { 0 };
    uint32_t         longest = 0;

    for (uint32_t i = 0; i < rules->n; i++)
        if (rules->at[i]->path->items.n > longest)
            longest = rules->at[i]->path->items.n;
    for (uint32_t n = longest; n > 0 && sorted.n < rules->n; n--)
        for (uint32_t i = 0; i < rules->n; i++)
            if (rules->at[i]->path->items.n == n)
                LIST_ADD(p->f, &sorted, rules->at[i]);
    return sorted;
}

/* value = object[key], or an empty collection when there is none. */
static uint32_t dot_or_make(struct planner *p, uint32_t object, struct plan_operand key, enum plan_op make)
{
    uint32_t           value  = new_local(p);
    struct plan_block *outer  = p->curr;
    struct plan_block *either = plan_block_new(p->plan);
    struct plan_block *there  = plan_block_new(p->plan);

    p->curr             = there;
    struct plan_stmt *s = emit(p, PLAN_DOT);
    s->a                = plan_local(object);
    s->b                = key;
    s->target           = value;
    emit_break(p, 1);
    p->curr = either;
    emit_blocks(p, PLAN_BLOCK, there);
    emit(p, make)->target = value;
    p->curr               = outer;
    emit_blocks(p, PLAN_BLOCK, either);
    return value;
}

static void insert(struct planner *p, enum plan_op op, uint32_t object, struct plan_operand key, struct plan_operand value)
{
    struct plan_stmt *s = emit(p, op);

    s->target = object;
    s->a      = key;
    s->b      = value;
}

/* Adds to the nested objects along the varying parts of the path. */
static void plan_into_object(struct planner *p, const struct rule *r, const struct target *t)
{
    const struct term_list *path = &r->path->items;
    uint32_t                n    = path->n - t->n_static;
    struct plan_operand    *keys = front_take(p->f, n * sizeof *keys);
    uint32_t               *objects = front_take(p->f, n * sizeof *objects);
    struct plan_operand     value   = plan_term(p, r->head.key ? r->head.key : r->head.value);

    for (uint32_t i = 0; i < n; i++)
        keys[i] = plan_term(p, path->at[t->n_static + i]);
    objects[0] = t->result;
    for (uint32_t i = 0; i + 1 < n; i++)
        objects[i + 1] = dot_or_make(p, objects[i], keys[i], PLAN_MAKE_OBJECT);
    if (r->head.key) {
        uint32_t          set = dot_or_make(p, objects[n - 1], keys[n - 1], PLAN_MAKE_SET);
        struct plan_stmt *s   = emit(p, PLAN_SET_ADD);

        s->target = set;
        s->a      = value;
        insert(p, PLAN_OBJECT_INSERT, objects[n - 1], keys[n - 1], plan_local(set));
    } else {
        insert(p, PLAN_OBJECT_INSERT_ONCE, objects[n - 1], keys[n - 1], value);
    }
    for (uint32_t i = n - 1; i > 0; i--)
        insert(p, PLAN_OBJECT_INSERT, objects[i - 1], keys[i - 1], plan_local(objects[i]));
}

static void plan_value(struct planner *p, const struct rule *r, const struct target *t)
{
    set_place(p, r->head.at);
    if (t->builds_object) {
        plan_into_object(p, r, t);
        return;
    }
    struct plan_operand value = plan_term(p, r->head.key ? r->head.key : r->head.value);
    struct plan_stmt   *s     = emit(p, r->head.key ? PLAN_SET_ADD : PLAN_ASSIGN_ONCE);
    s->target                 = r->head.key ? t->result : t->branch;
    s->a                      = value;
}

static struct plan_block *plan_branch(struct planner *p, const struct rule *r, const struct target *t, bool is_else)
{
    struct plan_block *b     = plan_block_new(p->plan);
    uint32_t           first = p->n_locals;

    p->curr = b;
    set_place(p, r->head.at);
    if (is_else)
        emit(p, PLAN_IS_UNDEFINED)->a = plan_local(t->branch);
    else
        emit(p, PLAN_RESET)->target = t->branch;
    for (uint32_t i = 0; i < r->head.args.n; i++)
        plan_unify_operand(p, plan_local(2 + i), r->head.args.at[i]);
    plan_body(p, &r->body);
    plan_value(p, r, t);
    unbind(p, 0);
    p->n_locals = first; /* the next branch may use the same locals */
    return b;
}

static struct plan_block *plan_branch_end(struct planner *p, const struct target *t)
{
    struct plan_block *b = plan_block_new(p->plan);

    p->curr                     = b;
    emit(p, PLAN_IS_DEFINED)->a = plan_local(t->branch);
    struct plan_stmt *s         = emit(p, PLAN_ASSIGN_ONCE);
    s->a                        = plan_local(t->branch);
    s->target                   = t->result;
    return b;
}

struct block_row {
    struct plan_block *first;
    struct plan_block *last;
};

static void row_add(struct block_row *row, struct plan_block *b)
{
    if (row->last)
        row->last->next = b;
    else
        row->first = b;
    row->last = b;
}

/* A rule with its else branches; they stand in a block of their own. */
static void plan_one_rule(struct planner *p, const struct rule *r, const struct target *t, struct block_row *row)
{
    struct block_row  inner = { 0 };
    struct block_row *to    = r->otherwise ? &inner : row;

    for (const struct rule *at = r; at; at = at->otherwise)
        row_add(to, plan_branch(p, at, t, at != r));
    if (!r->head.key && !t->builds_object)
        row_add(to, plan_branch_end(p, t));
    if (r->otherwise) {
        struct plan_block *b = plan_block_new(p->plan);

        p->curr = b;
        emit_blocks(p, PLAN_BLOCK, inner.first);
        row_add(row, b);
    }
}

static void plan_default(struct planner *p, const struct rule *r, const struct target *t, struct block_row *row)
{
    struct plan_block *b = plan_block_new(p->plan);

    p->curr = b;
    set_place(p, r->head.at);
    emit(p, PLAN_IS_UNDEFINED)->a = plan_local(t->result);
    plan_body(p, &r->body); /* a comprehension as value stands there */
    struct plan_operand value = plan_term(p, r->head.value);
    struct plan_stmt   *s     = emit(p, PLAN_ASSIGN_ONCE);
    s->a                      = value;
    s->target                 = t->result;
    unbind(p, 0);
    row_add(row, b);
}

static struct target target_of(struct planner *p, const struct rule_node *n, const struct rule_list *rules)
{
    struct target t = { .n_static = n->depth + 1 };

    for (uint32_t i = 0; i < rules->n; i++)
        if (rules->at[i]->path->items.n > t.n_static)
            t.builds_object = true;
    t.result = new_local(p);
    t.branch = new_local(p);
    return t;
}

static void plan_start(struct planner *p, const struct target *t, bool is_set, struct block_row *row)
{
    struct plan_block *b = plan_block_new(p->plan);

    if (!t->builds_object && !is_set)
        return;
    p->curr = b;
    emit(p, t->builds_object ? PLAN_MAKE_OBJECT : PLAN_MAKE_SET)->target = t->result;
    row_add(row, b);
}

void plan_function_of(struct planner *p, const struct wanted *w)
{
    struct rule_list   found = { 0 };
    struct block_row   row   = { 0 };
    const struct rule *standard = NULL;

    collect(p, w->node, &found);
    struct rule_list rules  = by_length(p, &found);
    uint32_t         n_args = rules.at[0]->head.args.n;
    p->world       = w->world;
    p->input       = plan_local(0);
    p->data        = plan_local(1);
    p->n_locals    = 2 + n_args;
    p->most_locals = p->n_locals;
    p->names       = NULL;
    set_place(p, rules.at[0]->head.at);
    struct plan_place place = p->place;
    struct target     t     = target_of(p, w->node, &rules);
    plan_start(p, &t, rules.at[0]->head.key != NULL, &row);
    for (uint32_t i = 0; i < rules.n; i++) {
        if (rules.at[i]->is_default)
            standard = rules.at[i];
        else
            plan_one_rule(p, rules.at[i], &t, &row);
    }
    if (standard)
        plan_default(p, standard, &t, &row);
    struct plan_block *end = plan_block_new(p->plan);
    p->curr                = end;
    emit(p, PLAN_RETURN)->a = plan_local(t.result);
    row_add(&row, end);

    struct plan_function *fn = &p->plan->functions[w->index];
    fn->n_params             = 2 + n_args;
    fn->result               = t.result;
    fn->n_locals             = p->most_locals;
    fn->is_function          = rules.at[0]->head.is_function;
    fn->blocks               = row.first;
    fn->names                = p->names;
    fn->place                = place;
}
