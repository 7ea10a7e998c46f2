#include "policy/rego/compile.h"

/*
 * Evaluation order made explicit. Calls nested in an expression move in front of it and leave a generated
 * variable: also out of a negated expression, which is why `not f(input.missing)` is undefined, as in OPA.
 * Later, references and comprehensions that are operands move out the same way.
 */
static struct term *hoist_term(struct compiler *c, struct term *t, body *to);

static struct expr *generated_eq(struct compiler *c, struct term *t, struct term **var)
{
    struct term *x = term_var(c->f, name_generated(c->f), t->at);
    struct expr *e = expr_call(c->f, "eq", x, t, t->at);

    e->generated = true;
    *var         = term_copy(c->f, x);
    return e;
}

static void hoist_list(struct compiler *c, struct term_list *l, uint32_t from, body *to)
{
    for (uint32_t i = from; i < l->n; i++)
        l->at[i] = hoist_term(c, l->at[i], to);
}

static struct term *hoist_call(struct compiler *c, struct term *t, body *to)
{
    struct expr *e = expr_new(c->f, EXPR_CALL, t->at);
    struct term *x = term_var(c->f, name_generated(c->f), t->at);

    hoist_list(c, &t->items, 1, to);
    e->terms     = t->items;
    e->generated = true;
    LIST_ADD(c->f, &e->terms, x);
    LIST_ADD(c->f, to, e);
    return term_copy(c->f, x);
}

static struct term *hoist_ref(struct compiler *c, struct term *t, body *to)
{
    struct term *head = t->items.at[0];

    hoist_list(c, &t->items, 0, to);
    head = t->items.at[0];
    if (term_is_collection(head) || term_is_comprehension(head))
        LIST_ADD(c->f, to, generated_eq(c, head, &t->items.at[0]));
    return t;
}

static void hoist_comprehension(struct compiler *c, struct comprehension *compr)
{
    body more = { 0 };

    if (compr->key)
        compr->key = hoist_term(c, compr->key, &more);
    compr->value = hoist_term(c, compr->value, &more);
    hoist_calls_of_body(c, &compr->body);
    hoist_calls_of_body(c, &more);
    for (uint32_t i = 0; i < more.n; i++)
        LIST_ADD(c->f, &compr->body, more.at[i]);
}

static struct term *hoist_term(struct compiler *c, struct term *t, body *to)
{
    front_step(c->f, 1);
    if (t->kind == TERM_CALL)
        return hoist_call(c, t, to);
    if (t->kind == TERM_REF)
        return hoist_ref(c, t, to);
    if (term_is_collection(t))
        hoist_list(c, &t->items, 0, to);
    else if (term_is_comprehension(t))
        hoist_comprehension(c, t->compr);
    return t;
}

/* What was hoisted out of an expression sees the same replaced documents and functions. */
static void give_with(struct compiler *c, body *to, uint32_t from, const struct expr *e)
{
    for (uint32_t i = from; i < to->n && e->with.n > 0; i++) {
        struct expr copy = { .with = e->with };

        to->at[i]->with = expr_copy(c->f, &copy)->with;
    }
}

static void hoist_expr(struct compiler *c, struct expr *e, body *to)
{
    for (uint32_t i = 0; i < e->with.n; i++)
        e->with.at[i].value = hoist_term(c, e->with.at[i].value, to);

    uint32_t from = to->n;
    if (e->kind == EXPR_TERM) {
        e->term = hoist_term(c, e->term, to);
    } else if (e->kind == EXPR_CALL) {
        hoist_list(c, &e->terms, 1, to);
    } else if (e->kind == EXPR_EVERY) {
        struct term *domain = hoist_term(c, e->every->domain, to);

        if (domain->kind != TERM_VAR)
            LIST_ADD(c->f, to, generated_eq(c, domain, &domain));
        e->every->domain = domain;
        hoist_calls_of_body(c, &e->every->body);
    }
    give_with(c, to, from, e);
    LIST_ADD(c->f, to, e);
}

void hoist_calls_of_body(struct compiler *c, body *b)
{
    body out = { 0 };

    for (uint32_t i = 0; i < b->n; i++)
        hoist_expr(c, b->at[i], &out);
    *b = out;
}

static void hoist_calls_of_rule(struct compiler *c, struct rule *r)
{
    body more = { 0 };

    hoist_calls_of_body(c, &r->body);
    hoist_list(c, &r->head.args, 0, &more);
    hoist_list(c, &r->head.ref->items, 1, &more);
    if (r->head.key)
        r->head.key = hoist_term(c, r->head.key, &more);
    if (r->head.value)
        r->head.value = hoist_term(c, r->head.value, &more);
    for (uint32_t i = 0; i < more.n; i++)
        LIST_ADD(c->f, &r->body, more.at[i]);
}

void pass_hoist_calls(struct compiler *c)
{
    each_rule(c, hoist_calls_of_rule);
}

