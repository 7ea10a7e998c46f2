/* Shared by the parser's four files; nobody else includes it. */
#pragma once

#include "policy/rego/lexer.h"
#include "policy/rego/parser.h"

struct parser {
    struct front  *f;
    struct module *module;
    struct lexer   lexer;
    struct token   tok;
    uint32_t       depth;
    bool           v1; /* `if` and `contains` are required */
    bool           imported_v1;
    bool           imported_future;
    bool           not_is_closure; /* import future.keywords.not: an undefined operand makes `not` true */
    bool           has_and;        /* experimental: import future.keywords.and, or */
    bool           has_or;
    bool           experimental;
};

/* To step back to: the text position and how many errors there were. */
struct bookmark {
    struct lexer lexer;
    struct token tok;
    uint32_t     n_errors;
    uint32_t     depth;
};

struct bookmark mark(const struct parser *p);
void            step_back(struct parser *p, const struct bookmark *b);
void            advance(struct parser *p);
bool            enter(struct parser *p); /* one nesting level deeper; does not return at the limit */
void            leave(struct parser *p);

/* A keyword that stands directly before . or [ is the head of a reference, not a keyword. */
bool at_ref_keyword(const struct parser *p);
bool at_keyword(const struct parser *p, enum token_kind kind);
void *unexpected(struct parser *p, const char *note); /* notes an error about the token at hand; NULL */

struct term *parse_term(struct parser *p);                         /* an operand of an operator */
struct term *parse_ref(struct parser *p, struct term *head, bool space_allowed);
struct term *parse_expression(struct parser *p, bool key_value);   /* with operators; key_value: may be `k, v in xs` */
struct term *parse_variable(struct parser *p);
struct expr *parse_literal(struct parser *p);
bool         parse_body(struct parser *p, enum token_kind end, body *to); /* up to `end`, which is not consumed */
bool         parse_rule(struct parser *p);                          /* adds to p->module */
