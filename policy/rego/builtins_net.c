#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_NET(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

__extension__ typedef unsigned __int128 address;

/* Addresses from first to last, of one family. */
struct block {
    int     family;
    address first, last;
};

enum { TEXT_MAX = 60 };

static unsigned width_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

static address host_bits(unsigned width, unsigned prefix)
{
    return prefix >= width ? 0 : ((address) -1) >> (128 - (width - prefix));
}

static bool read_address(const char *text, int *family, address *out)
{
    uint8_t bytes[16];
    size_t  n;

    *family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(*family, text, bytes) != 1)
        return false;
    n    = *family == AF_INET ? 4 : 16;
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out << 8 | bytes[i];
    return true;
}

/* An address with /prefix; without one `prefix` is NO_PREFIX. */
enum { NO_PREFIX = 1000 };

static bool read_block(struct value text, struct block *out, unsigned *prefix)
{
    char    copy[TEXT_MAX], *slash;
    address at, hosts;

    if (text.type != VALUE_STRING || text.len == 0 || text.len >= TEXT_MAX || memchr(text.text, '\0', text.len))
        return false;
    (void) snprintf(copy, sizeof copy, "%.*s", (int) text.len, text.text);
    slash   = strchr(copy, '/');
    *prefix = NO_PREFIX;
    if (slash) {
        size_t n = strlen(slash + 1);

        if (n == 0 || n > 3 || strspn(slash + 1, "0123456789") != n || (n > 1 && slash[1] == '0'))
            return false;
        *prefix = (unsigned) strtoul(slash + 1, NULL, 10);
        *slash  = '\0';
    }
    if (!read_address(copy, &out->family, &at) || (slash && *prefix > width_of(out->family)))
        return false;
    hosts      = slash ? host_bits(width_of(out->family), *prefix) : 0;
    out->first = at & ~hosts;
    out->last  = at | hosts;
    return true;
}

static void write_address(int family, address at, char text[static INET6_ADDRSTRLEN])
{
    uint8_t bytes[16];
    size_t  n = family == AF_INET ? 4 : 16;

    for (size_t i = n; i-- > 0; at >>= 8)
        bytes[i] = (uint8_t) at;
    if (!inet_ntop(family, bytes, text, INET6_ADDRSTRLEN))
        text[0] = '\0';
}

static bool want_block(struct call *c, const struct value *args, unsigned i, bool may_be_address, struct block *out)
{
    unsigned prefix;

    if (!want(c, args, i, VALUE_STRING))
        return false;
    if (!read_block(args[i], out, &prefix) || (prefix == NO_PREFIX && !may_be_address))
        return builtin_error(c, "invalid CIDR address: %.*s", (int) (args[i].len < TEXT_MAX ? args[i].len : TEXT_MAX), args[i].text);
    return true;
}

