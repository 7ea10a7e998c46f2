#include "policy/rego/parser_state.h"

#include <string.h>

static struct term *link_call(struct parser *p, const char *operator, struct location at, struct term **operands, uint32_t n)
{
    struct term *call  = term_new(p->f, TERM_CALL, operands[0]->at);
    uint16_t     depth = 0;

    LIST_ADD(p->f, &call->items, term_operator(p->f, operator, at));
    for (uint32_t i = 0; i < n; i++) {
        LIST_ADD(p->f, &call->items, operands[i]);
        depth = operands[i]->depth > depth ? operands[i]->depth : depth;
    }
    call->depth  = (uint16_t) (depth + 1);
    call->at.end = p->lexer.end;
    if (call->depth > CHAIN_MAX)
        return front_error(p->f, at, PARSE_ERROR, "max parsing recursion depth exceeded");
    return call;
}

/* How tightly an operator binds; 0 is none. */
static unsigned binding(enum token_kind kind)
{
    if (kind == TOKEN_EQUAL || (kind >= TOKEN_NEQ && kind <= TOKEN_LTE))
        return 1;
    if (kind == TOKEN_OR)
        return 2;
    if (kind == TOKEN_AND)
        return 3;
    if (kind == TOKEN_ADD || kind == TOKEN_SUB)
        return 4;
    if (kind == TOKEN_MUL || kind == TOKEN_QUO || kind == TOKEN_REM)
        return 5;
    return 0;
}

/* Operators that bind at least as tightly as `level`, behind `lhs` when it is given. */
static struct term *parse_operators(struct parser *p, struct term *lhs, unsigned level)
{
    if (!lhs)
        lhs = parse_term(p);
    while (lhs) {
        enum token_kind kind = p->tok.kind;
        struct location at   = p->tok.at;

        if (binding(kind) < level || binding(kind) == 0)
            return lhs;
        advance(p);
        struct term *rhs = parse_operators(p, NULL, binding(kind) + 1);
        if (!rhs)
            return NULL;
        lhs = link_call(p, token_text(kind), at, (struct term *[]){ lhs, rhs }, 2);
    }
    return NULL;
}

/* `, v in xs` behind a key. NULL with the parser where it was when that is not what follows. */
static struct term *parse_key_value(struct parser *p, struct term *key)
{
    struct bookmark back = mark(p);

    advance(p);
    struct term *value = parse_operators(p, NULL, 1);
    if (value && at_keyword(p, TOKEN_IN)) {
        struct location at = p->tok.at;

        advance(p);
        struct term *in = parse_operators(p, NULL, 1);
        if (in)
            return link_call(p, "internal.member_3", at, (struct term *[]){ key, value, in }, 3);
    }
    step_back(p, &back);
    return NULL;
}

static struct term *parse_membership(struct parser *p, struct term *lhs, bool key_value)
{
    lhs = parse_operators(p, lhs, 1);
    while (lhs) {
        if (key_value && p->tok.kind == TOKEN_COMMA) {
            struct term *call = parse_key_value(p, lhs);

            if (call) {
                lhs = call;
                continue;
            }
        }
        if (!at_keyword(p, TOKEN_IN))
            return lhs;
        struct location at = p->tok.at;
        advance(p);
        struct term *in = parse_operators(p, NULL, 1);
        if (!in)
            return NULL;
        lhs = link_call(p, "internal.member_2", at, (struct term *[]){ lhs, in }, 2);
    }
    return NULL;
}

struct term *parse_expression(struct parser *p, bool key_value)
{
    return parse_membership(p, NULL, key_value);
}

/* The decimal exponent of the first digit, kept within OPA's bound of about 2^100000. */
static bool number_is_too_big(const char *text, uint32_t len)
{
    enum { EXPONENT_MAX = 30102 };
    long     exponent = 0;
    uint32_t whole    = 0;
    uint32_t i        = text[0] == '-' ? 1 : 0;

    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        whole++;
    while (i < len && text[i] != 'e' && text[i] != 'E')
        i++;
    if (i < len) {
        bool negative = text[i + 1] == '-';

        for (i += text[i + 1] == '-' || text[i + 1] == '+' ? 2 : 1; i < len && exponent <= 1000000; i++)
            exponent = exponent * 10 + (text[i] - '0');
        exponent = negative ? -exponent : exponent;
    }
    exponent += whole;
    return exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX || len > EXPONENT_MAX;
}

static struct term *parse_number(struct parser *p, bool negative, struct location at)
{
    const char *text = p->tok.text;
    uint32_t    len  = p->tok.len;

