#include "policy/rego/parser_state.h"

/* parse_ref gives a var, a ref or a call: split it into the head's name and arguments. */
static bool head_from(struct parser *p, struct term *t, struct head *head)
{
    struct term *name = t;

    if (t->kind == TERM_CALL) {
        name              = t->items.at[0];
        head->is_function = t->items.n > 1; /* f() is a rule like any other */
        for (uint32_t i = 1; i < t->items.n; i++)
            LIST_ADD(p->f, &head->args, t->items.at[i]);
    }
    if (name->kind == TERM_VAR) {
        head->ref = term_new(p->f, TERM_REF, name->at);
        LIST_ADD(p->f, &head->ref->items, name);
        return true;
    }
    if (name->kind != TERM_REF || name->items.at[0]->kind != TERM_VAR)
        return unexpected(p, "expected rule head name");
    head->ref = name;
    return true;
}

static bool parse_contains(struct parser *p, struct head *head)
{
    const char *name = ref_text(p->f, head->ref, head->ref->items.n);

    if (head->is_function)
        return unexpected(p, front_printf(p->f, "the contains keyword can only be used with multi-value rule "
                                                "definitions (e.g., %s contains <VALUE> { ... })", name));
    advance(p);
    head->has_contains = true;
    head->key          = parse_expression(p, true);
    if (!head->key)
        return unexpected(p, front_printf(p->f, "expected rule key term (e.g., %s contains <VALUE> { ... })", name));
    return true;
}

static const char *value_hint(struct parser *p, const struct head *head, bool is_default)
{
    const char *name = ref_text(p->f, head->ref, head->ref->items.n);

    if (!head->assign)
        return front_printf(p->f, "expected rule value term (e.g., %s[<KEY>] = <VALUE> { ... })", name);
    if (head->is_function)
        return front_printf(p->f, "expected function value term (e.g., %s(...) := <VALUE> { ... })", name);
    if (is_default)
        return front_printf(p->f, "expected default rule value term (e.g., default %s := <VALUE>)", name);
    return front_printf(p->f, "expected rule value term (e.g., %s := <VALUE> { ... })", name);
}

static bool parse_head(struct parser *p, struct head *head, bool is_default)
{
    head->at       = p->tok.at;
    struct term *t = parse_ref(p, parse_variable(p), true);

    if (!t || !head_from(p, t, head))
        return false;
    if (at_keyword(p, TOKEN_CONTAINS)) {
        if (!parse_contains(p, head))
            return false;
    } else if (p->tok.kind == TOKEN_ASSIGN || p->tok.kind == TOKEN_UNIFY) {
        head->assign = p->tok.kind == TOKEN_ASSIGN;
        advance(p);
        head->value = parse_expression(p, true);
        if (!head->value)
            return unexpected(p, value_hint(p, head, is_default));
    }
    head->at.end = p->lexer.end;
    return true;
}

static const char *kind_name(const struct term *t)
{
    return t->kind == TERM_REF ? "ref" : t->kind == TERM_VAR ? "var" : t->kind == TERM_CALL ? "call" : "value";
}

/* Defaults hold no reference, variable or call outside comprehensions. */
static bool default_value_is_fixed(struct parser *p, const struct rule *r, const struct term *t)
{
    if (t->kind == TERM_REF || t->kind == TERM_VAR || t->kind == TERM_CALL)
        return front_error(p->f, r->at, PARSE_ERROR, "illegal default rule (value cannot contain %s)", kind_name(t));
    if (term_is_collection(t))
        for (uint32_t i = 0; i < t->items.n; i++)
            if (!default_value_is_fixed(p, r, t->items.at[i]))
                return false;
    return true;
}

static bool default_args_are_vars(struct parser *p, const struct rule *r)
{
    const struct term_list *args = &r->head.args;

    for (uint32_t i = 0; i < args->n; i++) {
        if (args->at[i]->kind != TERM_VAR)
            return front_error(p->f, r->at, PARSE_ERROR, "illegal default rule (arguments cannot contain %s)",
                               kind_name(args->at[i]));
        for (uint32_t j = 0; j < i; j++)
            if (args->at[j]->text == args->at[i]->text)
                return front_error(p->f, r->at, PARSE_ERROR,
                                   "illegal default rule (arguments cannot be repeated %s)", args->at[i]->text->text);
    }
    return true;
}

