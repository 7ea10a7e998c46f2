#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"
#include "policy/rego/utf8.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_COLLECTIONS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

enum { ARRAY_OR_SET = TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET) };

static bool append_all(struct call *c, struct value to, struct value from, uint32_t start, uint32_t end)
{
    if (!charge(c, end - start))
        return false;
    for (uint32_t i = start; i < end; i++)
        if (!array_append(c->arena, to, array_at(from, i)))
            return false;
    return true;
}

bool builtin_array_concat(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_ARRAY) || !want(c, args, 1, VALUE_ARRAY))
        return false;
    return give_new(c, VALUE_ARRAY, (size_t) args[0].in->n + args[1].in->n, out) &&
           append_all(c, *out, args[0], 0, args[0].in->n) && append_all(c, *out, args[1], 0, args[1].in->n);
}

bool builtin_array_flatten(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_ARRAY) || !charge(c, args[0].in->n) || !give_new(c, VALUE_ARRAY, args[0].in->n, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++) {
        struct value e = array_at(args[0], i);

        if (!(e.type == VALUE_ARRAY ? append_all(c, *out, e, 0, e.in->n) : array_append(c->arena, *out, e)))
            return false;
    }
    return true;
}

bool builtin_array_reverse(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_ARRAY) || !charge(c, args[0].in->n) || !give_new(c, VALUE_ARRAY, args[0].in->n, out))
        return false;
    for (uint32_t i = args[0].in->n; i-- > 0;)
        if (!array_append(c->arena, *out, array_at(args[0], i)))
            return false;
    return true;
}

bool builtin_array_slice(struct call *c, const struct value *args, struct value *out)
{
    int64_t from, to, n;

    if (!want(c, args, 0, VALUE_ARRAY) || !want_int(c, args, 1, &from) || !want_int(c, args, 2, &to))
        return false;
    n    = args[0].in->n;
    from = from < 0 ? 0 : from > n ? n : from;
    to   = to > n ? n : to;
    to   = to < from ? from : to;
    return give_new(c, VALUE_ARRAY, (size_t) (to - from), out) && append_all(c, *out, args[0], (uint32_t) from, (uint32_t) to);
}

bool builtin_collection_count(struct call *c, const struct value *args, struct value *out)
{
    if (value_is_composite(args[0]))
        return give(out, value_int(args[0].in->n));
    if (args[0].type != VALUE_STRING)
        return want_one_of(c, args, 0, 0, "array, object, set, string");
    return charge_bytes(c, args[0].len) && give(out, value_int((int64_t) utf8_count(args[0].text, args[0].len)));
}

static bool has_value(struct call *c, struct value in, struct value v, bool *out)
{
    *out = false;
    if (!charge(c, in.in->n / 4 + cost_of(v)))
        return false;
    for (uint32_t i = 0; i < in.in->n && !*out; i++) {
        if (value_is_composite(v) && !charge(c, cost_of(v)))
            return false;
        *out = value_equal(element_at(in, i), v);
    }
    return true;
}

bool builtin_collection_member_2(struct call *c, const struct value *args, struct value *out)
{
    bool found = false;

    if (args[1].type == VALUE_SET) {
        if (!charge(c, cost_of(args[0])))
            return false;
        found = set_has(args[1], args[0]);
    } else if (value_is_composite(args[1])) {
        if (!has_value(c, args[1], args[0], &found))
            return false;
    }
    return give(out, value_bool(found));
}

bool builtin_collection_member_3(struct call *c, const struct value *args, struct value *out)
{
    struct value v = value_is_composite(args[2]) ? value_get(args[2], args[0]) : value_undefined();

    if (!charge(c, cost_of(args[0]) + cost_of(args[1])))
        return false;
    return give(out, value_bool(value_is_defined(v) && value_equal(v, args[1])));
}

/* The work of one comparison of an element, for collections with large ones. */
static bool want_list(struct call *c, const struct value *args)
{
    return want_one_of(c, args, 0, ARRAY_OR_SET, "set, array") && charge(c, args[0].in->n / 4 + cost_of(args[0]));
}

bool builtin_collection_max(struct call *c, const struct value *args, struct value *out)
{
    if (!want_list(c, args))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (!value_is_defined(*out) || value_compare(array_at(args[0], i), *out) > 0)
            *out = array_at(args[0], i);
    return true;
}

bool builtin_collection_min(struct call *c, const struct value *args, struct value *out)
{
    if (!want_list(c, args))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (!value_is_defined(*out) || value_compare(array_at(args[0], i), *out) < 0)
            *out = array_at(args[0], i);
    return true;
}

typedef bool arithmetic(struct arena *a, struct value x, struct value y, struct value *out);

