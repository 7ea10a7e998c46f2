#include "policy/rego/regex.h"

#include <string.h>

#include "policy/rego/regex_program.h"
#include "policy/rego/utf8.h"

struct writer_of_code {
    struct arena      *arena;
    struct regex_code *code;
    uint32_t           n, room;
    bool               full;
};

static bool make_room(struct writer_of_code *w)
{
    uint32_t           room = w->room ? w->room * 2 : 64;
    struct regex_code *code;

    if (w->n < w->room)
        return true;
    code = arena_take(w->arena, room * sizeof *code);
    if (!code)
        return false;
    if (w->n > 0)
        memcpy(code, w->code, w->n * sizeof *code);
    w->code = code;
    w->room = room;
    return true;
}

#define NO_CODE UINT32_MAX

static uint32_t put_code(struct writer_of_code *w, struct regex_code c)
{
    if (w->full || w->n >= REGEX_PROGRAM_MAX || !make_room(w)) {
        w->full = true;
        return 0;
    }
    w->code[w->n] = c;
    return w->n++;
}

static uint32_t put_op(struct writer_of_code *w, enum regex_op op, uint32_t value)
{
    return put_code(w, (struct regex_code){ .op = (uint8_t) op, .value = value });
}

/* A split whose first way is what comes next, if greedy; the other way is filled in later. */
static void point_out(struct writer_of_code *w, uint32_t split, bool greedy, uint32_t body, uint32_t end)
{
    if (w->full)
        return;
    w->code[split].to    = greedy ? body : end;
    w->code[split].other = greedy ? end : body;
}

static bool may_be_empty(const struct node *n)
{
    switch (n->kind) {
    case NODE_EMPTY:
    case NODE_ASSERT:
        return true;
    case NODE_RUNE:
    case NODE_CLASS:
    case NODE_ANY:
    case NODE_ANY_BUT_NEWLINE:
        return false;
    case NODE_GROUP:
        return may_be_empty(n->sub);
    case NODE_REPEAT:
        return n->min == 0 || may_be_empty(n->sub);
    case NODE_CONCAT:
        for (const struct node *s = n->sub; s; s = s->next)
            if (!may_be_empty(s))
                return false;
        return true;
    case NODE_EITHER:
        for (const struct node *s = n->sub; s; s = s->next)
            if (may_be_empty(s))
                return true;
        return false;
    }
    return true;
}

static void put_node(struct writer_of_code *w, const struct node *n);

static void put_plus(struct writer_of_code *w, const struct node *n)
{
    uint32_t body = w->n, split;

    put_node(w, n->sub);
    split = put_op(w, RE_SPLIT, 0);
    point_out(w, split, n->greedy, body, w->n);
}

static void put_star(struct writer_of_code *w, const struct node *n)
{
    uint32_t split = put_op(w, RE_SPLIT, 0), body = w->n;

    if (may_be_empty(n->sub)) { /* (x+)?, so that an empty x is tried once */
        put_plus(w, n);
    } else {
        put_node(w, n->sub);
        (void) put_code(w, (struct regex_code){ .op = RE_JUMP, .to = split }); /* full is asked at the end */
    }
    point_out(w, split, n->greedy, body, w->n);
}

static void put_repeat(struct writer_of_code *w, const struct node *n)
{
    uint32_t splits = NO_CODE; /* chain through `to` */

    if (n->min == 0 && n->max == REPEAT_FOREVER) {
        put_star(w, n);
        return;
    }
    for (uint32_t i = 0; i + (n->max == REPEAT_FOREVER) < n->min && !w->full; i++)
        put_node(w, n->sub);
    if (n->max == REPEAT_FOREVER) {
        put_plus(w, n);
        return;
    }
    for (uint32_t i = n->min; i < n->max && !w->full; i++) {
        splits = put_code(w, (struct regex_code){ .op = RE_SPLIT, .to = splits });
        put_node(w, n->sub);
    }
    for (uint32_t next; splits != NO_CODE && !w->full; splits = next) {
        next = w->code[splits].to;
        point_out(w, splits, n->greedy, splits + 1, w->n);
    }
}

static void put_either(struct writer_of_code *w, const struct node *n)
{
    uint32_t jumps = NO_CODE; /* chain through `to` */

    for (const struct node *s = n->sub; s && !w->full; s = s->next) {
        uint32_t split = s->next ? put_op(w, RE_SPLIT, 0) : 0;

        put_node(w, s);
        if (!s->next)
            break;
        jumps = put_code(w, (struct regex_code){ .op = RE_JUMP, .to = jumps });
        point_out(w, split, true, split + 1, w->n);
    }
    for (uint32_t next; jumps != NO_CODE && !w->full; jumps = next) {
        next              = w->code[jumps].to;
        w->code[jumps].to = w->n;
    }
}

