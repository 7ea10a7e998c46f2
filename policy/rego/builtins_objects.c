#include <stdio.h>
#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_OBJECTS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

enum {
    ARRAY_OR_SET     = TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET),
    ANY_COLLECTION   = TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET) | TYPE_BIT(VALUE_OBJECT),
};

bool builtin_object_get(struct call *c, const struct value *args, struct value *out)
{
    struct value at = args[0];

    if (!want(c, args, 0, VALUE_OBJECT) || !charge(c, cost_of(args[1])))
        return false;
    if (args[1].type != VALUE_ARRAY) {
        at = value_get(args[0], args[1]);
        return give(out, value_is_defined(at) ? at : args[2]);
    }
    for (uint32_t i = 0; i < args[1].in->n && value_is_defined(at); i++)
        at = value_get(at, array_at(args[1], i));
    return give(out, value_is_defined(at) ? at : args[2]);
}

bool builtin_object_keys(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_OBJECT) || !charge(c, args[0].in->n) || !charge(c, cost_of(args[0])) ||
        !give_new(c, VALUE_SET, args[0].in->n, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (!set_add(c->arena, *out, object_key(args[0], i)))
            return false;
    return true;
}

/* Whether `key` is among the keys that the second argument names. */
static bool is_named(struct value names, struct value key)
{
    if (names.type != VALUE_ARRAY)
        return value_is_defined(value_get(names, key));
    for (uint32_t i = 0; i < names.in->n; i++)
        if (value_equal(array_at(names, i), key))
            return true;
    return false;
}

static bool pick(struct call *c, const struct value *args, bool wanted, struct value *out)
{
    uint64_t each;

    if (!want(c, args, 0, VALUE_OBJECT) || !want_one_of(c, args, 1, ANY_COLLECTION, "object, set, array"))
        return false;
    each = args[1].type == VALUE_ARRAY ? 1 + args[1].in->n / 4 : 1;
    if (!charge(c, args[0].in->n * each) || !charge(c, cost_of(args[0]) + cost_of(args[1])) || !give_new(c, VALUE_OBJECT, 0, out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (is_named(args[1], object_key(args[0], i)) == wanted &&
            !object_put(c->arena, *out, object_key(args[0], i), object_value(args[0], i)))
            return false;
    return true;
}

bool builtin_object_filter(struct call *c, const struct value *args, struct value *out)
{
    return pick(c, args, true, out);
}

bool builtin_object_remove(struct call *c, const struct value *args, struct value *out)
{
    return pick(c, args, false, out);
}

/* b over a; objects below are merged. */
static bool unite(struct call *c, struct value a, struct value b, struct value *out)
{
    struct value to;

    *out = b;
    if (a.type != VALUE_OBJECT || b.type != VALUE_OBJECT)
        return true;
    if (!charge(c, (uint64_t) a.in->n + b.in->n))
        return false;
    to = value_reopened(c->arena, a);
    if (!value_is_defined(to))
        return false;
    for (uint32_t i = 0; i < b.in->n; i++) {
        struct value key = object_key(b, i), before = value_get(a, key), v = object_value(b, i);

        if (value_is_defined(before) && !unite(c, before, v, &v))
            return false;
        if (!object_put(c->arena, to, key, v))
            return false;
    }
    *out = to;
    return value_close(c->arena, to);
}

bool builtin_object_union(struct call *c, const struct value *args, struct value *out)
{
    return want(c, args, 0, VALUE_OBJECT) && want(c, args, 1, VALUE_OBJECT) && unite(c, args[0], args[1], out);
}

bool builtin_object_union_n(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_ARRAY))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (array_at(args[0], i).type != VALUE_OBJECT)
            return elements_error(c, args, 0, "objects", array_at(args[0], i));
    if (!give_new(c, VALUE_OBJECT, 0, out) || !value_close(c->arena, *out))
        return false;
    for (uint32_t i = 0; i < args[0].in->n; i++)
        if (!unite(c, *out, array_at(args[0], i), out))
            return false;
    return true;
}

static bool is_subset(struct call *c, struct value super, struct value sub, bool *out);

static bool is_object_subset(struct call *c, struct value super, struct value sub, bool *out)
{
    *out = true;
    for (uint32_t i = 0; i < sub.in->n && *out; i++) {
        struct value in = value_get(super, object_key(sub, i)), v = object_value(sub, i);

        if (!charge(c, 1))
            return false;
        if (!value_is_defined(in))
            *out = false;
        else if (!is_subset(c, in, v, out))
            return false;
    }
    return true;
}

