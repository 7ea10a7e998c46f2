#include "policy/rego/compile.h"

struct var_walk var_walk_of(struct front *f, unsigned flags)
{
    return (struct var_walk){ .f = f, .flags = flags, .stamp = front_stamp(f) };
}

static void found(struct var_walk *w, struct name *n)
{
    if (n->stamp == w->stamp)
        return;
    n->stamp = w->stamp;
    LIST_ADD(w->f, &w->found, n);
}

static void vars_of_list(struct var_walk *w, const struct term_list *l, uint32_t from)
{
    for (uint32_t i = from; i < l->n; i++)
        vars_of_term(w, l->at[i]);
}

static void vars_of_operator(struct var_walk *w, const struct term *operator)
{
    if (!(w->flags & VARS_SKIP_OPERATOR))
        vars_of_term(w, operator);
}

static void vars_of_ref(struct var_walk *w, const struct term *t)
{
    if (!(w->flags & VARS_SKIP_REF_HEAD))
        vars_of_term(w, t->items.at[0]);
    vars_of_list(w, &t->items, 1);
}

void vars_of_term(struct var_walk *w, const struct term *t)
{
    front_step(w->f, 1);
    if (t->kind == TERM_VAR) {
        found(w, t->text);
    } else if (t->kind == TERM_REF) {
        vars_of_ref(w, t);
    } else if (t->kind == TERM_CALL) {
        vars_of_operator(w, t->items.at[0]);
        vars_of_list(w, &t->items, 1);
    } else if (t->kind == TERM_ARRAY || (t->kind == TERM_SET && !(w->flags & VARS_SKIP_SETS))) {
        vars_of_list(w, &t->items, 0);
    } else if (t->kind == TERM_OBJECT) {
        for (uint32_t i = 0; i < t->items.n; i++)
            if (i % 2 == 1 || !(w->flags & VARS_SKIP_OBJECT_KEYS))
                vars_of_term(w, t->items.at[i]);
    } else if (term_is_comprehension(t) && !(w->flags & VARS_SKIP_CLOSURES)) {
        if (t->compr->key)
            vars_of_term(w, t->compr->key);
        vars_of_term(w, t->compr->value);
        vars_of_body(w, &t->compr->body);
    } else if (t->kind == TERM_TEMPLATE && !(w->flags & VARS_SKIP_CLOSURES)) {
        vars_of_body(w, &t->parts);
    }
}

void vars_of_expr(struct var_walk *w, const struct expr *e)
{
    if (e->kind == EXPR_TERM) {
        vars_of_term(w, e->term);
    } else if (e->kind == EXPR_CALL) {
        vars_of_operator(w, e->terms.at[0]);
        vars_of_list(w, &e->terms, 1);
    } else if (e->kind == EXPR_SOME) {
        vars_of_list(w, &e->terms, 0);
    } else {
        vars_of_term(w, e->every->domain);
        if (!(w->flags & VARS_SKIP_CLOSURES)) {
            if (e->every->key)
                vars_of_term(w, e->every->key);
            vars_of_term(w, e->every->value);
            vars_of_body(w, &e->every->body);
        }
    }
    for (uint32_t i = 0; i < e->with.n; i++)
        if (!e->with.at[i].names_function)
            vars_of_term(w, e->with.at[i].value);
}

void vars_of_body(struct var_walk *w, const body *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        vars_of_expr(w, b->at[i]);
}

bool needs_eval(const struct term *t)
{
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_comprehension(t) || t->kind == TERM_TEMPLATE)
        return true;
    if (!term_is_collection(t))
        return false;
    for (uint32_t i = 0; i < t->items.n; i++)
        if (needs_eval(t->items.at[i]))
            return true;
    return false;
}

void each_rule(struct compiler *c, void (*visit)(struct compiler *c, struct rule *r))
{
    for (uint32_t i = 0; i < c->modules.n; i++)
        for (uint32_t j = 0; j < c->modules.at[i]->rules.n; j++)
            for (struct rule *r = c->modules.at[i]->rules.at[j]; r; r = r->otherwise)
                visit(c, r);
}
