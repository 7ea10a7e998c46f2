#include "policy/rego/ast.h"

#include <string.h>

struct term *term_new(struct front *f, enum term_kind kind, struct location at)
{
    struct term *t = front_take(f, sizeof *t);

    t->kind  = kind;
    t->at    = at;
    t->depth = 1;
    return t;
}

struct term *term_bool(struct front *f, bool truth, struct location at)
{
    struct term *t = term_new(f, TERM_BOOLEAN, at);

    t->truth = truth;
    return t;
}

static struct term *named(struct front *f, enum term_kind kind, struct name *text, struct location at)
{
    struct term *t = term_new(f, kind, at);

    t->text = text;
    return t;
}

struct term *term_string(struct front *f, struct name *text, struct location at)
{
    return named(f, TERM_STRING, text, at);
}

struct term *term_var(struct front *f, struct name *name, struct location at)
{
    return named(f, TERM_VAR, name, at);
}

struct term *term_number(struct front *f, struct name *text, struct location at)
{
    return named(f, TERM_NUMBER, text, at);
}

struct term *term_operator(struct front *f, const char *name, struct location at)
{
    struct term *ref = term_new(f, TERM_REF, at);

    for (const char *part = name; part;) {
        const char  *dot = strchr(part, '.');
        size_t       len = dot ? (size_t) (dot - part) : strlen(part);
        struct name *n   = name_of(f, part, len);

        LIST_ADD(f, &ref->items, part == name ? term_var(f, n, at) : term_string(f, n, at));
        part = dot ? dot + 1 : NULL;
    }
    return ref;
}

struct expr *expr_new(struct front *f, enum expr_kind kind, struct location at)
{
    struct expr *e = front_take(f, sizeof *e);

    e->kind = kind;
    e->at   = at;
    return e;
}

struct expr *expr_of_term(struct front *f, struct term *t)
{
    struct expr *e = expr_new(f, EXPR_TERM, t->at);

    e->term = t;
    return e;
}

struct expr *expr_call(struct front *f, const char *operator, struct term *a, struct term *b, struct location at)
{
    struct expr *e = expr_new(f, EXPR_CALL, at);

    LIST_ADD(f, &e->terms, term_operator(f, operator, at));
    LIST_ADD(f, &e->terms, a);
    LIST_ADD(f, &e->terms, b);
    return e;
}

static struct term_list terms_copy(struct front *f, const struct term_list *from)
{
    struct term_list to = { 0 };

    for (uint32_t i = 0; i < from->n; i++)
        LIST_ADD(f, &to, term_copy(f, from->at[i]));
    return to;
}

struct term *term_copy(struct front *f, const struct term *t)
{
    if (!t)
        return NULL;

    struct term *copy = term_new(f, t->kind, t->at);
    *copy = *t;
    front_step(f, 1);
    switch (t->kind) {
    case TERM_REF:
    case TERM_ARRAY:
    case TERM_OBJECT:
    case TERM_SET:
    case TERM_CALL:
        copy->items = terms_copy(f, &t->items);
        break;
    case TERM_ARRAY_COMPREHENSION:
    case TERM_OBJECT_COMPREHENSION:
    case TERM_SET_COMPREHENSION:
        copy->compr        = front_take(f, sizeof *copy->compr);
        copy->compr->key   = term_copy(f, t->compr->key);
        copy->compr->value = term_copy(f, t->compr->value);
        copy->compr->body  = body_copy(f, &t->compr->body);
        break;
    case TERM_TEMPLATE:
        copy->parts = body_copy(f, &t->parts);
        break;
    case TERM_NULL:
    case TERM_BOOLEAN:
    case TERM_NUMBER:
    case TERM_STRING:
    case TERM_VAR:
        break;
    }
    return copy;
}

struct expr *expr_copy(struct front *f, const struct expr *e)
{
    struct expr *copy = front_take(f, sizeof *copy);