/* ---- heads hold only variables and constants afterwards ---- */

static struct term *head_to_var(struct compiler *c, struct term *t, body *to)
{
    if (!t || !needs_eval(t))
        return t;
    LIST_ADD(c->f, to, generated_eq(c, t, &t));
    return t;
}

static void heads_in_term(struct compiler *c, struct term *t)
{
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t)) {
        for (uint32_t i = 0; i < t->items.n; i++)
            heads_in_term(c, t->items.at[i]);
    } else if (term_is_comprehension(t)) {
        t->compr->key   = head_to_var(c, t->compr->key, &t->compr->body);
        t->compr->value = head_to_var(c, t->compr->value, &t->compr->body);
        hoist_heads_of_body(c, &t->compr->body);
    }
}

void hoist_heads_of_body(struct compiler *c, body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct expr *e = b->at[i];

        if (e->term)
            heads_in_term(c, e->term);
        for (uint32_t j = 0; j < e->terms.n; j++)
            heads_in_term(c, e->terms.at[j]);
        for (uint32_t j = 0; j < e->with.n; j++)
            heads_in_term(c, e->with.at[j].value);
        if (e->every) {
            heads_in_term(c, e->every->domain);
            hoist_heads_of_body(c, &e->every->body);
        }
    }
}

static void hoist_heads_of_rule(struct compiler *c, struct rule *r)
{
    r->head.key   = head_to_var(c, r->head.key, &r->body);
    r->head.value = head_to_var(c, r->head.value, &r->body);
    for (uint32_t i = 0; i < r->head.args.n; i++)
        r->head.args.at[i] = head_to_var(c, r->head.args.at[i], &r->body);
    for (uint32_t i = 1; i < r->head.ref->items.n; i++)
        r->head.ref->items.at[i] = head_to_var(c, r->head.ref->items.at[i], &r->body);
    hoist_heads_of_body(c, &r->body);
}

void pass_hoist_heads(struct compiler *c)
{
    each_rule(c, hoist_heads_of_rule);
}

/* ---- after safety: operands become variables, and == becomes = ---- */

static struct term *refs_out(struct compiler *c, struct term *t, const struct expr *of, body *to);

static void refs_out_of_list(struct compiler *c, struct term_list *l, uint32_t from, const struct expr *of, body *to)
{
    for (uint32_t i = from; i < l->n; i++)
        l->at[i] = refs_out(c, l->at[i], of, to);
}

static void refs_in_comprehension(struct compiler *c, struct term *t)
{
    hoist_refs_of_body(c, &t->compr->body);
}

static struct term *refs_out(struct compiler *c, struct term *t, const struct expr *of, body *to)
{
    uint32_t from = to->n;

    front_step(c->f, 1);
    if (t->kind == TERM_REF) {
        refs_out_of_list(c, &t->items, 1, of, to);
    } else if (term_is_comprehension(t)) {
        refs_in_comprehension(c, t);
    } else {
        if (term_is_collection(t))
            refs_out_of_list(c, &t->items, 0, of, to);
        return t;
    }
    LIST_ADD(c->f, to, generated_eq(c, t, &t));
    give_with(c, to, from, of);
    return t;
}

/* A term that may stay a reference or comprehension itself: only what is inside moves out. */
static struct term *refs_inside(struct compiler *c, struct term *t, const struct expr *of, body *to)
{
    if (t->kind == TERM_REF)
        refs_out_of_list(c, &t->items, 1, of, to);
    else if (term_is_comprehension(t))
        refs_in_comprehension(c, t);
    else
        t = refs_out(c, t, of, to);
    return t;
}

void hoist_refs_of_body(struct compiler *c, body *b)
{
    body out = { 0 };

    for (uint32_t i = 0; i < b->n; i++) {
        struct expr *e = b->at[i];

        if (expr_is_call_of(e, "eq") && e->terms.n == 3) {
            e->terms.at[1] = refs_inside(c, e->terms.at[1], e, &out);
            e->terms.at[2] = refs_inside(c, e->terms.at[2], e, &out);
        } else if (e->kind == EXPR_CALL) {
            refs_out_of_list(c, &e->terms, 1, e, &out);
            if (expr_is_call_of(e, "equal") && e->terms.n == 3)
                e->terms.at[0] = term_operator(c->f, "eq", e->at);
        } else if (e->kind == EXPR_TERM) {
            e->term = refs_inside(c, e->term, e, &out);
        } else if (e->kind == EXPR_EVERY) {
            e->every->domain = refs_out(c, e->every->domain, e, &out);
            hoist_refs_of_body(c, &e->every->body);
        }
        LIST_ADD(c->f, &out, e);
    }
    *b = out;
}

static void hoist_refs_of_rule(struct compiler *c, struct rule *r)
{
    hoist_refs_of_body(c, &r->body);
}

void pass_hoist_refs(struct compiler *c)
{
    each_rule(c, hoist_refs_of_rule);
}
