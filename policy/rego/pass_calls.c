#include "policy/rego/builtin_names.h"
#include "policy/rego/builtins.h"
#include "policy/rego/safety.h"

#include <string.h>

/* ---- template strings: a call of internal.template_string over an array of literals and sets ---- */

static void templates_of_term(struct compiler *c, struct term *t);

/* {x | x = part}: empty when the part is undefined. */
static struct term *captured(struct compiler *c, struct expr *part)
{
    struct term *x   = term_var(c->f, name_generated(c->f), part->at);
    struct term *set = term_new(c->f, TERM_SET_COMPREHENSION, part->at);

    if (part->kind == EXPR_CALL) {
        LIST_ADD(c->f, &part->terms, x);
    } else {
        struct with_list with = part->with;

        part       = expr_call(c->f, "eq", x, part->term, part->at);
        part->with = with;
    }
    part->generated   = true;
    set->compr        = front_take(c->f, sizeof *set->compr);
    set->compr->value = term_copy(c->f, x);
    LIST_ADD(c->f, &set->compr->body, part);
    return set;
}

static void template_to_call(struct compiler *c, struct term *t)
{
    struct term     *array = term_new(c->f, TERM_ARRAY, t->at);
    struct expr_list parts = t->parts;

    for (uint32_t i = 0; i < parts.n; i++) {
        struct expr *part    = parts.at[i];
        bool         literal = part->kind == EXPR_TERM && term_is_scalar(part->term) && part->with.n == 0;

        templates_of_body(c, &(body){ .at = &part, .n = 1 });
        LIST_ADD(c->f, &array->items, literal ? part->term : captured(c, part));
    }
    t->kind  = TERM_CALL;
    t->items = (struct term_list){ 0 };
    LIST_ADD(c->f, &t->items, term_operator(c->f, "internal.template_string", t->at));
    LIST_ADD(c->f, &t->items, array);
}

static void templates_of_list(struct compiler *c, struct term_list *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        templates_of_term(c, l->at[i]);
}

static void templates_of_term(struct compiler *c, struct term *t)
{
    if (t->kind == TERM_TEMPLATE) {
        template_to_call(c, t);
    } else if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t)) {
        templates_of_list(c, &t->items);
    } else if (term_is_comprehension(t)) {
        if (t->compr->key)
            templates_of_term(c, t->compr->key);
        templates_of_term(c, t->compr->value);
        templates_of_body(c, &t->compr->body);
    }
}

void templates_of_body(struct compiler *c, body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct expr *e = b->at[i];

        if (e->term)
            templates_of_term(c, e->term);
        templates_of_list(c, &e->terms);
        if (e->every) {
            templates_of_term(c, e->every->domain);
            templates_of_body(c, &e->every->body);
        }
        for (uint32_t j = 0; j < e->with.n; j++)
            templates_of_term(c, e->with.at[j].value);
    }
}

static void templates_of_rule(struct compiler *c, struct rule *r)
{
    templates_of_list(c, &r->head.args);
    templates_of_list(c, &r->head.ref->items);
    if (r->head.key)
        templates_of_term(c, r->head.key);
    if (r->head.value)
        templates_of_term(c, r->head.value);
    templates_of_body(c, &r->body);
}

void pass_templates(struct compiler *c)
{
    each_rule(c, templates_of_rule);
}

/* ---- print: arguments that are undefined print as such, so each goes into a set; or the call goes ---- */

static void print_of_scope(struct compiler *c, body *b, struct name_list *safe);

static void print_in_term(struct compiler *c, struct term *t, struct name_list *safe)
{
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t)) {
        for (uint32_t i = 0; i < t->items.n; i++)
            print_in_term(c, t->items.at[i], safe);
    } else if (term_is_comprehension(t)) {
        uint32_t before = safe->n;

        print_of_scope(c, &t->compr->body, safe);
        unmark_safe(safe, before);
    }
}