    if (len > 1 && text[0] == '0' && text[1] != '.' && text[1] != 'e' && text[1] != 'E')
        return unexpected(p, "expected number without leading zero");
    if (number_is_too_big(text, len))
        return front_error(p->f, at, PARSE_ERROR, "number too big");
    struct name *n = negative ? name_text(p->f, front_printf(p->f, "-%.*s", (int) len, text))
                              : name_of(p->f, text, len);
    at.end = p->tok.at.end;
    advance(p);
    return term_number(p->f, n, at);
}

/* A minus before a number is part of it; before anything else it is 0 - x. */
static struct term *parse_minus(struct parser *p)
{
    struct location at = p->tok.at;

    advance(p);
    if (p->tok.kind == TOKEN_NUMBER)
        return parse_number(p, true, at);
    if (p->tok.kind == TOKEN_SUB)
        return unexpected(p, "expected number");
    struct term *t = parse_term(p);
    if (!t)
        return NULL;
    struct term *zero = term_number(p->f, name_text(p->f, "0"), at);
    return link_call(p, "minus", at, (struct term *[]){ zero, t }, 2);
}

static struct term *parse_string(struct parser *p)
{
    struct term *t = term_string(p->f, token_string(p->f, &p->tok), p->tok.at);

    advance(p);
    return t;
}

static bool template_takes(struct parser *p, const struct expr *e)
{
    const char *what = e->negated                  ? "unexpected negation ('not')"
                       : e->kind == EXPR_EVERY     ? "unexpected 'every'"
                       : e->kind == EXPR_SOME      ? "unexpected 'some'"
                       : expr_is_call_of(e, "eq")  ? "unexpected unification ('=')"
                       : expr_is_call_of(e, "assign") ? "unexpected assignment (':=')"
                                                   : NULL;

    if (what)
        (void) front_error(p->f, e->at, PARSE_ERROR, "%s in template-string expression", what);
    return !what;
}

static struct term *parse_template(struct parser *p)
{
    struct term *t   = term_new(p->f, TERM_TEMPLATE, p->tok.at);
    bool         raw = p->tok.raw;

    for (;;) {
        struct name *text = token_string(p->f, &p->tok);

        if (text->len > 0)
            LIST_ADD(p->f, &t->parts, expr_of_term(p->f, term_string(p->f, text, p->tok.at)));
        if (p->tok.kind == TOKEN_TEMPLATE_END)
            break;
        advance(p);
        struct expr *e = parse_literal(p);
        if (!e || !template_takes(p, e))
            return front_error(p->f, p->tok.at, PARSE_ERROR, "invalid template-string expression");
        LIST_ADD(p->f, &t->parts, e);
        if (p->tok.kind != TOKEN_RBRACE)
            return front_error(p->f, p->tok.at, PARSE_ERROR, "expected } to end template string expression");
        p->tok = lexer_template(p->f, &p->lexer, raw);
        if (p->tok.kind == TOKEN_ILLEGAL)
            return NULL;
    }
    advance(p);
    return t;
}

/* Elements up to `end`, which stays at hand; a comma may close the list. */
static bool parse_list(struct parser *p, enum token_kind end, struct term_list *to)
{
    while (p->tok.kind != end) {
        struct term *t = parse_expression(p, false);

        if (!t)
            return false;
        LIST_ADD(p->f, to, t);
        if (p->tok.kind == end)
            return true;
        if (p->tok.kind != TOKEN_COMMA) {
            (void) unexpected(p, front_printf(p->f, "expected \",\" or \"%s\"", token_text(end)));
            return false;
        }
        advance(p);
    }
    return true;
}

static struct term *comprehension_of(struct parser *p, enum term_kind kind, struct location at, struct term *key,
                                     struct term *value, const body *b)
{
    struct term *t  = term_new(p->f, kind, at);
    t->compr        = front_take(p->f, sizeof *t->compr);
    t->compr->key   = key;
    t->compr->value = value;
    t->compr->body  = *b;
    return t;
}

/*
 * Behind the first element, which is `head`. A | there opens a comprehension; when its body turns out to
 * be a list of elements instead, the | was a union.
 */
static struct term *parse_elements(struct parser *p, struct term *head, enum term_kind kind, enum token_kind end,
                                   struct location at, bool comprehension_allowed)
{
    if (p->tok.kind == TOKEN_OR && comprehension_allowed) {
        struct bookmark back = mark(p);
        body            b    = { 0 };

        advance(p);
        if (parse_body(p, end, &b))
            return comprehension_of(p, kind == TERM_ARRAY ? TERM_ARRAY_COMPREHENSION : TERM_SET_COMPREHENSION, at,
                                    NULL, head, &b);
        if (p->tok.kind != TOKEN_COMMA)
            return NULL;
        step_back(p, &back);
    }

    struct term *t     = term_new(p->f, kind, at);
    struct term *first = parse_membership(p, head, false);
    if (!first)
        return NULL;
    LIST_ADD(p->f, &t->items, first);
    if (p->tok.kind == end)
        return t;
    if (p->tok.kind != TOKEN_COMMA)
        return unexpected(p, kind == TERM_SET ? "non-terminated set"
                                              : front_printf(p->f, "expected \",\" or \"%s\"", token_text(end)));
    advance(p);
    return parse_list(p, end, &t->items) ? t : NULL;
}