static void body_of_true(struct parser *p, struct rule *r, struct location at)
{
    struct expr *e = expr_of_term(p->f, term_bool(p->f, true, at));

    r->body = (body){ 0 };
    LIST_ADD(p->f, &r->body, e);
    r->generated_body = true;
}

static bool finish_default(struct parser *p, struct rule *r)
{
    if (!r->head.value)
        return front_error(p->f, r->at, PARSE_ERROR, "illegal default rule (must have a value)");
    if (!default_value_is_fixed(p, r, r->head.value) || !default_args_are_vars(p, r))
        return false;
    body_of_true(p, r, r->at);
    return true;
}

/* `p[x] { ... }`, of v0: a set; with a value it is an object, as any head with two parts. */
static void take_key_from_brackets(struct parser *p, struct head *head)
{
    struct term *ref = term_new(p->f, TERM_REF, head->ref->at);

    LIST_ADD(p->f, &ref->items, head->ref->items.at[0]);
    head->key = head->ref->items.at[1];
    head->ref = ref;
}

static void default_to_true(struct parser *p, struct head *head)
{
    if (head->value || head->key)
        return;
    head->generated_value = true;
    head->value           = term_bool(p->f, true, head->at);
}

/* Behind `if`: one literal, unless that reads as a set in braces, which then is a block. */
static bool parse_if_body(struct parser *p, body *to)
{
    struct bookmark back = mark(p);
    struct expr    *e    = parse_literal(p);

    if (e && !(e->kind == EXPR_TERM && e->term->kind == TERM_SET && back.tok.kind == TOKEN_LBRACE)) {
        LIST_ADD(p->f, to, e);
        return true;
    }
    if (back.tok.kind != TOKEN_LBRACE)
        return false;
    step_back(p, &back);
    advance(p);
    if (!parse_body(p, TOKEN_RBRACE, to))
        return false;
    advance(p);
    return true;
}

static bool parse_block(struct parser *p, body *to)
{
    advance(p);
    if (!parse_body(p, TOKEN_RBRACE, to))
        return false;
    advance(p);
    return true;
}

/* A wildcard argument is a different variable in every rule that shares the head. */
static struct head head_copy(struct parser *p, const struct head *from)
{
    struct head head = *from;

    head.ref  = term_copy(p->f, from->ref);
    head.key  = term_copy(p->f, from->key);
    head.value = term_copy(p->f, from->value);
    head.args = (struct term_list){ 0 };
    for (uint32_t i = 0; i < from->args.n; i++) {
        struct term *arg = term_copy(p->f, from->args.at[i]);

        if (arg->kind == TERM_VAR && name_is_wildcard(arg->text))
            arg->text = name_wildcard(p->f);
        LIST_ADD(p->f, &head.args, arg);
    }
    return head;
}

static struct rule *parse_one_else(struct parser *p, const struct head *head)
{
    struct rule *r          = front_take(p->f, sizeof *r);
    r->at                   = p->tok.at;
    r->module               = p->module;
    r->head                 = head_copy(p, head);
    r->head.generated_value = false;
    r->head.at              = p->tok.at;

    advance(p);
    if (p->tok.kind == TOKEN_ASSIGN || p->tok.kind == TOKEN_UNIFY) {
        r->head.assign = p->tok.kind == TOKEN_ASSIGN;
        advance(p);
        r->head.value = parse_expression(p, true);
        if (!r->head.value)
            return unexpected(p, "expected else value term");
    } else if (p->tok.kind == TOKEN_LBRACE || at_keyword(p, TOKEN_IF)) {
        r->head.generated_value = true;
        r->head.value           = term_bool(p->f, true, p->tok.at);
    } else {
        return unexpected(p, "expected else value term or rule body");
    }