static void print_in_expr(struct compiler *c, struct expr *e, struct name_list *safe)
{
    if (e->term)
        print_in_term(c, e->term, safe);
    for (uint32_t i = 0; i < e->terms.n; i++)
        print_in_term(c, e->terms.at[i], safe);
    for (uint32_t i = 0; i < e->with.n; i++)
        print_in_term(c, e->with.at[i].value, safe);
    if (e->every) {
        uint32_t before = safe->n;

        print_in_term(c, e->every->domain, safe);
        mark_safe(c->f, safe, e->every->key->text);
        mark_safe(c->f, safe, e->every->value->text);
        print_of_scope(c, &e->every->body, safe);
        unmark_safe(safe, before);
    }
}

static void check_print(struct compiler *c, const struct expr *e)
{
    for (uint32_t i = 1; i < e->terms.n; i++) {
        struct var_walk w = var_walk_of(c->f, VARS_FOR_SAFETY);

        vars_of_term(&w, e->terms.at[i]);
        for (uint32_t j = 0; j < w.found.n; j++) {
            const struct name *n = w.found.at[j];

            if (!n->safe && !(name_is_generated(n) && !n->original) && !name_is(n, "input") && !name_is(n, "data"))
                (void) front_error(c->f, e->terms.at[i]->at, COMPILE_ERROR, "var %s is undeclared",
                                   n->original ? n->original->text : n->text);
        }
    }
}

static void print_to_internal(struct compiler *c, struct expr *e)
{
    struct term *array = term_new(c->f, TERM_ARRAY, e->at);

    for (uint32_t i = 1; i < e->terms.n; i++)
        LIST_ADD(c->f, &array->items, captured(c, expr_of_term(c->f, e->terms.at[i])));
    e->terms = (struct term_list){ 0 };
    LIST_ADD(c->f, &e->terms, term_operator(c->f, "internal.print", e->at));
    LIST_ADD(c->f, &e->terms, array);
}

static void print_of_scope(struct compiler *c, body *b, struct name_list *safe)
{
    body kept = { 0 };

    for (uint32_t i = 0; i < b->n; i++) {
        struct expr     *e       = b->at[i];
        struct name_list outputs = { 0 };

        print_in_expr(c, e, safe);
        if (expr_is_call_of(e, "print")) {
            check_print(c, e);
            if (!c->options.print)
                continue;
            print_to_internal(c, e);
        } else {
            outputs_of_expr(c, e, &outputs);
            for (uint32_t j = 0; j < outputs.n; j++)
                mark_safe(c->f, safe, outputs.at[j]);
        }
        LIST_ADD(c->f, &kept, e);
    }
    if (kept.n == 0 && b->n > 0)
        LIST_ADD(c->f, &kept, expr_of_term(c->f, term_bool(c->f, true, b->at[0]->at)));
    *b = kept;
}

void print_of_body(struct compiler *c, body *b)
{
    struct name_list safe = { 0 };

    mark_safe(c->f, &safe, name_text(c->f, "input"));
    mark_safe(c->f, &safe, name_text(c->f, "data"));
    print_of_scope(c, b, &safe);
    unmark_safe(&safe, 0);
}

static void print_of_rule(struct compiler *c, struct rule *r)
{
    struct name_list safe = { 0 };
    struct var_walk  args = var_walk_of(c->f, VARS_FOR_SAFETY);

    mark_safe(c->f, &safe, name_text(c->f, "input"));
    mark_safe(c->f, &safe, name_text(c->f, "data"));
    for (uint32_t i = 0; i < r->head.args.n; i++)
        vars_of_term(&args, r->head.args.at[i]);
    for (uint32_t i = 0; i < args.found.n; i++)
        mark_safe(c->f, &safe, args.found.at[i]);
    print_of_scope(c, &r->body, &safe);
    if (r->head.key)
        print_in_term(c, r->head.key, &safe);
    if (r->head.value)
        print_in_term(c, r->head.value, &safe);
    unmark_safe(&safe, 0);
}

void pass_print(struct compiler *c)
{
    each_rule(c, print_of_rule);
}

/* ---- operators ---- */

struct callee callee_of(const struct compiler *c, const struct term *operator)
{
    char     name[96];
    size_t   len = 0;
    bool     is_name = operator->kind == TERM_REF && operator->items.at[0]->kind == TERM_VAR;

