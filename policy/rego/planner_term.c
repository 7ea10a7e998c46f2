#include "policy/rego/planner_state.h"

/* ---- values ---- */

static struct plan_operand plan_var(struct planner *p, struct name *n)
{
    struct plan_operand operand;

    if (name_is(n, "input"))
        return p->input;
    if (name_is(n, "data"))
        return p->data;
    if (bound_operand(p, n, &operand))
        return operand;
    operand = plan_local(new_local(p)); /* only behind a Break: never has a value */
    emit(p, PLAN_RESET)->target = operand.index;
    name_bind(p, n, operand);
    return operand;
}

static struct plan_operand plan_collection(struct planner *p, const struct term *t)
{
    enum plan_op        make    = t->kind == TERM_ARRAY ? PLAN_MAKE_ARRAY : t->kind == TERM_SET ? PLAN_MAKE_SET : PLAN_MAKE_OBJECT;
    enum plan_op        add     = t->kind == TERM_ARRAY ? PLAN_ARRAY_APPEND : t->kind == TERM_SET ? PLAN_SET_ADD : PLAN_OBJECT_INSERT;
    uint32_t            target  = new_local(p);
    uint32_t            n       = t->items.n;
    struct plan_operand *values = front_take(p->f, (n + 1) * sizeof *values);

    for (uint32_t i = 0; i < n; i++)
        values[i] = plan_term(p, t->items.at[i]);
    emit(p, make)->target = target;
    for (uint32_t i = 0; i < n; i++) {
        struct plan_stmt *s = emit(p, add);

        s->target = target;
        s->a      = values[i];
        if (t->kind == TERM_OBJECT)
            s->b = values[++i];
    }
    return plan_local(target);
}

static struct plan_operand plan_comprehension(struct planner *p, const struct term *t)
{
    bool                is_array = t->kind == TERM_ARRAY_COMPREHENSION;
    bool                is_set   = t->kind == TERM_SET_COMPREHENSION;
    uint32_t            target   = new_local(p);
    uint32_t            mark     = p->bound.n;
    struct plan_place   place    = p->place;
    struct plan_block  *outer    = p->curr;
    struct plan_block  *inner    = plan_block_new(p->plan);
    struct plan_operand key      = { 0 };

    emit(p, is_array ? PLAN_MAKE_ARRAY : is_set ? PLAN_MAKE_SET : PLAN_MAKE_OBJECT)->target = target;
    p->curr = inner;
    plan_body(p, &t->compr->body);
    if (t->compr->key)
        key = plan_term(p, t->compr->key);
    struct plan_operand value = plan_term(p, t->compr->value);
    struct plan_stmt   *s     = emit(p, is_array ? PLAN_ARRAY_APPEND : is_set ? PLAN_SET_ADD : PLAN_OBJECT_INSERT_ONCE);
    s->target                 = target;
    s->a                      = t->compr->key ? key : value;
    s->b                      = value;
    unbind(p, mark);
    p->curr  = outer;
    p->place = place;
    emit_blocks(p, PLAN_BLOCK, inner);
    return plan_local(target);
}

struct plan_operand plan_term(struct planner *p, const struct term *t)
{
    if (term_is_constant(t))
        return constant_of(p, t);
    if (t->kind == TERM_VAR)
        return plan_var(p, t->text);
    if (t->kind == TERM_REF)
        return plan_ref(p, t);
    if (term_is_comprehension(t))
        return plan_comprehension(p, t);
    if (term_is_collection(t))
        return plan_collection(p, t);
    front_leave(p->f, "call or template left in a term"); /* the passes have moved them out */
}

/* ---- unification: each variable is known here to be bound already, or to get its value now ---- */

static void emit_equal(struct planner *p, struct plan_operand a, struct plan_operand b)
{
    struct plan_stmt *s = emit(p, PLAN_EQUAL);

    s->a = a;
    s->b = b;
}

static void unify_var(struct planner *p, struct name *n, const struct term *b)
{
    struct plan_operand known;

    if (bound_operand(p, n, &known) || name_is(n, "input") || name_is(n, "data")) {
        plan_unify_operand(p, plan_var(p, n), b);
        return;
    }
    struct plan_operand value = plan_term(p, b);
    if (bound_operand(p, n, &known)) /* as in x = input.y[x] */
        emit_equal(p, known, value);
    else
        name_bind(p, n, value);
}

