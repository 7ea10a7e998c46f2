#include "policy/rego/value.h"

#include <string.h>

/*
 * Small sets and objects are one sorted array, and stay that when they are closed. Large open ones are
 * a row of sorted runs, so that an insertion moves at most one run.
 */
enum { RUN_MAX = 128, ROOM_FIRST = 4 };

struct run {
    struct value *at;
    uint32_t      n;
};

struct value value_new(struct arena *a, enum value_type type, size_t expected)
{
    struct collection *c = arena_zeroed(a, sizeof *c);

    if (!c)
        return value_undefined();
    c->open  = true;
    c->width = type == VALUE_OBJECT ? 2 : 1;
    if (expected > 0 && (type == VALUE_ARRAY || expected <= RUN_MAX)) {
        if (expected > VALUE_ELEMENTS_MAX) {
            arena_refuse(a, "elements of one collection");
            return value_undefined();
        }
        c->at = arena_take(a, expected * c->width * sizeof *c->at);
        if (!c->at)
            return value_undefined();
        c->room = (uint32_t) expected;
    }
    return (struct value){ .type = (uint8_t) type, .in = c };
}

static size_t size_of(const struct collection *c, uint32_t n)
{
    return (size_t) n * c->width * sizeof(struct value);
}

static bool make_room(struct arena *a, struct collection *c, uint32_t limit)
{
    if (c->n < c->room)
        return true;
    if (c->n >= VALUE_ELEMENTS_MAX) {
        arena_refuse(a, "elements of one collection");
        return false;
    }

    uint32_t      room = c->room ? c->room * 2 : ROOM_FIRST;
    struct value *at;
    if (room > limit)
        room = limit;
    at = arena_take(a, size_of(c, room));
    if (!at)
        return false;
    if (c->n > 0)
        memcpy(at, c->at, size_of(c, c->n));
    c->at   = at;
    c->room = room;
    return true;
}

bool array_append(struct arena *a, struct value array, struct value element)
{
    if (!make_room(a, array.in, VALUE_ELEMENTS_MAX))
        return false;
    array.in->at[array.in->n++] = element;
    return true;
}

