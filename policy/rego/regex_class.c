#include "policy/rego/regex_class.h"

#include <string.h>

#include "policy/rego/letters.h"
#include "policy/rego/regex_tables.h"

enum { RUNE_LAST = 0x10ffff };

void class_add(struct class_builder *b, uint32_t low, uint32_t high)
{
    if (b->failed)
        return;
    if (b->n == b->room) {
        uint32_t      room = b->room ? b->room * 2 : 8;
        struct range *at   = arena_take(b->arena, room * sizeof *at);

        if (!at) {
            b->failed = true;
            return;
        }
        if (b->n > 0)
            memcpy(at, b->at, b->n * sizeof *at);
        b->at   = at;
        b->room = room;
    }
    if (*b->budget == 0) {
        b->failed = true;
        return;
    }
    --*b->budget;
    b->at[b->n++] = (struct range){ low, high };
}

void class_add_negated(struct class_builder *b, const struct range *ranges, size_t n)
{
    uint32_t next = 0;

    for (size_t i = 0; i < n; i++) {
        if (ranges[i].low > next)
            class_add(b, next, ranges[i].low - 1);
        next = ranges[i].high + 1;
    }
    if (next <= RUNE_LAST)
        class_add(b, next, RUNE_LAST);
}

static void add_ranges(struct class_builder *b, const struct range *ranges, size_t n, bool negated)
{
    if (negated) {
        class_add_negated(b, ranges, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        class_add(b, ranges[i].low, ranges[i].high);
}

bool class_add_perl(struct class_builder *b, char letter)
{
    static const struct range digit[] = { { '0', '9' } };
    static const struct range space[] = { { '\t', '\n' }, { '\f', '\r' }, { ' ', ' ' } };
    static const struct range word[]  = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };

    switch (letter) {
    case 'd': case 'D':
        add_ranges(b, digit, 1, letter == 'D');
        return true;
    case 's': case 'S':
        add_ranges(b, space, 3, letter == 'S');
        return true;
    case 'w': case 'W':
        add_ranges(b, word, 4, letter == 'W');
        return true;
    default:
        return false;
    }
}

bool class_add_posix(struct class_builder *b, struct bytes name, bool negated)
{
    static const struct {
        const char  *name;
        size_t       n;
        struct range at[4];
    } rows[] = {
        { "alnum", 3, { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } } },
        { "alpha", 2, { { 'A', 'Z' }, { 'a', 'z' } } },
        { "ascii", 1, { { 0, 0x7f } } },
        { "blank", 2, { { '\t', '\t' }, { ' ', ' ' } } },
        { "cntrl", 2, { { 0, 0x1f }, { 0x7f, 0x7f } } },
        { "digit", 1, { { '0', '9' } } },
        { "graph", 1, { { '!', '~' } } },
        { "lower", 1, { { 'a', 'z' } } },
        { "print", 1, { { ' ', '~' } } },
        { "punct", 4, { { '!', '/' }, { ':', '@' }, { '[', '`' }, { '{', '~' } } },
        { "space", 2, { { '\t', '\r' }, { ' ', ' ' } } },
        { "upper", 1, { { 'A', 'Z' } } },
        { "word", 4, { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
        { "xdigit", 3, { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } } },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (bytes_equal(bytes_of_text(rows[i].name), name)) {
            add_ranges(b, rows[i].at, rows[i].n, negated);
            return true;
        }
    }
    return false;
}

/* Ranges of what is added from here on must be sorted when it is to be negated. */
static void sort_ranges(struct range *at, uint32_t n)
{
    for (uint32_t gap = n / 2; gap > 0; gap /= 2) {
        for (uint32_t i = gap; i < n; i++) {
            struct range r = at[i];
            uint32_t     k = i;

            for (; k >= gap && at[k - gap].low > r.low; k -= gap)
                at[k] = at[k - gap];
            at[k] = r;
        }
    }
}

bool class_add_unicode(struct class_builder *b, struct bytes name, bool negated)
{
    struct class_builder      own = { .arena = b->arena, .budget = b->budget };
    const struct regex_table *t;
    bool                      is_known = bytes_equal(name, bytes_of_text("Any"));
    uint32_t                  low, high;

    if (is_known)
        class_add(&own, 0, RUNE_LAST);
    for (size_t i = 0; (t = regex_table_at(i)); i++) {
        struct regex_table_place place = { 0 };
        size_t                   n     = strlen(t->name);

        if (name.len == 0 || name.len > n || memcmp(name.at, t->name, name.len) != 0 ||
            (name.len != n && !(name.len == 1 && n == 2 && strchr("CLMNPSZ", name.at[0]))))
            continue;
        is_known = true;
        while (regex_table_next(t, &place, &low, &high))
            class_add(&own, low, high);
    }
    sort_ranges(own.at, own.n);
    add_ranges(b, own.at, own.n, negated);
    b->failed |= own.failed;
    return is_known;
}

static bool in_ranges(const struct class *c, uint32_t rune)
{
    uint32_t low = 0, high = c->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (c->at[middle].high < rune)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->at[low].low <= rune;
}

static bool has_any_case(const struct class *c, uint32_t rune)
{
    if (in_ranges(c, rune))
        return true;
    for (uint32_t r = rune_fold(rune), n = 0; c->fold && r != rune && n < 8; r = rune_fold(r), n++)
        if (in_ranges(c, r))
            return true;
    return false;
}

bool class_has(const struct class *c, uint32_t rune)
{
    if (rune < 128)
        return c->ascii[rune / 64] >> (rune % 64) & 1;
    return has_any_case(c, rune) != c->negated;
}

struct class *class_done(struct class_builder *b, bool fold, bool negated)
{
    struct class *c = arena_zeroed(b->arena, sizeof *c);
    uint32_t      n = 0;

    if (!c || b->failed)
        return NULL;
    sort_ranges(b->at, b->n);
    for (uint32_t i = 0; i < b->n; i++) {
        if (n > 0 && b->at[i].low <= b->at[n - 1].high + 1) {
            if (b->at[i].high > b->at[n - 1].high)
                b->at[n - 1].high = b->at[i].high;
        } else {
            b->at[n++] = b->at[i];
        }
    }
    *c = (struct class){ .at = b->at, .n = n, .fold = fold, .negated = negated };
    for (uint32_t rune = 0; rune < 128; rune++)
        if (has_any_case(c, rune) != negated)
            c->ascii[rune / 64] |= UINT64_C(1) << (rune % 64);
    return c;
}
