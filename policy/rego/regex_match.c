#include <string.h>

#include "policy/rego/regex_program.h"
#include "policy/rego/utf8.h"

/*
 * Pike's simulation: all threads step through the text side by side, in order of preference. At each place
 * a thread stands at most once at each instruction, so the work is bounded by instructions times text.
 */
struct threads {
    uint32_t *at;    /* instructions that consume, by preference */
    uint32_t  n;
    size_t   *slots; /* n_slots for each instruction */
};

struct search {
    const struct regex *re;
    struct regex_input *in;
    uint32_t            n_slots;
    uint32_t           *seen;  /* for each instruction, the place (plus one) where a thread last came to it */
    uint32_t           *stack; /* instructions to follow; with RESTORE: a slot to put back */
    size_t             *saved; /* what is put back */
    size_t             *now;   /* slots of the thread being followed */
    size_t             *best;
    bool                found;
};

#define RESTORE 0x80000000u

static const char *text_at(const struct search *s, size_t i)
{
    return (const char *) s->in->text.at + i;
}

static bool is_word(const struct search *s, size_t i)
{
    uint8_t c = i < s->in->text.len ? s->in->text.at[i] : 0;

    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool holds(const struct search *s, uint32_t assertion, size_t i)
{
    bool at_word = is_word(s, i), behind_word = i > 0 && is_word(s, i - 1);

    switch ((enum assertion) assertion) {
    case ASSERT_LINE_START:
        return i == 0 || s->in->text.at[i - 1] == '\n';
    case ASSERT_LINE_END:
        return i == s->in->text.len || s->in->text.at[i] == '\n';
    case ASSERT_TEXT_START:
        return i == 0;
    case ASSERT_TEXT_END:
        return i == s->in->text.len;
    case ASSERT_WORD:
        return at_word != behind_word;
    case ASSERT_NO_WORD:
        return at_word == behind_word;
    }
    return false;
}

/* Notes a thread that waits for the next code point, or a match. */
static void park(struct search *s, struct threads *t, uint32_t at)
{
    if (s->n_slots > 0)
        memcpy(t->slots + (size_t) t->n * s->n_slots, s->now, s->n_slots * sizeof *s->now);
    t->at[t->n++] = at;
}

/* Follows everything that needs no text from an instruction on, by preference. */
static bool follow(struct search *s, struct threads *t, uint32_t from, size_t i, uint32_t mark)
{
    uint32_t n = 0;

    s->stack[n++] = from;
    while (n > 0) {
        uint32_t at = s->stack[--n];

        if (s->in->budget-- == 0) {
            s->in->budget = 0;
            arena_refuse(s->in->arena, "work of a regular expression");
            return false;
        }
        if (at & RESTORE) {
            s->now[at & ~RESTORE] = s->saved[n];
            continue;
        }
        if (s->seen[at] == mark)
            continue;
        s->seen[at] = mark;

        const struct regex_code *c = &s->re->code[at];
        if (c->op == RE_SPLIT) {
            s->stack[n++] = c->other;
            s->stack[n++] = c->to;
        } else if (c->op == RE_JUMP) {
            s->stack[n++] = c->to;
        } else if (c->op == RE_ASSERT) {
            if (holds(s, c->value, i))
                s->stack[n++] = at + 1;
        } else if (c->op == RE_SAVE) {
            if (c->value < s->n_slots) {
                s->saved[n]        = s->now[c->value];
                s->stack[n++]      = c->value | RESTORE;
                s->now[c->value]   = i;
            }
            s->stack[n++] = at + 1;
        } else {
            park(s, t, at);
        }
    }
    return true;
}

static bool takes(const struct regex_code *c, uint32_t rune)
{
    switch (c->op) {
    case RE_RUNE:
        return c->value == rune;
    case RE_CLASS:
        return class_has(c->set, rune);
    case RE_ANY:
        return true;
    default:
        return c->op == RE_ANY_BUT_NEWLINE && rune != '\n';
    }
}

/* One code point further; threads less preferred than one that matched are dropped. */
static bool step(struct search *s, struct threads *from, struct threads *to, uint32_t rune, size_t i, size_t next)
{
    to->n = 0;
    for (uint32_t k = 0; k < from->n; k++) {
        const struct regex_code *c     = &s->re->code[from->at[k]];
        const size_t            *slots = s->n_slots > 0 ? from->slots + (size_t) k * s->n_slots : NULL;

        if (c->op == RE_MATCH) {
            s->found = true;
            if (s->n_slots > 0) {
                memcpy(s->best, slots, s->n_slots * sizeof *slots);
                s->best[1] = i;
            }
            return true;
        }
        if (next == i || !takes(c, rune))
            continue;
        if (s->n_slots > 0)
            memcpy(s->now, slots, s->n_slots * sizeof *slots);
        if (!follow(s, to, from->at[k] + 1, next, (uint32_t) next + 1))
            return false;
    }
    return true;
}

/* The next place where a match may start. */
static size_t skip(const struct search *s, size_t i)
{
    while (s->re->has_first && i < s->in->text.len && !(s->re->first[s->in->text.at[i] / 64] >> (s->in->text.at[i] % 64) & 1))
        i++;
    return i;
}

static bool start_thread(struct search *s, struct threads *t, size_t i)
{
    for (uint32_t k = 0; k < s->n_slots; k++)
        s->now[k] = REGEX_NONE;
    if (s->n_slots > 0)
        s->now[0] = i;
    return follow(s, t, 0, i, (uint32_t) i + 1);
}

static bool run(struct search *s, struct threads *now, struct threads *later, size_t from)
{
    const struct bytes text = s->in->text;
    size_t             i    = from;

    for (;;) {
        uint32_t rune = 0;
        size_t   n;

        if (now->n == 0 && (s->found || (s->re->anchored && i > 0)))
            return true;
        if (now->n == 0)
            i = skip(s, i);
        if (!s->found && (!s->re->anchored || i == 0) && !start_thread(s, now, i))
            return false;
        n = i < text.len ? utf8_step(text_at(s, i), text.len - i, &rune) : 0;
        if (!step(s, now, later, rune, i, i + n))
            return false;
        if (i >= text.len || (s->found && s->n_slots == 0))
            return true;
        i += n;

        struct threads swap = *now;
        *now                = *later;
        *later              = swap;
    }
}

static bool get_memory(struct search *s, struct threads *x, struct threads *y)
{
    struct arena *a = s->in->arena;
    size_t        n = s->re->n_code, slots = s->n_slots;

    if (n * slots > 1 << 20) {
        arena_refuse(a, "groups of a regular expression");
        return false;
    }
    x->at    = arena_take(a, n * sizeof *x->at);
    y->at    = arena_take(a, n * sizeof *y->at);
    s->seen  = arena_zeroed(a, n * sizeof *s->seen);
    s->stack = arena_take(a, (2 * n + slots + 2) * sizeof *s->stack);
    if (slots > 0) {
        x->slots = arena_take(a, n * slots * sizeof *x->slots);
        y->slots = arena_take(a, n * slots * sizeof *y->slots);
        s->saved = arena_take(a, (2 * n + slots + 2) * sizeof *s->saved);
        s->now   = arena_take(a, slots * sizeof *s->now);
        s->best  = arena_take(a, slots * sizeof *s->best);
    }
    return !a->failed;
}

FALLIBLE regex_search(const struct regex *re, struct regex_input *in, size_t from, uint32_t n_groups, size_t *slots, bool *found)
{
    struct search     s     = { .re = re, .in = in, .n_slots = 2 * (n_groups < re->n_groups ? n_groups : re->n_groups) };
    struct arena_mark mark  = arena_mark(in->arena);
    struct threads    now   = { 0 }, later = { 0 };
    bool              ok    = get_memory(&s, &now, &later) && run(&s, &now, &later, from);

    *found = ok && s.found;
    for (uint32_t i = 0; i < 2 * n_groups; i++)
        slots[i] = *found && i < s.n_slots ? s.best[i] : REGEX_NONE;
    arena_release(in->arena, mark);
    return ok;
}
