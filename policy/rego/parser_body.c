#include "policy/rego/parser_state.h"

#include <string.h>

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

static struct expr *parse_condition(struct parser *p)
{
    struct location at  = p->tok.at;
    struct term    *lhs = parse_expression(p, true);

    if (!lhs)
        return NULL;
    if (p->tok.kind == TOKEN_ASSIGN || p->tok.kind == TOKEN_UNIFY) {
        struct token operator = p->tok;

        advance(p);
        struct term *rhs = parse_expression(p, true);
        return rhs ? expr_call(p->f, token_text(operator.kind), lhs, rhs, operator.at) : NULL;
    }
    if (lhs->kind != TERM_CALL)
        return expr_of_term(p->f, lhs);
    struct expr *e = expr_new(p->f, EXPR_CALL, at);
    e->terms       = lhs->items;
    return e;
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

/* ---- `not`, `and` and `or` as closures: {1 | body} is {1} when the body holds, and empty otherwise ---- */

static struct expr *closure_test(struct parser *p, const body *b, bool holds, struct location at)
{
    struct term *one = term_number(p->f, name_text(p->f, "1"), at);
    struct term *got = term_new(p->f, TERM_SET_COMPREHENSION, at);
    struct term *set = term_new(p->f, TERM_SET, at);

    got->compr        = front_take(p->f, sizeof *got->compr);
    got->compr->value = one;
    got->compr->body  = *b;
    if (holds)
        LIST_ADD(p->f, &set->items, one);
    return expr_call(p->f, "eq", got, set, at);
}

static body body_of(struct parser *p, struct expr *e)
{
    body b = { 0 };

    LIST_ADD(p->f, &b, e);
    return b;
}

static bool at_word(const struct parser *p, const char *word)
{
    return p->tok.kind == TOKEN_IDENT && p->tok.len == strlen(word) && memcmp(p->tok.text, word, p->tok.len) == 0;
}

static bool at_logic(const struct parser *p)
{
    return (p->has_and && at_word(p, "and")) || (p->has_or && at_word(p, "or"));
}

static struct expr *parse_or(struct parser *p);

/* { query } as an operand. NULL with the parser where it was when that is not what stands here. */
static struct expr *parse_block_operand(struct parser *p, bool negated, bool must_go_on)
{
    struct bookmark back = mark(p);
    body            b    = { 0 };

    advance(p);
    if (parse_body(p, TOKEN_RBRACE, &b)) {
        advance(p);
        if (!must_go_on || at_logic(p))
            return closure_test(p, &b, !negated, back.tok.at);
    }
    step_back(p, &back);
    return NULL;
}

/* (a or b) as an operand, not followed by what makes it part of a larger term. */
static struct expr *parse_group_operand(struct parser *p, bool negated)
{
    struct bookmark back = mark(p);

    if (!enter(p))
        return NULL;
    advance(p);
    struct expr *e = parse_or(p);
    if (e && !parse_withs(p, e))
        e = NULL;
    if (e && p->tok.kind == TOKEN_RPAREN) {
        advance(p);
        leave(p);
        bool ends = at_logic(p) || p->tok.newline_before || p->tok.kind == TOKEN_RBRACE || p->tok.kind == TOKEN_RPAREN ||
                    p->tok.kind == TOKEN_SEMICOLON || p->tok.kind == TOKEN_RBRACKET || p->tok.kind == TOKEN_EOF ||
                    at_keyword(p, TOKEN_WITH);
        if (ends) {
            body b = body_of(p, e);

            return closure_test(p, &b, !negated, back.tok.at);
        }
    }
    step_back(p, &back);
    return NULL;
}

static struct expr *parse_operand(struct parser *p, bool first)
{
    struct location at      = p->tok.at;
    bool            negated = at_keyword(p, TOKEN_NOT);
    bool            logic   = p->has_and || p->has_or;
    struct expr    *e       = NULL;

    if (negated)
        advance(p);
    if (at_keyword(p, TOKEN_SOME))
        return negated ? unexpected(p, "illegal negation of 'some'") : parse_some(p);
    if (at_keyword(p, TOKEN_EVERY))
        return negated ? unexpected(p, "illegal negation of 'every'") : parse_every(p);
    if (p->tok.kind == TOKEN_LBRACE && (negated ? p->not_is_closure : logic))
        e = parse_block_operand(p, negated, first && !negated);
    else if (p->tok.kind == TOKEN_LPAREN && logic && (!negated || p->not_is_closure))
        e = parse_group_operand(p, negated);
    if (e)
        return e;
    e = parse_condition(p);
    if (!e)
        return NULL;
    e->at      = at;
    e->at.end  = p->lexer.end;
    e->negated = negated;
    if (!negated || !p->not_is_closure)
        return e;
    e->negated = false;
    body b     = body_of(p, e);
    return closure_test(p, &b, false, at);
}

/* Both sides hold, each with variables of its own, and once. */
static struct expr *both(struct parser *p, struct expr *a, struct expr *b, struct location at)
{
    body left = body_of(p, a), right = body_of(p, b), pair = { 0 };

    LIST_ADD(p->f, &pair, closure_test(p, &left, true, at));
    LIST_ADD(p->f, &pair, closure_test(p, &right, true, at));
    return closure_test(p, &pair, true, at);
}

/* Not both fail; the right side is not looked at when the left one holds. */
static struct expr *either(struct parser *p, struct expr *a, struct expr *b, struct location at)
{
    body left = body_of(p, a), right = body_of(p, b), pair = { 0 };

    LIST_ADD(p->f, &pair, closure_test(p, &left, false, at));
    LIST_ADD(p->f, &pair, closure_test(p, &right, false, at));
    return closure_test(p, &pair, false, at);
}

static struct expr *parse_and(struct parser *p, bool first)
{
    struct expr *e = parse_operand(p, first);

    for (uint32_t n = 0; e && p->has_and && at_word(p, "and"); n++) {
        struct location at = p->tok.at;

        if (n == NESTING_MAX)
            return front_error(p->f, at, PARSE_ERROR, "max parsing recursion depth exceeded");
        advance(p);
        struct expr *right = parse_operand(p, false);
        e                  = right ? both(p, e, right, at) : NULL;
    }
    return e;
}

static struct expr *parse_or(struct parser *p)
{
    struct expr *e = parse_and(p, true);

    for (uint32_t n = 0; e && p->has_or && at_word(p, "or"); n++) {
        struct location at = p->tok.at;

        if (n == NESTING_MAX)
            return front_error(p->f, at, PARSE_ERROR, "max parsing recursion depth exceeded");
        advance(p);
        struct expr *right = parse_and(p, false);
        e                  = right ? either(p, e, right, at) : NULL;
    }
    return e;
}

static struct expr *parse_any_literal(struct parser *p)
{
    struct expr *e = parse_or(p);

    return e && parse_withs(p, e) ? e : NULL;
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