static bool is_set_subset(struct call *c, struct value super, struct value sub, bool *out)
{
    *out = true;
    if (!charge(c, sub.in->n + cost_of(sub)))
        return false;
    for (uint32_t i = 0; i < sub.in->n && *out; i++)
        *out = set_has(super, array_at(sub, i));
    return true;
}

/* Elements of `sub`, in this order and side by side, somewhere in `super`. */
static bool is_array_part(struct call *c, struct value super, struct value sub, bool *out)
{
    *out = false;
    for (uint32_t start = 0; !*out && (uint64_t) start + sub.in->n <= super.in->n; start++) {
        *out = true;
        if (!charge(c, 1 + cost_of(sub)))
            return false;
        for (uint32_t i = 0; i < sub.in->n && *out; i++)
            *out = value_equal(array_at(super, start + i), array_at(sub, i));
    }
    return true;
}

static bool are_all_in_array(struct call *c, struct value super, struct value sub, bool *out)
{
    *out = true;
    if (!charge(c, ((uint64_t) sub.in->n + 1) * (super.in->n / 4 + 1 + cost_of(sub))))
        return false;
    for (uint32_t i = 0; i < sub.in->n && *out; i++)
        *out = is_named(super, array_at(sub, i));
    return true;
}

/* Below the top, what is no pair of objects, sets or arrays must be equal. */
static bool is_subset(struct call *c, struct value super, struct value sub, bool *out)
{
    if (super.type == VALUE_OBJECT && sub.type == VALUE_OBJECT)
        return is_object_subset(c, super, sub, out);
    if (super.type == VALUE_SET && sub.type == VALUE_SET)
        return is_set_subset(c, super, sub, out);
    if (super.type == VALUE_ARRAY && sub.type == VALUE_ARRAY)
        return is_array_part(c, super, sub, out);
    *out = value_equal(super, sub);
    return charge(c, cost_of(sub));
}

bool builtin_object_subset(struct call *c, const struct value *args, struct value *out)
{
    bool is;

    if (!want_one_of(c, args, 0, ANY_COLLECTION, "object, set, array") ||
        !want_one_of(c, args, 1, ANY_COLLECTION, "object, set, array"))
        return false;
    if (args[0].type == VALUE_ARRAY && args[1].type == VALUE_SET)
        return are_all_in_array(c, args[0], args[1], &is) && give(out, value_bool(is));
    if (args[0].type != args[1].type)
        return type_error(c, "both arguments object.subset must be of the same type or array and set");
    return is_subset(c, args[0], args[1], &is) && give(out, value_bool(is));
}

/* Paths of json.filter and json.remove become one object of objects; null marks the end of a path. */
static bool add_path(struct call *c, struct value root, const struct value *segments, uint32_t n)
{
    struct value at = root;

    for (uint32_t i = 0; i < n; i++) {
        struct value next = value_get(at, segments[i]);

        if (!charge(c, 1))
            return false;
        if (next.type == VALUE_NULL)
            return true; /* a shorter path covers this one */
        if (i + 1 == n)
            return object_put(c->arena, at, segments[i], value_null());
        if (!value_is_defined(next)) {
            next = value_new(c->arena, VALUE_OBJECT, 0);
            if (!value_is_defined(next) || !object_put(c->arena, at, segments[i], next))
                return false;
        }
        at = next;
    }
    return true;
}

static bool unescape_segment(struct call *c, const char *at, size_t len, struct value *out)
{
    struct text_out t = text_for(c);

    *out = value_text(at, len);
    if (len == 0 || !memchr(at, '~', len))
        return true;
    for (size_t i = 0; i < len; i++) {
        bool escaped = at[i] == '~' && i + 1 < len && (at[i + 1] == '0' || at[i + 1] == '1');

        text_put_char(&t, !escaped ? at[i] : at[i + 1] == '0' ? '~' : '/');
        i += escaped;
    }
    return text_take(&t, out);
}

/* "/a/b" to ["a", "b"] */
static bool split_path(struct call *c, struct value text, struct value *out)
{
    size_t from = 0;

    if (!charge_bytes(c, text.len) || !give_new(c, VALUE_ARRAY, 0, out))
        return false;
    while (from < text.len && text.text[from] == '/')
        from++;
    while (text.len > 0 && from <= text.len) {
        const char  *end = from < text.len ? memchr(text.text + from, '/', text.len - from) : NULL;
        size_t       to  = end ? (size_t) (end - text.text) : text.len;
        struct value segment;

        if (!unescape_segment(c, text.text + from, to - from, &segment) || !array_append(c->arena, *out, segment))
            return false;
        from = to + 1;
    }
    return value_close(c->arena, *out);
}