static struct term *parse_array(struct parser *p)
{
    struct location at    = p->tok.at;
    bool            first = true;

    advance(p);
    if (p->tok.kind == TOKEN_RBRACKET)
        return term_new(p->f, TERM_ARRAY, at);
    if (p->tok.kind == TOKEN_COMMA) {
        first = false;
        advance(p);
    }
    struct term *head = parse_term(p);
    return head ? parse_elements(p, head, TERM_ARRAY, TOKEN_RBRACKET, at, first) : NULL;
}

static bool parse_pairs(struct parser *p, struct term *object)
{
    while (p->tok.kind == TOKEN_COMMA) {
        advance(p);
        if (p->tok.kind == TOKEN_RBRACE)
            return true;
        struct term *key = parse_expression(p, false);
        if (!key)
            return false;
        if (p->tok.kind != TOKEN_COLON)
            return unexpected(p, "expected \":\"");
        advance(p);
        struct term *value = parse_expression(p, false);
        if (!value)
            return false;
        LIST_ADD(p->f, &object->items, key);
        LIST_ADD(p->f, &object->items, value);
    }
    if (p->tok.kind != TOKEN_RBRACE)
        return unexpected(p, "expected \",\" or \"}\"");
    return true;
}

/* At the colon behind the first key. */
static struct term *parse_object(struct parser *p, struct term *key, struct location at, bool comprehension_allowed)
{
    advance(p);
    struct term *value = parse_term(p);
    if (!value)
        return NULL;
    if (p->tok.kind == TOKEN_OR && comprehension_allowed) {
        body b = { 0 };

        advance(p);
        return parse_body(p, TOKEN_RBRACE, &b)
                   ? comprehension_of(p, TERM_OBJECT_COMPREHENSION, at, key, value, &b)
                   : NULL;
    }
    value = parse_membership(p, value, false);
    if (!value)
        return NULL;

    struct term *t = term_new(p->f, TERM_OBJECT, at);
    LIST_ADD(p->f, &t->items, key);
    LIST_ADD(p->f, &t->items, value);
    if (p->tok.kind != TOKEN_RBRACE && p->tok.kind != TOKEN_COMMA)
        return unexpected(p, "non-terminated object");
    return parse_pairs(p, t) ? t : NULL;
}

static struct term *parse_braces(struct parser *p)
{
    struct location at    = p->tok.at;
    bool            first = true;

    advance(p);
    if (p->tok.kind == TOKEN_RBRACE)
        return term_new(p->f, TERM_OBJECT, at);
    if (p->tok.kind == TOKEN_COMMA) {
        first = false;
        advance(p);
    }
    struct term *head = parse_term(p);
    if (!head)
        return NULL;
    if (p->tok.kind == TOKEN_COLON)
        return parse_object(p, head, at, first);
    if (p->tok.kind != TOKEN_OR && p->tok.kind != TOKEN_COMMA && p->tok.kind != TOKEN_RBRACE) {
        head = parse_membership(p, head, false);
        if (head && p->tok.kind == TOKEN_COLON)
            return parse_object(p, head, at, first);
        first = false;
    }
    return head ? parse_elements(p, head, TERM_SET, TOKEN_RBRACE, at, first) : NULL;
}

static struct term *parse_parens(struct parser *p)
{
    advance(p);
    struct term *t = parse_expression(p, true);
    if (!t)
        return NULL;
    if (p->tok.kind != TOKEN_RPAREN)
        return front_error(p->f, p->tok.at, PARSE_ERROR, "non-terminated expression");
    t->in_parens = true;
    advance(p);
    return t;
}

struct term *parse_variable(struct parser *p)
{
    bool         wildcard = p->tok.len == 1 && p->tok.text[0] == '_';
    struct name *n        = wildcard ? name_wildcard(p->f) : name_of(p->f, p->tok.text, p->tok.len);
    struct term *t        = term_var(p->f, n, p->tok.at);

    advance(p);
    return t;
}

static struct term *parse_call(struct parser *p, struct term *ref)
{
    struct term *call = term_new(p->f, TERM_CALL, ref->at);

    LIST_ADD(p->f, &call->items, ref);
    advance(p);
    if (!parse_list(p, TOKEN_RPAREN, &call->items))
        return NULL;
    call->at.end = p->tok.at.end;
    advance(p);
    if (call->items.n == 1 && operator_is(ref, "set"))
        return term_new(p->f, TERM_SET, call->at);
    return call;
}

static struct term *parse_operand(struct parser *p)
{
    struct term *part = NULL;