    *copy       = *e;
    copy->term  = term_copy(f, e->term);
    copy->terms = terms_copy(f, &e->terms);
    if (e->every) {
        copy->every         = front_take(f, sizeof *copy->every);
        copy->every->key    = term_copy(f, e->every->key);
        copy->every->value  = term_copy(f, e->every->value);
        copy->every->domain = term_copy(f, e->every->domain);
        copy->every->body   = body_copy(f, &e->every->body);
    }
    copy->with = (struct with_list){ 0 };
    for (uint32_t i = 0; i < e->with.n; i++) {
        struct with w = e->with.at[i];

        w.target = term_copy(f, w.target);
        w.value  = term_copy(f, w.value);
        LIST_ADD(f, &copy->with, w);
    }
    return copy;
}

body body_copy(struct front *f, const body *b)
{
    body copy = { 0 };

    for (uint32_t i = 0; i < b->n; i++)
        LIST_ADD(f, &copy, expr_copy(f, b->at[i]));
    return copy;
}

bool term_is_scalar(const struct term *t)
{
    return t->kind <= TERM_STRING;
}

bool term_is_comprehension(const struct term *t)
{
    return t->kind >= TERM_ARRAY_COMPREHENSION && t->kind <= TERM_SET_COMPREHENSION;
}

bool term_is_collection(const struct term *t)
{
    return t->kind == TERM_ARRAY || t->kind == TERM_OBJECT || t->kind == TERM_SET;
}

bool term_is_ground(const struct term *t)
{
    if (t->kind == TERM_VAR)
        return false;
    if (term_is_collection(t) || t->kind == TERM_CALL || t->kind == TERM_REF)
        for (uint32_t i = t->kind == TERM_REF || t->kind == TERM_CALL ? 1 : 0; i < t->items.n; i++)
            if (!term_is_ground(t->items.at[i]))
                return false;
    return true;
}

bool term_is_constant(const struct term *t)
{
    if (term_is_scalar(t))
        return true;
    if (!term_is_collection(t))
        return false;
    for (uint32_t i = 0; i < t->items.n; i++)
        if (!term_is_constant(t->items.at[i]))
            return false;
    return true;
}

bool term_is_var(const struct term *t, const char *name)
{
    return t->kind == TERM_VAR && name_is(t->text, name);
}

bool term_equal(const struct term *a, const struct term *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == TERM_NULL)
        return true;
    if (a->kind == TERM_BOOLEAN)
        return a->truth == b->truth;
    if (a->kind <= TERM_VAR)
        return a->text == b->text;
    if (term_is_comprehension(a) || a->kind == TERM_TEMPLATE)
        return a == b;
    if (a->items.n != b->items.n)
        return false;
    for (uint32_t i = 0; i < a->items.n; i++)
        if (!term_equal(a->items.at[i], b->items.at[i]))
            return false;
    return true;
}

bool ref_is_root(const struct term *t, const char *name)
{
    return t->kind == TERM_REF && term_is_var(t->items.at[0], name);
}

bool ref_is_ground(const struct term *t)
{
    for (uint32_t i = 1; i < t->items.n; i++)
        if (!term_is_ground(t->items.at[i]))
            return false;
    return true;
}

bool operator_is(const struct term *operator, const char *name)
{
    if (operator->kind != TERM_REF)
        return false;
    for (uint32_t i = 0; i < operator->items.n; i++) {
        const struct term *part = operator->items.at[i];

        if (part->kind != (i == 0 ? TERM_VAR : TERM_STRING))
            return false;
        if (strncmp(name, part->text->text, part->text->len) != 0)
            return false;
        name += part->text->len;
        if (i + 1 < operator->items.n && *name++ != '.')
            return false;
    }
    return *name == '\0';
}

bool expr_is_call_of(const struct expr *e, const char *name)
{
    return e->kind == EXPR_CALL && operator_is(e->terms.at[0], name);
}
