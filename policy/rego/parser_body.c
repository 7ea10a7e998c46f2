#include "policy/rego/parser_state.h"

static bool parse_withs(struct parser *p, struct expr *e)
{
    while (at_keyword(p, TOKEN_WITH)) {
        struct with w = { .at = p->tok.at };

        advance(p);
        if (p->tok.kind != TOKEN_IDENT && !at_ref_keyword(p))
            return unexpected(p, "expected ident");
        w.target = parse_term(p);
        if (!w.target)
            return false;
        if (w.target->kind != TERM_REF && w.target->kind != TERM_VAR)
            return unexpected(p, "expected with target path");
        if (!at_keyword(p, TOKEN_AS))
            return unexpected(p, "expected as keyword");
        advance(p);
        w.value = parse_expression(p, true);
        if (!w.value)
            return false;
        if (e->with.n == WITH_MAX)
            return front_error(p->f, w.at, PARSE_ERROR, "too many with modifiers");
        LIST_ADD(p->f, &e->with, w);
    }
    return true;
}

static struct expr *parse_plain_literal(struct parser *p, bool negated)
{
    struct location at  = p->tok.at;
    struct term    *lhs = parse_expression(p, true);
    struct expr    *e   = NULL;

    if (!lhs)
        return NULL;
    if (p->tok.kind == TOKEN_ASSIGN || p->tok.kind == TOKEN_UNIFY) {
        struct token operator = p->tok;

        advance(p);
        struct term *rhs = parse_expression(p, true);
        if (!rhs)
            return NULL;
        e = expr_call(p->f, token_text(operator.kind), lhs, rhs, operator.at);
    } else if (lhs->kind == TERM_CALL) {
        e        = expr_new(p->f, EXPR_CALL, at);
        e->terms = lhs->items;
    } else {
        e = expr_of_term(p->f, lhs);
    }
    e->negated = negated;
    return parse_withs(p, e) ? e : NULL;
}

/* The members of a call made for `in`: 2 or 3 operands, or NULL. */
static struct term_list *members_of(struct term *t)
{
    if (t->kind != TERM_CALL || t->in_parens)
        return NULL;
    bool is_member = operator_is(t->items.at[0], "internal.member_2") || operator_is(t->items.at[0], "internal.member_3");
    return is_member ? &t->items : NULL;
}

static struct expr *parse_declarations(struct parser *p, struct location at)
{
    struct expr *e = expr_new(p->f, EXPR_SOME, at);

    for (;;) {
        if (p->tok.kind != TOKEN_IDENT)
            return unexpected(p, "expected var");
        LIST_ADD(p->f, &e->terms, parse_variable(p));
        if (p->tok.kind != TOKEN_COMMA)
            return e;
        advance(p);
    }
}

static struct expr *parse_some(struct parser *p)
{
    struct location at = p->tok.at;

    advance(p);
    struct bookmark back = mark(p);
    struct term    *t    = parse_expression(p, true);
    if (t && members_of(t)) {
        struct expr *e = expr_new(p->f, EXPR_SOME, at);

        LIST_ADD(p->f, &e->terms, t);
        return parse_withs(p, e) ? e : NULL;
    }
    if (t && t->kind == TERM_CALL)
        return unexpected(p, "expected `x in xs` or `x, y in xs` expression");
    step_back(p, &back);
    return parse_declarations(p, at);
}

static struct expr *parse_every(struct parser *p)
{
    struct expr *e = expr_new(p->f, EXPR_EVERY, p->tok.at);

    advance(p);
    struct term *t = parse_expression(p, true);
    if (!t)
        return NULL;
    struct term_list *members = members_of(t);
    if (!members)
        return unexpected(p, "expected `x[, y] in xs { ... }` expression");
    e->every         = front_take(p->f, sizeof *e->every);
    e->every->domain = members->at[members->n - 1];
    e->every->value  = members->at[members->n - 2];
    e->every->key    = members->n == 4 ? members->at[1] : NULL;
    if (e->every->key && e->every->key->kind != TERM_VAR)
        return unexpected(p, "expected key to be a variable");
    if (e->every->value->kind != TERM_VAR)
        return unexpected(p, "expected value to be a variable");
    if (p->tok.kind != TOKEN_LBRACE)
        return unexpected(p, "missing body");
    advance(p);
    if (!parse_body(p, TOKEN_RBRACE, &e->every->body))
        return NULL;
    advance(p);
    return parse_withs(p, e) ? e : NULL;
}

static struct expr *parse_any_literal(struct parser *p)
{
    bool negated = at_keyword(p, TOKEN_NOT);

    if (negated)
        advance(p);
    if (at_keyword(p, TOKEN_SOME))
        return negated ? unexpected(p, "illegal negation of 'some'") : parse_some(p);
    if (at_keyword(p, TOKEN_EVERY))
        return negated ? unexpected(p, "illegal negation of 'every'") : parse_every(p);
    return parse_plain_literal(p, negated);
}

struct expr *parse_literal(struct parser *p)
{
    struct location at = p->tok.at;
    struct expr    *e  = parse_any_literal(p);

    if (e) {
        e->at     = at;
        e->at.end = p->lexer.end;
    }
    return e;
}

bool parse_body(struct parser *p, enum token_kind end, body *to)
{
    if (!enter(p))
        return false;
    if (p->tok.kind == end)
        return front_error(p->f, p->tok.at, PARSE_ERROR, "found empty body");
    for (;;) {
        struct expr *e = parse_literal(p);

        if (!e)
            return false;
        LIST_ADD(p->f, to, e);
        if (p->tok.kind == TOKEN_SEMICOLON) {
            advance(p);
            if (p->tok.kind != end)
                continue;
        }
        if (p->tok.kind == end)
            break;
        if (!p->tok.newline_before)
            return unexpected(p, front_printf(p->f, "expected \\n or ; or %s", token_text(end)));
    }
    leave(p);
    return true;
}