    if (is_name && ref_is_root(operator, "data")) {
        struct rule_node *node = node_at(c, operator, operator->items.n);

        if (node && node->rules.n > 0)
            return (struct callee){ .kind = CALLEE_RULE, .arity = node->rules.at[0]->head.args.n, .node = node };
        return (struct callee){ .kind = CALLEE_UNKNOWN };
    }
    for (uint32_t i = 0; is_name && i < operator->items.n; i++) {
        const struct term *part = operator->items.at[i];

        if ((i > 0 && part->kind != TERM_STRING) || len + part->text->len + 2 > sizeof name)
            return (struct callee){ .kind = CALLEE_UNKNOWN };
        if (i > 0)
            name[len++] = '.';
        memcpy(name + len, part->text->text, part->text->len);
        len += part->text->len;
    }
    name[len] = '\0';
    for (uint32_t i = 0; i < c->options.n_hosts; i++)
        if (strcmp(c->options.hosts[i].name, name) == 0)
            return (struct callee){ .kind = CALLEE_HOST, .arity = c->options.hosts[i].n_args, .host = i };

    const struct builtin_name *b = builtin_name_find(name);
    if (!b)
        return (struct callee){ .kind = CALLEE_UNKNOWN };
    return (struct callee){ .kind = CALLEE_BUILTIN, .arity = b->n_args, .flags = b->flags };
}

/* ---- functions that exist, called with as many arguments as they have, or one more ---- */

static void functions_of_term(struct compiler *c, struct term *t, bool is_v1);

static void check_call(struct compiler *c, const struct expr *e, bool is_v1)
{
    const struct term *operator = e->terms.at[0];
    struct callee      callee   = callee_of(c, operator);
    const char        *name     = term_text(c->f, operator);
    uint32_t           n        = e->terms.n - 1;
    bool               is_eq    = operator_is(operator, "eq") || operator_is(operator, "assign");

    if (callee.kind == CALLEE_UNKNOWN) {
        (void) front_error(c->f, e->at, TYPE_ERROR, "undefined function %s", name);
        return;
    }
    uint32_t ignored;
    if (callee.kind == CALLEE_BUILTIN && !is_eq && !operator_is(operator, "print") && !builtin_find(value_of_text(name), &ignored)) {
        (void) front_error(c->f, e->at, UNSUPPORTED_BUILTIN_ERROR, "built-in function %s is not supported", name);
        return;
    }
    if (is_v1 && (callee.flags & BUILTIN_DEPRECATED))
        (void) front_error(c->f, e->at, TYPE_ERROR, "deprecated built-in function calls in expression: %s", name);
    if (callee.flags & BUILTIN_VARIADIC)
        return;
    bool fits = e->generated && !is_eq ? n == callee.arity + 1 : n == callee.arity || n == callee.arity + 1;
    if (fits && !(callee.flags & BUILTIN_VOID && n > callee.arity))
        return;
    uint32_t given = e->generated && !is_eq ? n - 1 : n;
    if (callee.kind == CALLEE_RULE)
        (void) front_error(c->f, e->at, TYPE_ERROR, "function %s has arity %u, got %u argument%s", name, callee.arity,
                           given, given == 1 ? "" : "s");
    else
        (void) front_error(c->f, e->at, TYPE_ERROR, "%s: arity mismatch", name);
}

static void functions_of_term(struct compiler *c, struct term *t, bool is_v1)
{
    if (t->kind == TERM_REF || t->kind == TERM_CALL || term_is_collection(t))
        for (uint32_t i = 0; i < t->items.n; i++)
            functions_of_term(c, t->items.at[i], is_v1);
    else if (term_is_comprehension(t))
        functions_of_body(c, &t->compr->body, is_v1);
}

void functions_of_body(struct compiler *c, body *b, bool is_v1)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct expr *e = b->at[i];

        if (e->kind == EXPR_CALL)
            check_call(c, e, is_v1);
        if (e->term)
            functions_of_term(c, e->term, is_v1);
        for (uint32_t j = 0; j < e->terms.n; j++)
            functions_of_term(c, e->terms.at[j], is_v1);
        if (e->every)
            functions_of_body(c, &e->every->body, is_v1);
    }
}

static void functions_of_rule(struct compiler *c, struct rule *r)
{
    functions_of_body(c, &r->body, r->module->is_v1);
}

void pass_functions(struct compiler *c)
{
    each_rule(c, functions_of_rule);
}
