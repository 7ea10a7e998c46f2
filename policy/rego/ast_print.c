#include "policy/rego/ast.h"

#include <string.h>

struct chars {
    char    *at;
    uint32_t n;
    uint32_t room;
};

static void add(struct front *f, struct chars *c, const char *text)
{
    for (; *text; text++)
        LIST_ADD(f, c, *text);
}

static void add_quoted(struct front *f, struct chars *c, const struct name *n)
{
    LIST_ADD(f, c, '"');
    for (uint32_t i = 0; i < n->len; i++) {
        char b = n->text[i];

        if (b == '"' || b == '\\') {
            LIST_ADD(f, c, '\\');
            LIST_ADD(f, c, b);
        } else if (b == '\n') {
            add(f, c, "\\n");
        } else if (b == '\t') {
            add(f, c, "\\t");
        } else if ((uint8_t) b < 0x20) {
            add(f, c, front_printf(f, "\\u%04x", (unsigned) (uint8_t) b));
        } else {
            LIST_ADD(f, c, b);
        }
    }
    LIST_ADD(f, c, '"');
}

static void print_term(struct front *f, struct chars *c, const struct term *t);
static void print_body(struct front *f, struct chars *c, const body *b);

static bool is_plain_word(const struct name *n)
{
    if (n->len == 0 || (n->text[0] >= '0' && n->text[0] <= '9'))
        return false;
    for (uint32_t i = 0; i < n->len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", n->text[i]))
            return false;
    return true;
}

static void print_ref(struct front *f, struct chars *c, const struct term *t, uint32_t n)
{
    print_term(f, c, t->items.at[0]);
    for (uint32_t i = 1; i < n && i < t->items.n; i++) {
        const struct term *part = t->items.at[i];

        if (part->kind == TERM_STRING && is_plain_word(part->text)) {
            LIST_ADD(f, c, '.');
            add(f, c, part->text->text);
        } else {
            LIST_ADD(f, c, '[');
            print_term(f, c, part);
            LIST_ADD(f, c, ']');
        }
    }
}

static void print_items(struct front *f, struct chars *c, const struct term_list *items, uint32_t from)
{
    for (uint32_t i = from; i < items->n; i++) {
        if (i > from)
            add(f, c, ", ");
        print_term(f, c, items->at[i]);
    }
}

static void print_object(struct front *f, struct chars *c, const struct term *t)
{
    LIST_ADD(f, c, '{');
    for (uint32_t i = 0; i + 1 < t->items.n; i += 2) {
        if (i > 0)
            add(f, c, ", ");
        print_term(f, c, t->items.at[i]);
        add(f, c, ": ");
        print_term(f, c, t->items.at[i + 1]);
    }
    LIST_ADD(f, c, '}');
}

static void print_comprehension(struct front *f, struct chars *c, const struct term *t)
{
    bool array = t->kind == TERM_ARRAY_COMPREHENSION;

    LIST_ADD(f, c, array ? '[' : '{');
    if (t->compr->key) {
        print_term(f, c, t->compr->key);
        add(f, c, ": ");
    }
    print_term(f, c, t->compr->value);
    add(f, c, " | ");
    print_body(f, c, &t->compr->body);
    LIST_ADD(f, c, array ? ']' : '}');
}

static void print_call(struct front *f, struct chars *c, const struct term_list *items)
{
    print_term(f, c, items->at[0]);
    LIST_ADD(f, c, '(');
    print_items(f, c, items, 1);
    LIST_ADD(f, c, ')');
}

static void print_bracketed(struct front *f, struct chars *c, const struct term *t)
{
    if (t->kind == TERM_SET && t->items.n == 0) {
        add(f, c, "set()");
        return;
    }
    LIST_ADD(f, c, t->kind == TERM_ARRAY ? '[' : '{');
    print_items(f, c, &t->items, 0);
    LIST_ADD(f, c, t->kind == TERM_ARRAY ? ']' : '}');
}

static void print_term(struct front *f, struct chars *c, const struct term *t)
{
    front_step(f, 1);
    switch (t->kind) {
    case TERM_NULL:
        add(f, c, "null");
        return;
    case TERM_BOOLEAN:
        add(f, c, t->truth ? "true" : "false");
        return;
    case TERM_NUMBER:
        add(f, c, t->text->text);
        return;
    case TERM_VAR:
        add(f, c, name_is_wildcard(t->text) ? "_" : t->text->text);
        return;
    case TERM_STRING:
        add_quoted(f, c, t->text);
        return;
    case TERM_REF:
        print_ref(f, c, t, t->items.n);
        return;
    case TERM_ARRAY:
    case TERM_SET:
        print_bracketed(f, c, t);
        return;
    case TERM_OBJECT:
        print_object(f, c, t);
        return;
    case TERM_CALL:
        print_call(f, c, &t->items);
        return;
    case TERM_ARRAY_COMPREHENSION:
    case TERM_OBJECT_COMPREHENSION:
    case TERM_SET_COMPREHENSION:
        print_comprehension(f, c, t);
        return;
    case TERM_TEMPLATE:
        add(f, c, "$\"...\"");
        return;
    }
}

static void print_expr(struct front *f, struct chars *c, const struct expr *e)
{
    if (e->negated)
        add(f, c, "not ");
    if (e->kind == EXPR_TERM) {
        print_term(f, c, e->term);
    } else if (e->kind == EXPR_CALL) {
        print_call(f, c, &e->terms);
    } else if (e->kind == EXPR_SOME) {
        add(f, c, "some ");
        print_items(f, c, &e->terms, 0);
    } else {
        add(f, c, "every ... in ");
        print_term(f, c, e->every->domain);
    }
}

static void print_body(struct front *f, struct chars *c, const body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (i > 0)
            add(f, c, "; ");
        print_expr(f, c, b->at[i]);
    }
}

const char *term_text(struct front *f, const struct term *t)
{
    struct chars c = { 0 };

    print_term(f, &c, t);
    LIST_ADD(f, &c, '\0');
    return c.at;
}

const char *ref_text(struct front *f, const struct term *ref, uint32_t n_parts)
{
    struct chars c = { 0 };

    print_ref(f, &c, ref, n_parts);
    LIST_ADD(f, &c, '\0');
    return c.at;
}
