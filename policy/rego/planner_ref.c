#include "policy/rego/planner_state.h"

static struct plan_operand emit_dot(struct planner *p, struct plan_operand source, struct plan_operand key, bool in_data)
{
    struct plan_stmt *s = emit(p, in_data ? PLAN_DOT_BASE : PLAN_DOT);

    s->a      = source;
    s->b      = key;
    s->target = new_local(p);
    return plan_local(s->target);
}

/* Iterates `source`: what follows goes on inside, once for each element whose key unifies with `key`. */
static struct plan_operand open_scan(struct planner *p, struct plan_operand source, const struct term *key)
{
    struct plan_block *each = plan_block_new(p->plan);
    struct plan_stmt  *scan = emit_blocks(p, PLAN_SCAN, each);

    scan->a       = source;
    scan->target  = new_local(p);
    scan->target2 = new_local(p);
    p->curr       = each;
    plan_unify_operand(p, plan_local(scan->target), key);
    return plan_local(scan->target2);
}

/* The operands of `ref` from part i on, applied to `source`. */
struct plan_operand plan_operand_ref(struct planner *p, struct plan_operand source, const struct term *ref, uint32_t i, bool in_data)
{
    for (; i < ref->items.n; i++) {
        const struct term *part = ref->items.at[i];

        if (has_unseen(p, part))
            source = open_scan(p, source, part);
        else
            source = emit_dot(p, source, plan_term(p, part), in_data);
    }
    return source;
}

/* ---- documents that rules and data make together ---- */

/* Base data at the path of `n`; undefined leaves the block at hand. */
static struct plan_operand plan_base(struct planner *p, const struct rule_node *n)
{
    const struct rule_node *way[REF_PARTS_MAX * 2 + 2];
    uint32_t                depth  = 0;
    struct plan_operand     source = p->data;

    for (; n->parent && depth < sizeof way / sizeof way[0]; n = n->parent)
        way[depth++] = n;
    while (depth > 0)
        source = emit_dot(p, source, constant_of(p, way[--depth]->key), true);
    return source;
}

static bool is_function_node(const struct rule_node *n)
{
    return n->rules.n > 0 && n->rules.at[0]->head.is_function;
}

/* Whether `ref`, whose part `i` is about children, can mean this child. */
static bool part_allows(const struct term *ref, uint32_t i, const struct rule_node *child)
{
    if (!ref || i >= ref->items.n || ref->items.at[i]->kind != TERM_STRING)
        return true;
    return term_equal(ref->items.at[i], child->key);
}

static void insert(struct planner *p, uint32_t object, const struct term *key, struct plan_operand value)
{
    struct plan_stmt *s = emit(p, PLAN_OBJECT_INSERT);

    s->target = object;
    s->a      = constant_of(p, key);
    s->b      = value;
}

/* An object of all rules below `n`; with `ref`, of those that its part `i` and later ones can mean. */
static uint32_t plan_rules_below(struct planner *p, struct rule_node *n, const struct term *ref, uint32_t i)
{
    uint32_t object = new_local(p);

    emit(p, PLAN_MAKE_OBJECT)->target = object;
    for (struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        struct plan_block *outer = p->curr;

        if (is_hidden(p->world, child) || is_function_node(child) || !part_allows(ref, i, child))
            continue;
        if (!n->parent && term_is_constant(child->key) && child->key->kind == TERM_STRING &&
            name_is(child->key->text, "system") && !ref)
            continue; /* as in OPA: data.system is no part of data as a whole */
        p->curr = plan_block_new(p->plan);
        struct plan_block *inner = p->curr;
        if (owns_rules(child))
            insert(p, object, child->key, emit_call(p, function_of(p, child, p->world)));
        else
            insert(p, object, child->key, plan_local(plan_rules_below(p, child, ref, i + 1)));
        p->curr = outer;
        emit_blocks(p, PLAN_BLOCK, inner);
    }
    return object;
}

