#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_PATCH(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

/* One step of a JSON patch [RFC 6902], on values that may also hold sets and keys that are no text. */
enum change { CHANGE_ADD, CHANGE_REMOVE, CHANGE_REPLACE };

struct step {
    enum change  change;
    struct value path; /* array */
    struct value v;
};

static bool no_such_path(struct call *c)
{
    return builtin_error(c, "undefined path in patch");
}

/* An index of RFC 6901, or an integer; `n` is behind the last. */
static bool index_of(struct value key, uint32_t n, bool may_append, uint32_t *out)
{
    uint64_t i = 0;

    if (key.type == VALUE_NUMBER) {
        if (key.is_decimal || key.integer < 0 || key.integer > n)
            return false;
        i = (uint64_t) key.integer;
    } else if (value_is_named(key, "-") && may_append) {
        i = n;
    } else {
        if (key.type != VALUE_STRING || key.len == 0 || key.len > 9 || (key.len > 1 && key.text[0] == '0'))
            return false;
        for (uint32_t k = 0; k < key.len; k++) {
            if (key.text[k] < '0' || key.text[k] > '9')
                return false;
            i = i * 10 + (uint64_t) (key.text[k] - '0');
        }
    }
    *out = (uint32_t) i;
    return i < n || (i == n && may_append);
}

static bool change_at(struct call *c, struct value v, const struct step *s, uint32_t depth, struct value *out);

/* What takes the place of an element: undefined when it goes. `before` is undefined where there is none. */
static bool changed_element(struct call *c, struct value before, const struct step *s, uint32_t depth, struct value *out)
{
    if (depth + 1 == s->path.in->n) {
        if (s->change != CHANGE_ADD && !value_is_defined(before))
            return no_such_path(c);
        return give(out, s->change == CHANGE_REMOVE ? value_undefined() : s->v);
    }
    if (!value_is_defined(before))
        return no_such_path(c);
    return change_at(c, before, s, depth + 1, out);
}

static bool change_object(struct call *c, struct value v, const struct step *s, uint32_t depth, struct value *out)
{
    struct value key = array_at(s->path, depth), fresh;

    if (!changed_element(c, value_get(v, key), s, depth, &fresh) || !give_new(c, VALUE_OBJECT, 0, out))
        return false;
    for (uint32_t i = 0; i < v.in->n; i++)
        if (!value_equal(object_key(v, i), key) && !object_put(c->arena, *out, object_key(v, i), object_value(v, i)))
            return false;
    return !value_is_defined(fresh) || object_put(c->arena, *out, key, fresh);
}

static bool change_array(struct call *c, struct value v, const struct step *s, uint32_t depth, struct value *out)
{
    bool         is_last = depth + 1 == s->path.in->n, inserts = is_last && s->change == CHANGE_ADD;
    struct value fresh;
    uint32_t     at;

    if (!index_of(array_at(s->path, depth), v.in->n, inserts, &at))
        return no_such_path(c);
    if (!changed_element(c, at < v.in->n ? array_at(v, at) : value_undefined(), s, depth, &fresh) ||
        !give_new(c, VALUE_ARRAY, (size_t) v.in->n + 1, out))
        return false;
    for (uint32_t i = 0; i <= v.in->n; i++) {
        if (i == at && value_is_defined(fresh) && !array_append(c->arena, *out, fresh))
            return false;
        if (i < v.in->n && (i != at || inserts) && !array_append(c->arena, *out, array_at(v, i)))
            return false;
    }
    return true;
}

/* Elements of a set are their own keys. */
static bool change_set(struct call *c, struct value v, const struct step *s, uint32_t depth, struct value *out)
{
    struct value key = array_at(s->path, depth), fresh;

    if (depth + 1 == s->path.in->n && s->change == CHANGE_ADD && !value_equal(key, s->v))
        return builtin_error(c, "set key and value differ in patch");
    if (!changed_element(c, value_get(v, key), s, depth, &fresh) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < v.in->n; i++)
        if (!value_equal(array_at(v, i), key) && !set_add(c->arena, *out, array_at(v, i)))
            return false;
    return !value_is_defined(fresh) || set_add(c->arena, *out, fresh);
}

static bool change_at(struct call *c, struct value v, const struct step *s, uint32_t depth, struct value *out)
{
    bool ok;

    if (s->path.in->n == 0)
        return give(out, s->change == CHANGE_REMOVE ? value_null() : s->v);
    if (!value_is_composite(v))
        return no_such_path(c);
    if (!charge(c, 1 + v.in->n + cost_of(s->path)))
        return false;
    if (v.type == VALUE_OBJECT)
        ok = change_object(c, v, s, depth, out);
    else if (v.type == VALUE_ARRAY)
        ok = change_array(c, v, s, depth, out);
    else
        ok = change_set(c, v, s, depth, out);
    return ok && value_close(c->arena, *out);
}

