#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_GRAPH(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

enum { ARRAY_OR_SET = TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET) };

static bool want_graph(struct call *c, const struct value *args)
{
    return want(c, args, 0, VALUE_OBJECT) && want_one_of(c, args, 1, ARRAY_OR_SET, "array, set");
}

static uint32_t n_edges(struct value edges)
{
    return edges.type == VALUE_ARRAY || edges.type == VALUE_SET ? edges.in->n : 0;
}

bool builtin_graph_reachable(struct call *c, const struct value *args, struct value *out)
{
    struct value waiting = value_new(c->arena, VALUE_ARRAY, 0);

    if (!want_graph(c, args) || !value_is_defined(waiting) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < args[1].in->n; i++)
        if (!array_append(c->arena, waiting, array_at(args[1], i)))
            return false;
    for (uint32_t i = 0; i < waiting.in->n; i++) {
        struct value node = array_at(waiting, i), edges = value_get(args[0], node);

        if (!charge(c, 1 + cost_of(node)))
            return false;
        if (!value_is_defined(edges) || collection_find(out->in, node))
            continue;
        if (!set_add(c->arena, *out, node) || !charge(c, n_edges(edges)))
            return false;
        for (uint32_t k = 0; k < n_edges(edges); k++)
            if (!array_append(c->arena, waiting, array_at(edges, k)))
                return false;
    }
    return true;
}

enum { PATH_MAX_NODES = 256 };

struct walk {
    struct call *call;
    struct value graph;
    struct value found;
    struct value path[PATH_MAX_NODES];
};

static bool add_path(struct walk *w, uint32_t n)
{
    struct value path = value_new(w->call->arena, VALUE_ARRAY, n);

    if (!value_is_defined(path) || !charge(w->call, n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!array_append(w->call->arena, path, w->path[i]))
            return false;
    return value_close(w->call->arena, path) && set_add(w->call->arena, w->found, path);
}

static bool on_path(const struct walk *w, uint32_t n, struct value node)
{
    for (uint32_t i = 0; i < n; i++)
        if (value_equal(w->path[i], node))
            return true;
    return false;
}

/* A path ends at a node without edges, or unknown, or where it would meet itself. */
static bool follow(struct walk *w, struct value node, uint32_t n)
{
    struct value edges = value_get(w->graph, node);

    if (!charge(w->call, 1 + n / 4 + cost_of(node)))
        return false;
    if (!value_is_defined(edges))
        return n == 0 || add_path(w, n);
    if (n >= PATH_MAX_NODES) {
        arena_refuse(w->call->arena, "nodes of a path");
        return false;
    }
    w->path[n++] = node;
    if (n_edges(edges) == 0)
        return add_path(w, n);
    for (uint32_t i = 0; i < n_edges(edges); i++) {
        struct value next = array_at(edges, i);

        if (!(on_path(w, n, next) ? add_path(w, n) : follow(w, next, n)))
            return false;
    }
    return true;
}

bool builtin_graph_reachable_paths(struct call *c, const struct value *args, struct value *out)
{
    struct walk *w = arena_zeroed(c->arena, sizeof *w);

    if (!want_graph(c, args) || !w || !give_new(c, VALUE_SET, 0, out))
        return false;
    w->call  = c;
    w->graph = args[0];
    w->found = *out;
    for (uint32_t i = 0; i < args[1].in->n; i++)
        if (!follow(w, array_at(args[1], i), 0))
            return false;
    return true;
}

/* major.minor.patch, -pre.release, +metadata [SemVer 2.0.0] */
struct version {
    int64_t     number[3];
    const char *pre;
    size_t      pre_len;
};

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static bool read_number(const char *at, size_t len, size_t *i, int64_t *out)
{
    size_t from = *i;

    for (*out = 0; *i < len && is_digit(at[*i]); ++*i)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, at[*i] - '0', out))
            return false;
    return *i > from && (at[from] != '0' || *i == from + 1);
}

static size_t identifiers(const char *at, size_t len, size_t i)
{
    size_t from = i;

    while (i < len && (is_digit(at[i]) || ((at[i] | 0x20) >= 'a' && (at[i] | 0x20) <= 'z') || at[i] == '-' || at[i] == '.'))
        i++;
    return i - from;
}

static bool read_version(struct value text, struct version *out)
{
    const char *at = text.text;
    size_t      len = text.len, i = 0, n;

    if (text.type != VALUE_STRING)
        return false;
    *out = (struct version){ 0 };
    for (int k = 0; k < 3; k++) {
        if (k > 0 && (i >= len || at[i++] != '.'))
            return false;
        if (!read_number(at, len, &i, &out->number[k]))
            return false;
    }
    if (i < len && at[i] == '-') {
        n            = identifiers(at, len, ++i);
        out->pre     = at + i;
        out->pre_len = n;
        i += n;
        if (n == 0)
            return false;
    }
    if (i < len && at[i] == '+') {
        n = identifiers(at, len, ++i);
        i += n;
        if (n == 0)
            return false;
    }
    return i == len;
}

static bool is_number(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_digit(at[i]))
            return false;
    return true;
}

/* Numbers by value and before words; words by bytes. */
static int compare_identifiers(const char *a, size_t n, const char *b, size_t m)
{
    bool   x = is_number(a, n), y = is_number(b, m);
    size_t least = n < m ? n : m;
    int    c;

    if (x != y)
        return x ? -1 : 1;
    if (x && n != m)
        return n < m ? -1 : 1;
    c = memcmp(a, b, least);
    return c ? (c > 0) - (c < 0) : (n > m) - (n < m);
}

static int compare_pre(const struct version *a, const struct version *b)
{
    if (!a->pre_len || !b->pre_len)
        return (a->pre_len == 0) - (b->pre_len == 0);

    const char *x = a->pre, *y = b->pre, *end_x = x + a->pre_len, *end_y = y + b->pre_len;
    while (x < end_x && y < end_y) {
        const char *dot_x = memchr(x, '.', (size_t) (end_x - x)), *dot_y = memchr(y, '.', (size_t) (end_y - y));
        int         c;

        dot_x = dot_x ? dot_x : end_x;
        dot_y = dot_y ? dot_y : end_y;
        c     = compare_identifiers(x, (size_t) (dot_x - x), y, (size_t) (dot_y - y));
        if (c)
            return c;
        x = dot_x < end_x ? dot_x + 1 : end_x;
        y = dot_y < end_y ? dot_y + 1 : end_y;
    }
    return (x < end_x) - (y < end_y);
}

static bool want_version(struct call *c, const struct value *args, unsigned i, struct version *out)
{
    if (!want(c, args, i, VALUE_STRING) || !charge_bytes(c, args[i].len))
        return false;
    if (!read_version(args[i], out))
        return builtin_error(c, "operand %u: string \"%.*s\" is not a valid SemVer", i + 1,
                             (int) (args[i].len < 60 ? args[i].len : 60), args[i].text);
    return true;
}

bool builtin_semver_compare(struct call *c, const struct value *args, struct value *out)
{
    struct version a, b;

    if (!want_version(c, args, 0, &a) || !want_version(c, args, 1, &b))
        return false;
    for (int i = 0; i < 3; i++)
        if (a.number[i] != b.number[i])
            return give(out, value_int(a.number[i] < b.number[i] ? -1 : 1));
    return give(out, value_int(compare_pre(&a, &b)));
}

bool builtin_semver_is_valid(struct call *c, const struct value *args, struct value *out)
{
    struct version v;

    (void) c;
    return give(out, value_bool(read_version(args[0], &v)));
}