/* Rules below `n` over base data there. */
static struct plan_operand plan_extent(struct planner *p, struct rule_node *n, const struct term *ref, uint32_t i)
{
    uint32_t           rules  = plan_rules_below(p, n, ref, i);
    uint32_t           target = new_local(p);
    struct plan_block *outer  = p->curr;
    struct plan_block *either = plan_block_new(p->plan);
    struct plan_block *merge  = plan_block_new(p->plan);

    p->curr = merge;
    struct plan_operand base = plan_base(p, n);
    struct plan_stmt   *s    = emit(p, PLAN_OBJECT_MERGE);
    s->a                     = base;
    s->b                     = plan_local(rules);
    s->target                = target;
    emit_break(p, 1);
    p->curr = either;
    emit_blocks(p, PLAN_BLOCK, merge);
    s         = emit(p, PLAN_ASSIGN);
    s->a      = plan_local(rules);
    s->target = target;
    p->curr   = outer;
    emit_blocks(p, PLAN_BLOCK, either);
    return plan_local(target);
}

/* data as a whole, without data.system. */
static struct plan_operand plan_whole_data(struct planner *p)
{
    struct plan_operand whole  = plan_extent(p, p->c->root, NULL, 0);
    struct plan_block  *outer  = p->curr;
    struct plan_block  *each   = plan_block_new(p->plan);
    uint32_t            target = new_local(p);

    emit(p, PLAN_MAKE_OBJECT)->target = target;
    struct plan_stmt *scan = emit_blocks(p, PLAN_SCAN, each);
    scan->a                = whole;
    scan->target           = new_local(p);
    scan->target2          = new_local(p);
    p->curr                = each;
    struct plan_stmt *s    = emit(p, PLAN_NOT_EQUAL);
    s->a                   = plan_local(scan->target);
    s->b                   = string_constant(p, name_text(p->f, "system"));
    s                      = emit(p, PLAN_OBJECT_INSERT);
    s->target              = target;
    s->a                   = plan_local(scan->target);
    s->b                   = plan_local(scan->target2);
    p->curr                = outer;
    return plan_local(target);
}

/* ---- references below data ---- */

static bool children_are_rules(const struct planner *p, const struct rule_node *n)
{
    for (const struct rule_node *child = n->first_child; child; child = child->next_sibling)
        if (!owns_rules(child) || is_hidden(p->world, child) || child->key->kind != TERM_STRING)
            return false;
    return true;
}

static struct plan_stmt *emit_assign(struct planner *p, uint32_t target, struct plan_operand a)
{
    struct plan_stmt *s = emit(p, PLAN_ASSIGN);

    s->a      = a;
    s->target = target;
    return s;
}

/* All children are rules: the one of this name is looked up when it runs. */
static struct plan_block *call_by_name(struct planner *p, struct rule_node *n, struct plan_operand key, uint32_t target)
{
    const struct rule_node *way[REF_PARTS_MAX * 2 + 2];
    uint32_t                depth = 0;
    struct plan_block      *b     = plan_block_new(p->plan);

    for (struct rule_node *child = n->first_child; child; child = child->next_sibling)
        if (!is_function_node(child))
            (void) function_of(p, child, p->world); /* must exist when the lookup happens */
    p->curr             = b;
    struct plan_stmt *s = emit(p, PLAN_CALL_DYNAMIC);
    s->n_path           = n->depth + 2;
    s->n_args           = 2;
    s->path             = plan_operands(p->plan, s->n_path);
    s->args             = plan_operands(p->plan, 2);
    s->target           = target;
    if (!s->path || !s->args)
        front_leave(p->f, "memory");
    s->args[0] = p->input;
    s->args[1] = p->data;
    s->path[0] = string_constant(p, name_text(p->f, front_printf(p->f, "g%u", p->world->index)));
    for (const struct rule_node *at = n; at->parent && depth < sizeof way / sizeof way[0]; at = at->parent)
        way[depth++] = at;
    for (uint32_t i = 1; depth > 0; i++)
        s->path[i] = constant_of(p, way[--depth]->key);
    s->path[s->n_path - 1] = key;
    emit_break(p, 1);
    return b;
}

