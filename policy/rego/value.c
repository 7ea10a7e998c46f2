#include "policy/rego/value.h"

#include <string.h>

#include "policy/rego/number.h"

struct value value_text(const char *at, size_t len)
{
    return (struct value){ .type = VALUE_STRING, .len = (uint32_t) len, .text = at };
}

struct value value_of_text(const char *text)
{
    return value_text(text, strlen(text));
}

bool value_is_named(struct value v, const char *text)
{
    return v.type == VALUE_STRING && v.len == strlen(text) && memcmp(v.text, text, v.len) == 0;
}

const char *value_type_name(struct value v)
{
#define VALUE_NAME(name, text) [name] = text,
    static const char *const names[] = { VALUE_TYPES(VALUE_NAME) };
#undef VALUE_NAME

    return names[v.type];
}

uint64_t value_nodes(struct value v)
{
    return value_is_composite(v) ? v.in->nodes : 1;
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_texts(struct value a, struct value b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int    c     = least > 0 ? memcmp(a.text, b.text, least) : 0;

    return c ? (c > 0) - (c < 0) : order(a.len, b.len);
}

static int compare_collections(const struct collection *a, const struct collection *b)
{
    size_t n_a = (size_t) a->n * a->width, n_b = (size_t) b->n * b->width;

    if (a == b)
        return 0;
    for (size_t i = 0; i < n_a && i < n_b; i++) {
        int c = value_compare(a->at[i], b->at[i]);

        if (c)
            return c;
    }
    return order(n_a, n_b);
}

int value_compare(struct value a, struct value b)
{
    if (a.type != b.type)
        return a.type < b.type ? -1 : 1;
    switch ((enum value_type) a.type) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
        return 0;
    case VALUE_BOOLEAN:
        return (int) a.truth - (int) b.truth;
    case VALUE_NUMBER:
        if (!a.is_decimal && !b.is_decimal)
            return (a.integer > b.integer) - (a.integer < b.integer);
        return number_compare(a, b);
    case VALUE_STRING:
        return compare_texts(a, b);
    case VALUE_ARRAY:
    case VALUE_OBJECT:
    case VALUE_SET:
        return compare_collections(a.in, b.in);
    }
    return 0;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint64_t hash_text(uint64_t h, const char *at, size_t len)
{
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        h = mix(h, word);
    }
    for (size_t i = 0; i < len; i++)
        h = mix(h, (uint8_t) at[i]);
    return mix(h, len);
}

enum { SAMPLED_ELEMENTS = 8, SAMPLED_DEPTH = 3 };

static uint64_t hash_at(uint64_t h, struct value v, unsigned depth)
{
    h = mix(h, v.type);
    if (value_is_composite(v)) {
        size_t n = (size_t) v.in->n * v.in->width;

        h = mix(h, n);
        for (size_t i = 0; depth > 0 && i < n && i < SAMPLED_ELEMENTS; i++)
            h = hash_at(h, v.in->at[i], depth - 1);
        return h;
    }
    if (v.type == VALUE_STRING)
        return hash_text(h, v.text, v.len);
    if (v.type == VALUE_NUMBER)
        return mix(h, number_hash(v));
    return mix(h, v.type == VALUE_BOOLEAN && v.truth);
}

uint64_t value_hash(struct value v)
{
    return hash_at(0, v, SAMPLED_DEPTH);
}

static bool index_of(struct value array, struct value key, uint32_t *out)
{
    if (key.type != VALUE_NUMBER || key.is_decimal || key.integer < 0 || key.integer >= (int64_t) array.in->n)
        return false;
    *out = (uint32_t) key.integer;
    return true;
}

struct value value_get(struct value of, struct value key)
{
    uint32_t      i;
    struct value *found;

    switch ((enum value_type) of.type) {
    case VALUE_ARRAY:
        return index_of(of, key, &i) ? of.in->at[i] : value_undefined();
    case VALUE_OBJECT:
        found = collection_find(of.in, key);
        return found ? found[1] : value_undefined();
    case VALUE_SET:
        found = collection_find(of.in, key);
        return found ? found[0] : value_undefined();
    case VALUE_UNDEFINED:
    case VALUE_NULL:
    case VALUE_BOOLEAN:
    case VALUE_NUMBER:
    case VALUE_STRING:
        break;
    }
    return value_undefined();
}

struct value object_get_text(struct value object, const char *key)
{
    return object.type == VALUE_OBJECT ? value_get(object, value_of_text(key)) : value_undefined();
}

bool set_has(struct value set, struct value element)
{
    return set.type == VALUE_SET && collection_find(set.in, element) != NULL;
}