/* Where `key` is in a sorted run, or where it belongs; `same` tells which. */
static uint32_t search(const struct value *at, uint32_t n, uint8_t width, struct value key, bool *same)
{
    uint32_t low = 0, high = n;

    *same = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int      c      = value_compare(at[(size_t) middle * width], key);

        if (c == 0) {
            *same = true;
            return middle;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last run whose first key is not greater. */
static uint32_t run_for(const struct collection *c, struct value key)
{
    uint32_t low = 0, high = c->n_runs;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (value_compare(c->runs[middle].at[0], key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct value *collection_find(const struct collection *c, struct value key)
{
    struct run whole = { c->at, c->n };
    struct run run   = c->n_runs > 0 ? c->runs[run_for(c, key)] : whole;
    bool       same;
    uint32_t   i = search(run.at, run.n, c->width, key, &same);

    return same ? &run.at[(size_t) i * c->width] : NULL;
}

static bool run_insert_row(struct arena *a, struct collection *c, uint32_t where, struct run run)
{
    if (c->n_runs == c->runs_room) {
        uint32_t    room = c->runs_room ? c->runs_room * 2 : 8;
        struct run *runs = arena_take(a, room * sizeof *runs);

        if (!runs)
            return false;
        if (c->n_runs > 0)
            memcpy(runs, c->runs, c->n_runs * sizeof *runs);
        c->runs      = runs;
        c->runs_room = room;
    }
    memmove(&c->runs[where + 1], &c->runs[where], (c->n_runs - where) * sizeof *c->runs);
    c->runs[where] = run;
    c->n_runs++;
    return true;
}

/* Makes room in the full run r: a fresh run behind it takes the upper part (nothing, when filled in order). */
static bool run_split(struct arena *a, struct collection *c, uint32_t r, uint32_t from)
{
    struct run fresh = { arena_take(a, size_of(c, RUN_MAX)), RUN_MAX - from };

    if (!fresh.at || !run_insert_row(a, c, r + 1, fresh))
        return false;
    memcpy(fresh.at, c->runs[r].at + (size_t) from * c->width, size_of(c, fresh.n));
    c->runs[r].n = from;
    return true;
}

static struct value *open_gap(const struct collection *c, struct value *at, uint32_t n, uint32_t where)
{
    struct value *slot = at + (size_t) where * c->width;

    memmove(slot + c->width, slot, size_of(c, n - where));
    return slot;
}

static struct value *insert_in_runs(struct arena *a, struct collection *c, struct value key, bool *same)
{
    uint32_t r = run_for(c, key);
    uint32_t i = search(c->runs[r].at, c->runs[r].n, c->width, key, same);

    if (*same)
        return c->runs[r].at + (size_t) i * c->width;
    if (c->n >= VALUE_ELEMENTS_MAX) {
        arena_refuse(a, "elements of one collection");
        return NULL;
    }
    if (c->runs[r].n == RUN_MAX) {
        uint32_t from = i == RUN_MAX && r + 1 == c->n_runs ? RUN_MAX : RUN_MAX / 2;

        if (!run_split(a, c, r, from))
            return NULL;
        if (i > from || (i == from && from == RUN_MAX)) {
            r++;
            i -= from;
        }
    }
    c->n++;
    return open_gap(c, c->runs[r].at, c->runs[r].n++, i);
}

/* The slot of `key`: the one it has, or a new one at its place in the order. NULL when there is no room. */
static struct value *insert(struct arena *a, struct collection *c, struct value key, bool *same)
{
    if (c->n_runs == 0 && c->n == RUN_MAX) {
        if (c->room < RUN_MAX || !run_insert_row(a, c, 0, (struct run){ c->at, c->n }))
            return NULL;
    }
    if (c->n_runs > 0)
        return insert_in_runs(a, c, key, same);

    uint32_t i = c->n;
    *same      = false;
    if (c->n > 0 && value_compare(c->at[(size_t) (c->n - 1) * c->width], key) >= 0)
        i = search(c->at, c->n, c->width, key, same);
    if (*same)
        return c->at + (size_t) i * c->width;
    if (!make_room(a, c, RUN_MAX))
        return NULL;
    return open_gap(c, c->at, c->n++, i);
}

bool set_add(struct arena *a, struct value set, struct value element)
{
    bool          same;
    struct value *slot = insert(a, set.in, element, &same);

    if (!slot)
        return false;
    if (!same)
        *slot = element;
    return true;
}

bool object_put(struct arena *a, struct value object, struct value key, struct value v)
{
    bool          same;
    struct value *slot = insert(a, object.in, key, &same);

    if (!slot)
        return false;
    if (!same)
        slot[0] = key;
    slot[1] = v;
    return true;
}

static bool flatten(struct arena *a, struct collection *c)
{
    struct value *at = arena_take(a, size_of(c, c->n)), *next = at;

    if (!at)
        return false;
    for (uint32_t r = 0; r < c->n_runs; r++) {
        memcpy(next, c->runs[r].at, size_of(c, c->runs[r].n));
        next += (size_t) c->runs[r].n * c->width;
    }
    c->at     = at;
    c->room   = c->n;
    c->n_runs = 0;
    return true;
}

static bool close_at(struct arena *a, struct value v, unsigned depth)
{
    struct collection *c = v.in;

    if (!value_is_composite(v) || !c->open)
        return true;
    if (depth == 0) {
        arena_refuse(a, "nesting of a value");
        return false;
    }
    if (c->n_runs > 0 && !flatten(a, c))
        return false;

    uint64_t nodes  = 1;
    unsigned levels = 1;
    for (size_t i = 0; i < (size_t) c->n * c->width; i++) {
        struct value e = c->at[i];

        if (!close_at(a, e, depth - 1))
            return false;
        if (value_is_composite(e) && e.in->depth + 1u > levels)
            levels = e.in->depth + 1u;
        if (__builtin_add_overflow(nodes, value_nodes(e), &nodes))
            nodes = UINT64_MAX;
    }
    if (levels > VALUE_DEPTH_MAX) {
        arena_refuse(a, "nesting of a value");
        return false;
    }
    c->depth = (uint16_t) levels;
    c->nodes = nodes;
    c->open  = false;
    return true;
}

bool value_close(struct arena *a, struct value v)
{
    return close_at(a, v, VALUE_DEPTH_MAX + 1);
}

struct value value_reopened(struct arena *a, struct value v)
{
    struct collection *from = v.in;
    struct value       copy = value_new(a, (enum value_type) v.type, 0);

    if (!value_is_defined(copy))
        return copy;
    struct collection *to = copy.in;
    if (from->n <= RUN_MAX || v.type == VALUE_ARRAY) {
        to->room = from->n <= RUN_MAX && v.type != VALUE_ARRAY ? RUN_MAX : from->n + ROOM_FIRST;
        to->at   = arena_take(a, size_of(to, to->room));
        if (!to->at)
            return value_undefined();
        if (from->n > 0)
            memcpy(to->at, from->at, size_of(from, from->n));
        to->n = from->n;
        return copy;
    }
    for (uint32_t i = 0; i < from->n; i += RUN_MAX) {
        struct run run = { arena_take(a, size_of(to, RUN_MAX)), from->n - i < RUN_MAX ? from->n - i : RUN_MAX };

        if (!run.at || !run_insert_row(a, to, to->n_runs, run))
            return value_undefined();
        memcpy(run.at, from->at + (size_t) i * from->width, size_of(from, run.n));
    }
    to->n = from->n;
    return copy;
}

static struct value copy_collection(struct arena *a, struct value v)
{
    const struct collection *from = v.in;
    struct collection       *to   = arena_copy(a, from, sizeof *from);

    if (!to)
        return value_undefined();
    to->room = from->n;
    to->runs = NULL;
    to->at   = arena_take(a, size_of(from, from->n));
    if (!to->at)
        return value_undefined();
    for (size_t i = 0; i < (size_t) from->n * from->width; i++) {
        to->at[i] = value_copy(a, from->at[i]);
        if (!value_is_defined(to->at[i]))
            return value_undefined();
    }
    v.in = to;
    return v;
}

struct value value_copy(struct arena *a, struct value v)
{
    if (value_is_composite(v))
        return copy_collection(a, v);
    if (v.type == VALUE_STRING || (v.type == VALUE_NUMBER && v.is_decimal)) {
        char *text = arena_text(a, v.len);

        if (!text)
            return value_undefined();
        if (v.len > 0)
            memcpy(text, v.text, v.len);
        v.text = text;
    }
    return v;
}