static bool read_paths(struct call *c, const struct value *args, struct value *root)
{
    if (!want(c, args, 0, VALUE_OBJECT) || !want_one_of(c, args, 1, ARRAY_OR_SET, "set, array"))
        return false;
    *root = value_new(c->arena, VALUE_OBJECT, 0);
    if (!value_is_defined(*root))
        return false;
    for (uint32_t i = 0; i < args[1].in->n; i++) {
        struct value path = array_at(args[1], i);

        if (path.type == VALUE_STRING && !split_path(c, path, &path))
            return false;
        if (path.type != VALUE_ARRAY)
            return type_error(c, "operand 2 must be one of {set, array} containing string paths or array of path segments but got %s",
                              value_type_name(path));
        if (!add_path(c, *root, path.in->at, path.in->n))
            return false;
    }
    return value_close(c->arena, *root);
}

static struct value index_text(uint32_t i, char spare[static 12])
{
    int n = snprintf(spare, 12, "%u", i);

    return value_text(spare, (size_t) n);
}

/* What `names` says about element i of a collection. */
static struct value named(struct value in, uint32_t i, struct value names)
{
    char spare[12];

    if (in.type == VALUE_OBJECT)
        return value_get(names, object_key(in, i));
    return value_get(names, in.type == VALUE_ARRAY ? index_text(i, spare) : array_at(in, i));
}

static bool put_like(struct call *c, struct value to, struct value from, uint32_t i, struct value v)
{
    if (from.type == VALUE_OBJECT)
        return object_put(c->arena, to, object_key(from, i), v);
    return from.type == VALUE_ARRAY ? array_append(c->arena, to, v) : set_add(c->arena, to, v);
}

/* Keeps what the paths name; `keep` false: drops it. Undefined *out: this value goes. */
static bool prune(struct call *c, struct value v, struct value names, bool keep, struct value *out)
{
    *out = v;
    if (names.type == VALUE_NULL && !keep)
        return give(out, value_undefined());
    if (names.type != VALUE_OBJECT || !value_is_composite(v) || (keep && names.in->n == 0))
        return true;
    if (!charge(c, v.in->n) || !give_new(c, (enum value_type) v.type, 0, out))
        return false;
    for (uint32_t i = 0; i < v.in->n; i++) {
        struct value below = named(v, i, names), inner = element_at(v, i);

        if (!value_is_defined(below) && keep)
            continue;
        if (value_is_defined(below) && !prune(c, inner, below, keep, &inner))
            return false;
        if (value_is_defined(inner) && !put_like(c, *out, v, i, inner))
            return false;
    }
    return value_close(c->arena, *out);
}

bool builtin_json_filter(struct call *c, const struct value *args, struct value *out)
{
    struct value names;

    if (!read_paths(c, args, &names))
        return false;
    if (names.in->n == 0)
        return give_new(c, VALUE_OBJECT, 0, out);
    return prune(c, args[0], names, true, out);
}

bool builtin_json_remove(struct call *c, const struct value *args, struct value *out)
{
    struct value names;

    return read_paths(c, args, &names) && prune(c, args[0], names, false, out);
}

/* All pairs [path, value], the value itself first. `path` has room for every level. */
static bool walk_from(struct call *c, struct value v, struct value *path, uint32_t depth, struct value to)
{
    struct value pair = value_new(c->arena, VALUE_ARRAY, 2), copy = value_new(c->arena, VALUE_ARRAY, depth);

    if (!charge(c, 3 + depth) || !value_is_defined(pair) || !value_is_defined(copy))
        return false;
    for (uint32_t i = 0; i < depth; i++)
        if (!array_append(c->arena, copy, path[i]))
            return false;
    if (!value_close(c->arena, copy) || !array_append(c->arena, pair, copy) || !array_append(c->arena, pair, v) ||
        !value_close(c->arena, pair) || !array_append(c->arena, to, pair))
        return false;
    for (uint32_t i = 0; value_is_composite(v) && i < v.in->n; i++) {
        path[depth] = v.type == VALUE_OBJECT ? object_key(v, i) : v.type == VALUE_ARRAY ? value_int(i) : array_at(v, i);
        if (!walk_from(c, element_at(v, i), path, depth + 1, to))
            return false;
    }
    return true;
}

bool builtin_object_walk(struct call *c, const struct value *args, struct value *out)
{
    struct value path[VALUE_DEPTH_MAX + 1];

    return give_new(c, VALUE_ARRAY, 0, out) && walk_from(c, args[0], path, 0, *out);
}