static bool fold(struct call *c, const struct value *args, int64_t first, arithmetic *operation, struct value *out)
{
    if (!want_list(c, args))
        return false;
    *out = value_int(first);
    for (uint32_t i = 0; i < args[0].in->n; i++) {
        struct value e = array_at(args[0], i);

        if (e.type != VALUE_NUMBER)
            return elements_error(c, args, 0, "numbers", e);
        if ((out->is_decimal || e.is_decimal) && !charge(c, 64 + (uint64_t) (out->is_decimal ? out->len : 20) * (e.is_decimal ? e.len : 20) / 128))
            return false;
        if (!operation(c->arena, *out, e, out))
            return false;
    }
    return true;
}

bool builtin_collection_sum(struct call *c, const struct value *args, struct value *out)
{
    return fold(c, args, 0, number_add, out);
}

bool builtin_collection_product(struct call *c, const struct value *args, struct value *out)
{
    return fold(c, args, 1, number_multiply, out);
}

/* Bottom-up merge sort: stable, and no worse on hostile input. */
static void merge_runs(const struct value *from, struct value *to, size_t n, size_t width)
{
    for (size_t start = 0; start < n; start += 2 * width) {
        size_t middle = start + width < n ? start + width : n, end = start + 2 * width < n ? start + 2 * width : n;
        size_t i = start, j = middle;

        for (size_t k = start; k < end; k++)
            to[k] = j >= end || (i < middle && value_compare(from[i], from[j]) <= 0) ? from[i++] : from[j++];
    }
}

static bool sort_values(struct call *c, struct value *at, size_t n)
{
    struct value *spare = arena_take(c->arena, n * sizeof *at), *from = at, *to = spare;

    if (!spare)
        return false;
    for (size_t width = 1; width < n; width *= 2) {
        struct value *swap = from;

        if (!charge(c, n / 2))
            return false;
        merge_runs(from, to, n, width);
        from = to;
        to   = swap;
    }
    if (from != at && n > 0)
        memcpy(at, from, n * sizeof *at);
    return true;
}

bool builtin_collection_sort(struct call *c, const struct value *args, struct value *out)
{
    uint64_t cost;

    if (!want_one_of(c, args, 0, ARRAY_OR_SET, "set, array"))
        return false;
    cost = cost_of(args[0]);
    for (uint32_t n = args[0].in->n; n > 1; n /= 2)
        if (!charge(c, cost / 4))
            return false;
    return give_new(c, VALUE_ARRAY, args[0].in->n, out) && append_all(c, *out, args[0], 0, args[0].in->n) &&
           (args[0].type == VALUE_SET || sort_values(c, out->in->at, out->in->n));
}

bool builtin_set_difference(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_SET) || !want(c, args, 1, VALUE_SET) || !charge(c, args[0].in->n) ||
        !charge(c, cost_of(args[0])) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (!set_has(args[1], array_at(args[0], i)) && !set_add(c->arena, *out, array_at(args[0], i)))
            return false;
    return true;
}

static bool want_set_of_sets(struct call *c, const struct value *args)
{
    if (!want(c, args, 0, VALUE_SET))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (array_at(args[0], i).type != VALUE_SET)
            return elements_error(c, args, 0, "sets", array_at(args[0], i));
    return charge(c, cost_of(args[0]));
}

bool builtin_set_union(struct call *c, const struct value *args, struct value *out)
{
    if (!want_set_of_sets(c, args) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++) {
        struct value from = array_at(args[0], i);

        if (!charge(c, from.in->n))
            return false;
        for (uint32_t k = 0; k < from.in->n; k++)
            if (!set_add(c->arena, *out, array_at(from, k)))
                return false;
    }
    return true;
}

static bool in_all(struct value sets, struct value v)
{
    for (uint32_t i = 1; i < sets.in->n; i++)
        if (!set_has(array_at(sets, i), v))
            return false;
    return true;
}

bool builtin_set_intersection(struct call *c, const struct value *args, struct value *out)
{
    if (!want_set_of_sets(c, args) || !give_new(c, VALUE_SET, 0, out))
        return false;
    if (args[0].in->n == 0)
        return true;

    struct value first = array_at(args[0], 0);
    if (!charge(c, (uint64_t) first.in->n * args[0].in->n))
        return false;
    for (uint32_t i = 0; i < first.in->n; i++)
        if (in_all(args[0], array_at(first, i)) && !set_add(c->arena, *out, array_at(first, i)))
            return false;
    return true;
}

static bool count_true(struct call *c, const struct value *args, uint32_t *out)
{
    if (!want_list(c, args))
        return false;
    *out = 0;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        *out += array_at(args[0], i).type == VALUE_BOOLEAN && array_at(args[0], i).truth;
    return true;
}

bool builtin_collection_all(struct call *c, const struct value *args, struct value *out)
{
    uint32_t n;

    return count_true(c, args, &n) && give(out, value_bool(n == args[0].in->n));
}

bool builtin_collection_any(struct call *c, const struct value *args, struct value *out)
{
    uint32_t n;

    return count_true(c, args, &n) && give(out, value_bool(n > 0));
}