    r->head.has_if = at_keyword(p, TOKEN_IF);
    if (r->head.has_if) {
        advance(p);
        if (p->tok.kind == TOKEN_EOF)
            return unexpected(p, "rule body expected");
        return (p->tok.kind == TOKEN_LBRACE ? parse_block(p, &r->body) : parse_if_body(p, &r->body)) ? r : NULL;
    }
    if (p->tok.kind == TOKEN_LBRACE) {
        if (p->v1)
            return front_error(p->f, r->at, PARSE_ERROR, "`if` keyword is required before rule body");
        return parse_block(p, &r->body) ? r : NULL;
    }
    body_of_true(p, r, r->at);
    return r;
}

static bool parse_elses(struct parser *p, struct rule *first)
{
    if (at_keyword(p, TOKEN_ELSE)) {
        if (first->head.ref->items.n > 1 && !ref_is_ground(first->head.ref))
            return front_error(p->f, p->tok.at, PARSE_ERROR, "else keyword cannot be used on rules with variables in head");
        if (first->head.key)
            return front_error(p->f, p->tok.at, PARSE_ERROR, "else keyword cannot be used on multi-value rules");
    }
    for (struct rule *r = first; at_keyword(p, TOKEN_ELSE); r = r->otherwise) {
        r->otherwise = parse_one_else(p, &first->head);
        if (!r->otherwise)
            return false;
    }
    return true;
}

static bool parse_more_blocks(struct parser *p, struct rule *first)
{
    while (p->tok.kind == TOKEN_LBRACE) {
        if (first->otherwise)
            return front_error(p->f, p->tok.at, PARSE_ERROR, "expected else keyword");
        struct rule *r = front_take(p->f, sizeof *r);
        r->at          = p->tok.at;
        r->module      = p->module;
        r->head        = head_copy(p, &first->head);
        if (!parse_block(p, &r->body))
            return false;
        LIST_ADD(p->f, &p->module->rules, r);
    }
    return true;
}

static bool finish_without_body(struct parser *p, struct rule *r)
{
    const struct head *head = &r->head;
    uint32_t           n    = head->ref->items.n;

    if (!head->value && !head->key && !head->is_function) {
        if (n == 1)
            return front_error(p->f, r->at, PARSE_ERROR, "var cannot be used for rule name");
        if (p->v1 && n > 2)
            return front_error(p->f, r->at, PARSE_ERROR, "rule must have value assignment and/or body declaration");
    }
    body_of_true(p, r, r->at);
    return true;
}

static bool v1_accepts(struct parser *p, const struct rule *r)
{
    const char *what = r->head.is_function ? "function" : "rule";

    if (!p->v1 || r->is_default)
        return true;
    if (!r->generated_body && !r->head.has_if)
        (void) front_error(p->f, r->at, PARSE_ERROR, "`if` keyword is required before %s body", what);
    if (r->head.key && !r->head.has_contains)
        (void) front_error(p->f, r->at, PARSE_ERROR, "`contains` keyword is required for partial set rules");
    return (r->generated_body || r->head.has_if) && (!r->head.key || r->head.has_contains);
}

bool parse_rule(struct parser *p)
{
    struct rule *r = front_take(p->f, sizeof *r);

    r->at     = p->tok.at;
    r->module = p->module;
    if (at_keyword(p, TOKEN_DEFAULT)) {
        advance(p);
        r->is_default = true;
    }
    if (p->tok.kind != TOKEN_IDENT && !at_ref_keyword(p))
        return unexpected(p, NULL);
    if (!parse_head(p, &r->head, r->is_default))
        return false;
    LIST_ADD(p->f, &p->module->rules, r);
    if (r->is_default)
        return finish_default(p, r);

    r->head.has_if = at_keyword(p, TOKEN_IF);
    if (!r->head.has_if && !r->head.key && !r->head.value && !r->head.is_function && r->head.ref->items.n == 2)
        take_key_from_brackets(p, &r->head);
    if (r->head.has_if) {
        advance(p);
        if (!parse_if_body(p, &r->body))
            return false;
    } else if (p->tok.kind == TOKEN_LBRACE) {
        if (!parse_block(p, &r->body))
            return false;
    } else if (!finish_without_body(p, r)) {
        return false;
    }
    default_to_true(p, &r->head);
    r->at.end = p->lexer.end;
    return v1_accepts(p, r) && (r->generated_body || (parse_elses(p, r) && parse_more_blocks(p, r)));
}