static bool text_of_segment(struct call *c, const char *at, size_t len, struct value *out)
{
    struct text_out t = text_for(c);

    for (size_t i = 0; i < len; i++) {
        bool escaped = at[i] == '~' && i + 1 < len && (at[i + 1] == '0' || at[i + 1] == '1');

        text_put_char(&t, !escaped ? at[i] : at[i + 1] == '0' ? '~' : '/');
        i += escaped;
    }
    return text_take(&t, out);
}

static bool read_path(struct call *c, struct value from, struct value *out)
{
    size_t start = 0;

    if (from.type == VALUE_ARRAY)
        return give(out, from);
    if (from.type != VALUE_STRING)
        return builtin_error(c, "invalid path in patch: must be string or array");
    if (!charge_bytes(c, from.len) || !give_new(c, VALUE_ARRAY, 0, out))
        return false;
    while (start < from.len && from.text[start] == '/')
        start++;
    while (from.len > 0 && start <= from.len) {
        const char  *end = start < from.len ? memchr(from.text + start, '/', from.len - start) : NULL;
        size_t       to  = end ? (size_t) (end - from.text) : from.len;
        struct value segment;

        if (!text_of_segment(c, from.text + start, to - start, &segment) || !array_append(c->arena, *out, segment))
            return false;
        start = to + 1;
    }
    return value_close(c->arena, *out);
}

static bool member(struct call *c, struct value patch, const char *name, struct value *out)
{
    *out = object_get_text(patch, name);
    return value_is_defined(*out) || builtin_error(c, "missing '%s' attribute", name);
}

static bool look_up(struct call *c, struct value v, struct value path, struct value *out)
{
    for (uint32_t i = 0; i < path.in->n; i++) {
        struct value key = array_at(path, i);
        uint32_t     at;

        if (v.type == VALUE_ARRAY)
            v = index_of(key, v.in->n, false, &at) ? array_at(v, at) : value_undefined();
        else
            v = value_get(v, key);
        if (!value_is_defined(v))
            return no_such_path(c);
    }
    return give(out, v);
}

static bool apply_from(struct call *c, struct value patch, bool moves, struct step *s, struct value *v)
{
    struct value from;

    if (!member(c, patch, "from", &from) || !read_path(c, from, &from) || !look_up(c, *v, from, &s->v))
        return false;
    s->change = CHANGE_ADD;
    if (moves && !change_at(c, *v, &(struct step){ .change = CHANGE_REMOVE, .path = from }, 0, v))
        return false;
    return change_at(c, *v, s, 0, v);
}

static bool apply(struct call *c, struct value patch, struct value *v)
{
    struct value op, found;
    struct step  s = { .change = CHANGE_ADD };

    if (!member(c, patch, "op", &op) || !member(c, patch, "path", &s.path) || !read_path(c, s.path, &s.path))
        return false;
    if (value_is_named(op, "move") || value_is_named(op, "copy"))
        return apply_from(c, patch, value_is_named(op, "move"), &s, v);
    if (value_is_named(op, "remove")) {
        s.change = CHANGE_REMOVE;
        return change_at(c, *v, &s, 0, v);
    }
    if (!member(c, patch, "value", &s.v))
        return false;
    if (value_is_named(op, "test")) {
        if (!look_up(c, *v, s.path, &found) || !charge(c, cost_of(s.v)))
            return false;
        return value_equal(found, s.v) || builtin_error(c, "value from EditTree != patch value");
    }
    if (value_is_named(op, "replace"))
        s.change = CHANGE_REPLACE;
    else if (!value_is_named(op, "add"))
        return builtin_error(c, "unrecognized op: '%.*s'", op.type == VALUE_STRING ? (int) op.len : 0, op.type == VALUE_STRING ? op.text : "");
    return change_at(c, *v, &s, 0, v);
}

bool builtin_json_patch(struct call *c, const struct value *args, struct value *out)
{
    struct value v = args[0];

    if (!want(c, args, 1, VALUE_ARRAY))
        return false;
    for (uint32_t i = 0; i < args[1].in->n; i++) {
        if (array_at(args[1], i).type != VALUE_OBJECT)
            return type_error(c, "must be an array of JSON-Patch objects, but at least one element is not an object");
        if (!apply(c, array_at(args[1], i), &v))
            return false;
    }
    return give(out, v);
}