static void put_node(struct writer_of_code *w, const struct node *n)
{
    switch (n->kind) {
    case NODE_EMPTY:
        return;
    case NODE_RUNE:
        (void) put_op(w, RE_RUNE, n->value);
        return;
    case NODE_CLASS:
        (void) put_code(w, (struct regex_code){ .op = RE_CLASS, .set = n->set });
        return;
    case NODE_ANY:
        (void) put_op(w, RE_ANY, 0);
        return;
    case NODE_ANY_BUT_NEWLINE:
        (void) put_op(w, RE_ANY_BUT_NEWLINE, 0);
        return;
    case NODE_ASSERT:
        (void) put_op(w, RE_ASSERT, n->value);
        return;
    case NODE_GROUP:
        (void) put_op(w, RE_SAVE, 2 * n->value);
        put_node(w, n->sub);
        (void) put_op(w, RE_SAVE, 2 * n->value + 1);
        return;
    case NODE_REPEAT:
        put_repeat(w, n);
        return;
    case NODE_CONCAT:
        for (const struct node *s = n->sub; s && !w->full; s = s->next)
            put_node(w, s);
        return;
    case NODE_EITHER:
        put_either(w, n);
        return;
    }
}

static void add_first(struct regex *re, uint32_t low, uint32_t high)
{
    for (uint32_t b = low; b <= high && b < 256; b++)
        re->first[b / 64] |= UINT64_C(1) << (b % 64);
}

static void first_of(struct regex *re, const struct regex_code *c)
{
    char bytes[4];

    if (c->op == RE_RUNE) {
        (void) utf8_write(c->value, bytes); /* the first byte is what counts */
        add_first(re, (uint8_t) bytes[0], (uint8_t) bytes[0]);
    } else if (c->op == RE_CLASS) {
        re->first[0] |= c->set->ascii[0];
        re->first[1] |= c->set->ascii[1];
        add_first(re, 128, 255);
    } else {
        add_first(re, 0, 255);
    }
}

/* Which bytes a match can start with, and whether only at the start of the text. */
static bool look_ahead(struct regex *re, struct arena *a)
{
    uint32_t *stack = arena_take(a, ((size_t) re->n_code + 2) * sizeof *stack), n = 0;
    uint8_t  *seen  = arena_zeroed(a, re->n_code);
    bool      ends  = false;

    if (!stack || !seen)
        return false;
    re->anchored = true;
    for (stack[n++] = 0; n > 0;) {
        uint32_t                 at = stack[--n];
        const struct regex_code *c  = &re->code[at];

        if (seen[at])
            continue;
        seen[at] = true;
        if (c->op == RE_SPLIT) {
            stack[n++] = c->to;
            stack[n++] = c->other;
        } else if (c->op == RE_JUMP) {
            stack[n++] = c->to;
        } else if (c->op == RE_ASSERT && c->value == ASSERT_TEXT_START) {
            ends = true; /* what comes behind is not looked at */
        } else if (c->op == RE_SAVE || c->op == RE_ASSERT) {
            stack[n++] = at + 1;
        } else {
            re->anchored = false;
            ends |= c->op == RE_MATCH;
            if (c->op != RE_MATCH)
                first_of(re, c);
        }
    }
    re->has_first = !ends;
    return true;
}

FALLIBLE regex_compile(struct arena *a, struct bytes pattern, const struct regex **out, struct err *err)
{
    struct regex_tree     tree;
    struct writer_of_code w  = { .arena = a };
    struct regex         *re = arena_zeroed(a, sizeof *re);

    if (!re || !regex_parse(a, pattern, &tree, err))
        return re ? false : fail_with(err, ERR_LIMIT, "regular expression: memory");
    put_node(&w, tree.root);
    (void) put_op(&w, RE_MATCH, 0);
    if (w.full)
        return fail_with(err, ERR_LIMIT, "regular expression: memory, or more than %d instructions", REGEX_PROGRAM_MAX);
    re->code     = w.code;
    re->n_code   = w.n;
    re->n_groups = tree.n_groups;
    re->names    = tree.names;
    if (!look_ahead(re, a))
        return fail_with(err, ERR_LIMIT, "regular expression: memory");
    *out = re;
    return true;
}

uint32_t regex_groups(const struct regex *re)
{
    return re->n_groups;
}

uint32_t regex_group_named(const struct regex *re, struct bytes name)
{
    for (uint32_t i = 1; i < re->n_groups; i++)
        if (re->names[i].len > 0 && bytes_equal(re->names[i], name))
            return i;
    return re->n_groups;
}
