#include "policy/rego/builtin_names.h"
#include "policy/rego/compile.h"

/* A reference by which a function value is named; it is not evaluated. */
static bool names_a_function(const struct compiler *c, const struct term *t)
{
    if (t->kind != TERM_REF || !ref_is_ground(t))
        return false;
    struct callee callee = callee_of(c, t);
    return callee.kind == CALLEE_BUILTIN || callee.kind == CALLEE_HOST || (callee.kind == CALLEE_RULE && callee.arity > 0);
}

/* `count` alone is read as a variable: when it names a built-in, it is one. */
static void var_to_builtin(const struct compiler *c, struct term **at)
{
    struct term *t = *at;

    if (t->kind != TERM_VAR || name_is_generated(t->text))
        return;
    struct term *ref = term_new(c->f, TERM_REF, t->at);
    LIST_ADD(c->f, &ref->items, t);
    if (callee_of(c, ref).kind >= CALLEE_BUILTIN)
        *at = ref;
}

static bool data_target_fits(struct compiler *c, const struct term *target)
{
    for (uint32_t n = 1; n < target->items.n; n++) {
        const struct rule_node *node = node_at(c, target, n);

        if (!node)
            return true;
        if (node->rules.n > 0)
            return front_error(c->f, target->at, COMPILE_ERROR, "with keyword cannot partially replace virtual document(s)");
    }
    return true;
}

static bool builtin_target_fits(struct compiler *c, const struct term *target, struct callee callee)
{
    const char *why = callee.flags & BUILTIN_RELATION ? "target must not be a relation"
                      : callee.flags & BUILTIN_VOID   ? "target must not be a void function"
                      : term_is_var(target->items.at[0], "internal")
                          ? "replacement of internal function is invalid"
                      : term_is_var(target->items.at[0], "rego") ? "replacement of built-in function in `rego` is invalid"
                                                                 : NULL;

    if (!why)
        return true;
    return front_error(c->f, target->at, COMPILE_ERROR, "with keyword replacing built-in function: %s", why);
}

static bool function_value_fits(struct compiler *c, const struct term *target, uint32_t arity, const struct term *value)
{
    struct callee callee = names_a_function(c, value) ? callee_of(c, value) : (struct callee){ .arity = arity };

    if (callee.arity == arity || callee.flags & BUILTIN_VARIADIC)
        return true;
    return front_error(c->f, target->at, TYPE_ERROR, "%s: arity mismatch", term_text(c->f, target));
}

static bool target_fits(struct compiler *c, struct with *w)
{
    struct term *target = w->target;

    if (target->kind == TERM_REF && !ref_is_ground(target))
        return front_error(c->f, target->at, TYPE_ERROR, "with keyword target must be ground");
    struct callee callee = target->kind == TERM_REF ? callee_of(c, target) : (struct callee){ 0 };
    bool          is_function = callee.kind >= CALLEE_BUILTIN || (callee.kind == CALLEE_RULE && callee.arity > 0);

    if (is_function && !function_value_fits(c, target, callee.arity, w->value))
        return false;
    if (callee.kind >= CALLEE_BUILTIN)
        return builtin_target_fits(c, target, callee);
    if (target->kind == TERM_REF && ref_is_root(target, "data"))
        return data_target_fits(c, target);
    if (target->kind == TERM_REF && ref_is_root(target, "input"))
        return true;
    return front_error(c->f, target->at, TYPE_ERROR, "with keyword target must reference existing input, data, or a function");
}

static void with_of_term(struct compiler *c, struct term *t)
{
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t)) {
        for (uint32_t i = 0; i < t->items.n; i++)
            with_of_term(c, t->items.at[i]);
    } else if (term_is_comprehension(t)) {
        if (t->compr->key)
            with_of_term(c, t->compr->key);
        with_of_term(c, t->compr->value);
        with_of_body(c, &t->compr->body);
    }
}

static bool with_of_expr(struct compiler *c, struct expr *e)
{
    for (uint32_t i = 0; i < e->with.n; i++) {
        var_to_builtin(c, &e->with.at[i].target);
        var_to_builtin(c, &e->with.at[i].value);
        if (!target_fits(c, &e->with.at[i]))
            return false;
        e->with.at[i].names_function = names_a_function(c, e->with.at[i].value);
        with_of_term(c, e->with.at[i].value);
    }
    return true;
}

/* Checks targets, and evaluates values in front of the expression unless they name a function. */
void with_of_body(struct compiler *c, body *b)
{
    body out = { 0 };

    for (uint32_t i = 0; i < b->n; i++) {
        struct expr *e = b->at[i];

        if (e->term)
            with_of_term(c, e->term);
        for (uint32_t j = 0; j < e->terms.n; j++)
            with_of_term(c, e->terms.at[j]);
        if (e->every) {
            with_of_term(c, e->every->domain);
            with_of_body(c, &e->every->body);
        }
        if (!with_of_expr(c, e))
            return;
        for (uint32_t j = 0; j < e->with.n; j++) {
            struct term **value = &e->with.at[j].value;

            if (!needs_eval(*value) || e->with.at[j].names_function)
                continue;
            struct term *x  = term_var(c->f, name_generated(c->f), (*value)->at);
            struct expr *eq = expr_call(c->f, "eq", x, *value, (*value)->at);
            eq->generated   = true;
            *value          = term_copy(c->f, x);
            LIST_ADD(c->f, &out, eq);
        }
        LIST_ADD(c->f, &out, e);
    }
    *b = out;
}

static void with_of_rule(struct compiler *c, struct rule *r)
{
    with_of_body(c, &r->body);
}

void pass_with(struct compiler *c)
{
    each_rule(c, with_of_rule);
}
