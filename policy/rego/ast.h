/* The syntax tree: what the parser makes and the compiler passes rewrite in place. */
#pragma once

#include "policy/rego/front.h"

enum term_kind {
    TERM_NULL,
    TERM_BOOLEAN,
    TERM_NUMBER, /* `text` is the literal as written */
    TERM_STRING,
    TERM_VAR,
    TERM_REF,    /* items: head, then operands */
    TERM_ARRAY,
    TERM_OBJECT, /* items: key, value, key, value ... */
    TERM_SET,
    TERM_ARRAY_COMPREHENSION,
    TERM_OBJECT_COMPREHENSION,
    TERM_SET_COMPREHENSION,
    TERM_CALL,    /* items: operator (a ref), then operands */
    TERM_TEMPLATE /* parts: literals of one scalar term, or expressions */
};

struct term_list {
    struct term **at;
    uint32_t      n;
    uint32_t      room;
};

struct expr_list {
    struct expr **at;
    uint32_t      n;
    uint32_t      room;
};
typedef struct expr_list body;

struct comprehension {
    struct term *key;   /* objects only */
    struct term *value; /* the element */
    body         body;
};

struct term {
    enum term_kind  kind;
    bool            in_parens; /* written in parentheses: no key of `k, v in xs` */
    uint16_t        depth;     /* of the tree below, for CHAIN_MAX */
    struct location at;
    union {
        bool                  truth;
        struct name          *text;  /* number, string, var */
        struct term_list      items; /* ref, array, object, set, call */
        struct comprehension *compr;
        struct expr_list      parts; /* template */
    };
};

enum expr_kind {
    EXPR_TERM,
    EXPR_CALL, /* terms: operator, then operands */
    EXPR_SOME, /* terms: declared variables, or one call of internal.member_2 or _3 */
    EXPR_EVERY
};

struct with {
    struct term    *target;
    struct term    *value;
    bool            names_function; /* the value is the name of a function, not evaluated */
    struct location at;
};

struct with_list {
    struct with *at;
    uint32_t     n;
    uint32_t     room;
};

struct every {
    struct term *key; /* NULL when not given */
    struct term *value;
    struct term *domain;
    body         body;
};

struct expr {
    enum expr_kind   kind;
    bool             negated;
    bool             generated; /* made by the compiler */
    struct location  at;
    struct term     *term;  /* EXPR_TERM */
    struct term_list terms; /* EXPR_CALL, EXPR_SOME */
    struct every    *every; /* EXPR_EVERY */
    struct with_list with;
};

/* How a rule contributes to its document. */
struct head {
    struct location  at;
    struct term     *ref;   /* TERM_REF, at first as written, later from `data` on */
    struct term_list args;
    bool             is_function; /* has arguments */
    struct term     *key;   /* with `contains`: the element; then value is NULL */
    struct term     *value; /* NULL only with `contains` */
    bool             assign; /* := */
    bool             generated_value;
    bool             has_if;
    bool             has_contains;
};

struct rule {
    struct location at;
    bool            is_default;
    bool            generated_body;
    struct head     head;
    body            body;
    struct rule    *otherwise; /* the else branch */
    struct module  *module;
    struct term    *path;      /* of the head: data, package parts, head parts */
};

struct rule_list {
    struct rule **at;
    uint32_t      n;
    uint32_t      room;
};

struct import {
    struct location at;
    struct term    *path; /* TERM_REF */
    struct name    *alias; /* as given; NULL when not */
    struct name    *name;  /* the variable that it binds; NULL for future and rego imports */
};

struct import_list {
    struct import *at;
    uint32_t       n;
    uint32_t       room;
};

struct module {
    uint32_t           file;
    bool               is_v1; /* by option or by import rego.v1 */
    struct term       *package; /* TERM_REF from `data` on */
    struct import_list imports;
    struct rule_list   rules;
};

struct module_list {
    struct module **at;
    uint32_t        n;
    uint32_t        room;
};

struct term *term_new(struct front *f, enum term_kind kind, struct location at);
struct term *term_bool(struct front *f, bool truth, struct location at);
struct term *term_string(struct front *f, struct name *text, struct location at);
struct term *term_var(struct front *f, struct name *name, struct location at);
struct term *term_number(struct front *f, struct name *text, struct location at);
struct term *term_operator(struct front *f, const char *name, struct location at); /* ref of a dotted built-in name */
struct expr *expr_new(struct front *f, enum expr_kind kind, struct location at);
struct expr *expr_of_term(struct front *f, struct term *t);
struct expr *expr_call(struct front *f, const char *operator, struct term *a, struct term *b, struct location at);
struct term *term_copy(struct front *f, const struct term *t);
struct expr *expr_copy(struct front *f, const struct expr *e);
body         body_copy(struct front *f, const body *b);

bool         term_is_scalar(const struct term *t);
bool         term_is_comprehension(const struct term *t);
bool         term_is_collection(const struct term *t); /* array, object, set */
bool         term_is_ground(const struct term *t);     /* no variable below, closures apart */
bool         term_is_constant(const struct term *t);   /* scalars and collections of them only */
bool         term_is_var(const struct term *t, const char *name);
bool         term_equal(const struct term *a, const struct term *b); /* as written; closures differ */
bool         ref_is_root(const struct term *t, const char *name); /* a ref whose head is this variable */
bool         ref_is_ground(const struct term *t);
bool         operator_is(const struct term *operator, const char *name);
bool         expr_is_call_of(const struct expr *e, const char *name);

/* As OPA prints them; in the arena of `f`. */
const char *term_text(struct front *f, const struct term *t);
const char *ref_text(struct front *f, const struct term *ref, uint32_t n_parts);