static void check_length(struct planner *p, struct plan_operand a, uint32_t n)
{
    struct plan_stmt *s = emit(p, PLAN_LEN);

    s->a      = a;
    s->target = new_local(p);
    emit_equal(p, plan_local(s->target), value_constant(p, value_int(n)));
}

static struct plan_operand emit_dot(struct planner *p, struct plan_operand source, struct plan_operand key)
{
    struct plan_stmt *s = emit(p, PLAN_DOT);

    s->a      = source;
    s->b      = key;
    s->target = new_local(p);
    return plan_local(s->target);
}

static void unify_operand_array(struct planner *p, struct plan_operand a, const struct term *b)
{
    emit(p, PLAN_IS_ARRAY)->a = a;
    check_length(p, a, b->items.n);
    for (uint32_t i = 0; i < b->items.n; i++)
        plan_unify_operand(p, emit_dot(p, a, value_constant(p, value_int(i))), b->items.at[i]);
}

static void unify_operand_object(struct planner *p, struct plan_operand a, const struct term *b)
{
    emit(p, PLAN_IS_OBJECT)->a = a;
    check_length(p, a, b->items.n / 2);
    for (uint32_t i = 0; i + 1 < b->items.n; i += 2) {
        struct plan_operand key = plan_term(p, b->items.at[i]);

        plan_unify_operand(p, emit_dot(p, a, key), b->items.at[i + 1]);
    }
}

void plan_unify_operand(struct planner *p, struct plan_operand a, const struct term *b)
{
    struct plan_operand known;

    if (b->kind == TERM_VAR && !bound_operand(p, b->text, &known) && !name_is(b->text, "input") && !name_is(b->text, "data"))
        name_bind(p, b->text, a);
    else if (b->kind == TERM_ARRAY && !term_is_constant(b))
        unify_operand_array(p, a, b);
    else if (b->kind == TERM_OBJECT && !term_is_constant(b))
        unify_operand_object(p, a, b);
    else
        emit_equal(p, a, plan_term(p, b));
}

static const struct term *member_of(const struct term *object, const struct term *key)
{
    for (uint32_t i = 0; i + 1 < object->items.n; i += 2)
        if (term_equal(object->items.at[i], key))
            return object->items.at[i + 1];
    return NULL;
}

static bool keys_match(struct planner *p, const struct term *a, const struct term *b)
{
    for (uint32_t i = 0; i + 1 < a->items.n; i += 2) {
        front_step(p->f, b->items.n);
        if (!member_of(b, a->items.at[i]))
            return false;
    }
    return a->items.n == b->items.n;
}

static void unify_objects(struct planner *p, const struct term *a, const struct term *b)
{
    if (keys_match(p, a, b)) {
        for (uint32_t i = 0; i + 1 < a->items.n; i += 2)
            plan_unify(p, a->items.at[i + 1], member_of(b, a->items.at[i]));
    } else if (a->items.n != b->items.n) {
        emit_break(p, 0);
    } else if (!has_unseen(p, b)) {
        plan_unify_operand(p, plan_term(p, b), a);
    } else {
        plan_unify_operand(p, plan_term(p, a), b);
    }
}

void plan_unify(struct planner *p, const struct term *a, const struct term *b)
{
    bool a_pattern = a->kind == TERM_ARRAY || a->kind == TERM_OBJECT;

    if (a->kind == TERM_VAR) {
        unify_var(p, a->text, b);
    } else if (b->kind == TERM_VAR) {
        unify_var(p, b->text, a);
    } else if (a->kind == TERM_ARRAY && b->kind == TERM_ARRAY) {
        if (a->items.n != b->items.n)
            emit_break(p, 0);
        for (uint32_t i = 0; a->items.n == b->items.n && i < a->items.n; i++)
            plan_unify(p, a->items.at[i], b->items.at[i]);
    } else if (a->kind == TERM_OBJECT && b->kind == TERM_OBJECT) {
        unify_objects(p, a, b);
    } else if (a_pattern) {
        plan_unify_operand(p, plan_term(p, b), a);
    } else {
        plan_unify_operand(p, plan_term(p, a), b);
    }
}