static bool contains(struct block outer, struct block inner)
{
    return outer.family == inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

bool builtin_net_cidr_contains(struct call *c, const struct value *args, struct value *out)
{
    struct block outer, inner;

    return want_block(c, args, 0, false, &outer) && want_block(c, args, 1, true, &inner) &&
           give(out, value_bool(contains(outer, inner)));
}

bool builtin_net_cidr_intersects(struct call *c, const struct value *args, struct value *out)
{
    struct block x, y;

    return want_block(c, args, 0, false, &x) && want_block(c, args, 1, false, &y) &&
           give(out, value_bool(x.family == y.family && x.first <= y.last && y.first <= x.last));
}

bool builtin_net_cidr_is_valid(struct call *c, const struct value *args, struct value *out)
{
    struct block b;
    unsigned     prefix;

    (void) c;
    return give(out, value_bool(read_block(args[0], &b, &prefix) && prefix != NO_PREFIX));
}

bool builtin_net_cidr_expand(struct call *c, const struct value *args, struct value *out)
{
    struct block b;

    if (!want_block(c, args, 0, false, &b))
        return false;
    if (b.last - b.first >= VALUE_ELEMENTS_MAX) {
        arena_refuse(c->arena, "elements of one collection");
        return false;
    }
    if (!charge(c, (uint64_t) (b.last - b.first) * 16) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (address at = b.first;; at++) {
        struct text_out t = text_for(c);
        struct value    element;
        char            text[INET6_ADDRSTRLEN];

        write_address(b.family, at, text);
        text_put(&t, text, strlen(text));
        if (!text_take(&t, &element) || !set_add(c->arena, *out, element))
            return false;
        if (at == b.last)
            return true;
    }
}

/* One element of what is matched: its text, and the name under which a match reports it. */
static bool element_of(struct call *c, const struct value *args, unsigned which, uint32_t i, struct value *text, struct value *name)
{
    struct value of = args[which], e = of;

    *name = of;
    if (of.type != VALUE_STRING) {
        e     = element_at(of, i);
        *name = of.type == VALUE_ARRAY ? value_int(i) : of.type == VALUE_OBJECT ? object_key(of, i) : e;
    }
    if (e.type == VALUE_ARRAY && e.in->n > 0)
        e = array_at(e, 0);
    if (e.type != VALUE_STRING)
        return builtin_error(c, "operand %u: element must be string or non-empty array", which + 1);
    *text = e;
    return true;
}

static bool add_match(struct call *c, struct value to, struct value x, struct value y)
{
    struct value pair = value_new(c->arena, VALUE_ARRAY, 2);

    return value_is_defined(pair) && array_append(c->arena, pair, x) && array_append(c->arena, pair, y) &&
           value_close(c->arena, pair) && set_add(c->arena, to, pair);
}

bool builtin_net_cidr_contains_matches(struct call *c, const struct value *args, struct value *out)
{
    enum { KINDS = TYPE_BIT(VALUE_STRING) | TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET) | TYPE_BIT(VALUE_OBJECT) };
    uint32_t     n[2];
    struct value text, other, name_x, name_y;

    for (unsigned i = 0; i < 2; i++) {
        if (!want_one_of(c, args, i, KINDS, "string, array, set, object"))
            return false;
        n[i] = args[i].type == VALUE_STRING ? 1 : args[i].in->n;
    }
    if (!charge(c, (uint64_t) n[0] * n[1] * 16) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < n[0]; i++) {
        struct block outer, inner;

        if (!element_of(c, args, 0, i, &text, &name_x) || !want_block(c, &text, 0, false, &outer))
            return false;
        for (uint32_t k = 0; k < n[1]; k++)
            if (!element_of(c, args, 1, k, &other, &name_y) || !want_block(c, &other, 0, true, &inner) ||
                (contains(outer, inner) && !add_match(c, *out, name_x, name_y)))
                return false;
    }
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct block *x = a, *y = b;

    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* The fewest blocks with a prefix that make up a range. */
static bool put_range(struct call *c, struct block b, struct value to)
{
    unsigned width = width_of(b.family);

    for (;;) {
        unsigned        prefix = 0;
        struct text_out t      = text_for(c);
        struct value    element;
        char            at[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];

        while ((b.first & host_bits(width, prefix)) != 0 || host_bits(width, prefix) > b.last - b.first)
            prefix++;
        write_address(b.family, b.first, at);
        text_put(&t, text, (size_t) snprintf(text, sizeof text, "%s/%u", at, prefix));
        if (!charge(c, 16) || !text_take(&t, &element) || !set_add(c->arena, to, element))
            return false;
        if (host_bits(width, prefix) == b.last - b.first)
            return true;
        b.first += host_bits(width, prefix) + 1;
    }
}

/* An IPv4 address alone means its class A, B or C network, as in Go. */
static bool read_mergeable(struct call *c, struct value text, struct block *out)
{
    unsigned prefix;

    if (!want_block(c, &text, 0, true, out) || !read_block(text, out, &prefix))
        return false;
    if (prefix != NO_PREFIX)
        return true;
    if (out->family == AF_INET6)
        return builtin_error(c, "IPv6 invalid: needs prefix length");

    uint8_t top = (uint8_t) (out->first >> 24);
    address hosts = host_bits(32, top < 128 ? 8 : top < 192 ? 16 : 24);
    out->last     = out->first | hosts;
    out->first &= ~hosts;
    return true;
}

bool builtin_net_cidr_merge(struct call *c, const struct value *args, struct value *out)
{
    struct block *blocks;
    uint32_t      n;

    if (!want_one_of(c, args, 0, TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET), "array, set"))
        return false;
    n      = args[0].in->n;
    blocks = arena_take(c->arena, n * sizeof *blocks);
    if (!blocks || !charge(c, (uint64_t) n * 16) || !give_new(c, VALUE_SET, 0, out))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!read_mergeable(c, array_at(args[0], i), &blocks[i]))
            return false;
    qsort(blocks, n, sizeof *blocks, by_start);
    for (uint32_t i = 0; i < n;) {
        struct block b = blocks[i++];

        while (i < n && blocks[i].family == b.family && (blocks[i].first <= b.last || blocks[i].first == b.last + 1)) {
            b.last = blocks[i].last > b.last ? blocks[i].last : b.last;
            i++;
        }
        if (!put_range(c, b, *out))
            return false;
    }
    return true;
}