/* One block for each child: if its key is the one asked for, its whole document. */
static struct plan_block *choose_child(struct planner *p, struct rule_node *n, struct plan_operand key, uint32_t target,
                                       struct plan_block **last)
{
    struct plan_block *first = NULL;

    for (struct rule_node *child = n->first_child; child; child = child->next_sibling) {
        struct plan_block *b = plan_block_new(p->plan);

        if (is_hidden(p->world, child) || is_function_node(child))
            continue;
        p->curr             = b;
        struct plan_stmt *s = emit(p, PLAN_EQUAL);
        s->a                = key;
        s->b                = constant_of(p, child->key);
        emit_assign(p, target, owns_rules(child) ? emit_call(p, function_of(p, child, p->world))
                                                 : plan_extent(p, child, NULL, 0));
        emit_break(p, 1);
        if (first)
            (*last)->next = b;
        else
            first = b;
        *last = b;
    }
    return first;
}

/* data.pkg[x] with a known x: a rule, else base data. */
static struct plan_operand plan_known_child(struct planner *p, struct rule_node *n, const struct term *part)
{
    struct plan_operand key    = plan_term(p, part);
    struct plan_block  *outer  = p->curr;
    struct plan_block  *blocks = plan_block_new(p->plan);
    struct plan_block  *last   = blocks;
    uint32_t            target = new_local(p);

    emit(p, PLAN_RESET)->target = target;
    if (n->first_child && children_are_rules(p, n)) {
        blocks->next = call_by_name(p, n, key, target);
        last         = blocks->next;
    } else {
        blocks->next = choose_child(p, n, key, target, &last);
    }
    last->next = plan_block_new(p->plan);
    p->curr    = last->next;
    emit_assign(p, target, emit_dot(p, plan_base(p, n), key, true));
    p->curr = plan_block_new(p->plan);
    struct plan_block *wrap = p->curr;
    emit_blocks(p, PLAN_BLOCK, blocks);
    p->curr = outer;
    emit_blocks(p, PLAN_BLOCK, wrap);
    emit(p, PLAN_IS_DEFINED)->a = plan_local(target);
    return plan_local(target);
}

static struct plan_operand plan_data_ref(struct planner *p, const struct term *ref)
{
    struct rule_node *n = p->c->root;

    if (is_hidden(p->world, n))
        return plan_operand_ref(p, p->data, ref, 1, true);
    for (uint32_t i = 1; i < ref->items.n; i++) {
        const struct term *part = ref->items.at[i];

        if (term_is_scalar(part)) {
            n = node_child(p->c, n, part);
            if (!n || is_hidden(p->world, n))
                return plan_operand_ref(p, p->data, ref, 1, true);
            if (owns_rules(n) && is_function_node(n))
                return plan_operand_ref(p, p->data, ref, 1, true); /* a function is no document */
            if (owns_rules(n))
                return plan_operand_ref(p, emit_call(p, function_of(p, n, p->world)), ref, i + 1, false);
        } else if (has_unseen(p, part)) {
            return plan_operand_ref(p, open_scan(p, plan_extent(p, n, ref, i), part), ref, i + 1, true);
        } else {
            return plan_operand_ref(p, plan_known_child(p, n, part), ref, i + 1, true);
        }
    }
    return n->parent ? plan_extent(p, n, NULL, 0) : plan_whole_data(p);
}

struct plan_operand plan_ref(struct planner *p, const struct term *ref)
{
    struct term *head = ref->items.at[0];

    if (ref_is_root(ref, "data"))
        return plan_data_ref(p, ref);
    struct plan_operand source = plan_term(p, head);
    if (ref->items.n == 1)
        emit(p, PLAN_IS_DEFINED)->a = source;
    return plan_operand_ref(p, source, ref, 1, false);
}