    if (p->tok.kind == TOKEN_DOT) {
        advance(p);
        bool word = p->tok.kind == TOKEN_IDENT || p->tok.kind >= TOKEN_AS;

        if (!word || p->tok.space_before)
            return unexpected(p, "expected identifier");
        part = term_string(p->f, name_of(p->f, p->tok.text, p->tok.len), p->tok.at);
        advance(p);
        return part;
    }
    advance(p);
    part = parse_expression(p, true);
    if (!part)
        return NULL;
    if (p->tok.kind != TOKEN_RBRACKET)
        return unexpected(p, "expected ]");
    advance(p);
    return part;
}

static bool may_head_a_ref(const struct term *t)
{
    return t->kind == TERM_VAR || term_is_collection(t) || term_is_comprehension(t) || t->kind == TERM_CALL;
}

static const char *kind_name(const struct term *t)
{
    return t->kind == TERM_NULL      ? "null"
           : t->kind == TERM_BOOLEAN ? "boolean"
           : t->kind == TERM_NUMBER  ? "number"
           : t->kind == TERM_STRING  ? "string"
           : t->kind == TERM_REF     ? "ref"
                                     : "templatestring";
}

/* `.name`, `[expr]` and `(args)` behind a term, each without white space in front (but for the first of a rule head). */
struct term *parse_ref(struct parser *p, struct term *head, bool space_allowed)
{
    enum token_kind kind = p->tok.kind;
    struct term    *ref  = NULL;

    while ((kind == TOKEN_DOT || kind == TOKEN_LBRACKET || kind == TOKEN_LPAREN) &&
           (!p->tok.space_before || space_allowed)) {
        if (!ref) {
            if (!may_head_a_ref(head))
                return front_error(p->f, head->at, PARSE_ERROR, "illegal ref (head cannot be %s)", kind_name(head));
            ref = term_new(p->f, TERM_REF, head->at);
            LIST_ADD(p->f, &ref->items, head);
        }
        space_allowed = false;
        if (kind == TOKEN_LPAREN) {
            struct term *call = parse_call(p, ref);

            if (!call || call->kind != TERM_CALL)
                return call;
            if (p->tok.space_before || (p->tok.kind != TOKEN_DOT && p->tok.kind != TOKEN_LBRACKET))
                return call;
            head = call;
            ref  = NULL;
        } else {
            struct term *part = parse_operand(p);

            if (!part)
                return NULL;
            LIST_ADD(p->f, &ref->items, part);
            if (ref->items.n > REF_PARTS_MAX)
                return front_error(p->f, part->at, PARSE_ERROR, "reference is too long");
            ref->at.end = p->lexer.end;
        }
        kind = p->tok.kind;
    }
    if (ref)
        return ref;
    if (term_is_var(head, "data") || term_is_var(head, "input")) {
        ref = term_new(p->f, TERM_REF, head->at);
        LIST_ADD(p->f, &ref->items, head);
        return ref;
    }
    return head;
}

static struct term *parse_plain(struct parser *p)
{
    struct term    *t  = NULL;
    struct location at = p->tok.at;

    if (p->tok.kind == TOKEN_IDENT || p->tok.kind == TOKEN_CONTAINS || at_ref_keyword(p))
        return parse_variable(p);
    if (p->tok.kind == TOKEN_NULL || p->tok.kind == TOKEN_TRUE || p->tok.kind == TOKEN_FALSE) {
        t = p->tok.kind == TOKEN_NULL ? term_new(p->f, TERM_NULL, at) : term_bool(p->f, p->tok.kind == TOKEN_TRUE, at);
        advance(p);
        return t;
    }
    if (p->tok.kind == TOKEN_NUMBER)
        return parse_number(p, false, at);
    if (p->tok.kind == TOKEN_STRING || p->tok.kind == TOKEN_RAW_STRING)
        return parse_string(p);
    if (p->tok.kind == TOKEN_TEMPLATE_PART || p->tok.kind == TOKEN_TEMPLATE_END)
        return parse_template(p);
    if (p->tok.kind == TOKEN_LPAREN)
        return parse_parens(p);
    if (p->tok.kind == TOKEN_LBRACKET)
        t = parse_array(p);
    else if (p->tok.kind == TOKEN_LBRACE)
        t = parse_braces(p);
    else
        return unexpected(p, NULL);
    if (t) {
        t->at.end = p->tok.at.end;
        advance(p); /* over the closing bracket */
    }
    return t;
}

struct term *parse_term(struct parser *p)
{
    if (!enter(p))
        return NULL;
    struct term *t = p->tok.kind == TOKEN_SUB ? parse_minus(p) : parse_plain(p);
    if (t && t->kind != TERM_CALL)
        t = parse_ref(p, t, false);
    else if (t && t->in_parens)
        t = parse_ref(p, t, false);
    leave(p);
    return t;
}
