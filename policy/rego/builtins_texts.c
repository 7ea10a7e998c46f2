#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"
#include "policy/rego/letters.h"
#include "policy/rego/utf8.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_TEXTS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

enum { ARRAY_OR_SET = TYPE_BIT(VALUE_ARRAY) | TYPE_BIT(VALUE_SET) };

static bool want_texts(struct call *c, const struct value *args, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!want(c, args, i, VALUE_STRING) || !charge_bytes(c, args[i].len))
            return false;
    return true;
}

static struct value part(struct value text, size_t from, size_t to)
{
    return value_text(text.text + from, to - from);
}

static bool starts(struct value text, struct value with)
{
    return with.len <= text.len && (with.len == 0 || memcmp(text.text, with.text, with.len) == 0);
}

static bool ends(struct value text, struct value with)
{
    return with.len <= text.len && (with.len == 0 || memcmp(text.text + text.len - with.len, with.text, with.len) == 0);
}

#define NOWHERE SIZE_MAX

/* Offset of `what` (not empty) at or behind `from`; memmem is linear. */
static size_t find(struct value text, struct value what, size_t from)
{
    const char *at = memmem(text.text + from, text.len - from, what.text, what.len);

    return at ? (size_t) (at - text.text) : NOWHERE;
}

bool builtin_text_concat(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);

    if (!want(c, args, 0, VALUE_STRING) || !want_one_of(c, args, 1, ARRAY_OR_SET, "set, array") ||
        !want_strings(c, args, 1) || !charge(c, args[1].in->n / 4))
        return false;
    for (uint32_t i = 0; i < args[1].in->n; i++) {
        struct value e = array_at(args[1], i);

        if (i > 0)
            text_put(&t, args[0].text, args[0].len);
        text_put(&t, e.text, e.len);
    }
    return charge_bytes(c, t.len) && text_take(&t, out);
}

bool builtin_text_contains(struct call *c, const struct value *args, struct value *out)
{
    return want_texts(c, args, 2) && give(out, value_bool(args[1].len == 0 || find(args[0], args[1], 0) != NOWHERE));
}

bool builtin_text_startswith(struct call *c, const struct value *args, struct value *out)
{
    return want(c, args, 0, VALUE_STRING) && want(c, args, 1, VALUE_STRING) && charge_bytes(c, args[1].len) &&
           give(out, value_bool(starts(args[0], args[1])));
}

bool builtin_text_endswith(struct call *c, const struct value *args, struct value *out)
{
    return want(c, args, 0, VALUE_STRING) && want(c, args, 1, VALUE_STRING) && charge_bytes(c, args[1].len) &&
           give(out, value_bool(ends(args[0], args[1])));
}

bool builtin_text_indexof(struct call *c, const struct value *args, struct value *out)
{
    size_t at;

    if (!want_texts(c, args, 2))
        return false;
    if (args[1].len == 0)
        return builtin_error(c, "empty search character");
    at = find(args[0], args[1], 0);
    return give(out, value_int(at == NOWHERE ? -1 : (int64_t) utf8_count(args[0].text, at)));
}

/* Every place, also those that overlap. */
bool builtin_text_indexof_n(struct call *c, const struct value *args, struct value *out)
{
    size_t   counted = 0;
    int64_t  runes   = 0;
    uint32_t rune;

    if (!want_texts(c, args, 2))
        return false;
    if (args[1].len == 0)
        return builtin_error(c, "empty search character");
    if (!give_new(c, VALUE_ARRAY, 0, out))
        return false;
    for (size_t at = 0; (at = find(args[0], args[1], at)) != NOWHERE; at += utf8_step(args[0].text + at, args[0].len - at, &rune)) {
        runes += (int64_t) utf8_count(args[0].text + counted, at - counted);
        counted = at;
        if (!charge(c, 1 + args[1].len / 64) || !array_append(c->arena, *out, value_int(runes)))
            return false;
    }
    return true;
}

static bool map_runes(struct call *c, const struct value *args, uint32_t (*mapped)(uint32_t), struct value *out)
{
    struct text_out t = text_for(c);
    uint32_t        rune;
    char            bytes[4];

    if (!want_texts(c, args, 1))
        return false;
    for (size_t i = 0; i < args[0].len && !t.failed;) {
        i += utf8_step(args[0].text + i, args[0].len - i, &rune);
        text_put(&t, bytes, utf8_write(mapped(rune), bytes));
    }
    return charge_bytes(c, t.len * 8) && text_take(&t, out);
}

bool builtin_text_lower(struct call *c, const struct value *args, struct value *out)
{
    return map_runes(c, args, rune_lower, out);
}

bool builtin_text_upper(struct call *c, const struct value *args, struct value *out)
{
    return map_runes(c, args, rune_upper, out);
}

/* An empty `old` stands between every two code points, and at both ends. */
static bool put_between_runes(struct call *c, struct value text, struct value fresh, struct text_out *t)
{
    uint32_t rune;

    for (size_t i = 0, n; i < text.len && !t->failed; i += n) {
        n = utf8_step(text.text + i, text.len - i, &rune);
        text_put(t, fresh.text, fresh.len);
        text_put(t, text.text + i, n);
        if (!charge_bytes(c, 8 + fresh.len))
            return false;
    }
    text_put(t, fresh.text, fresh.len);
    return charge_bytes(c, t->len);
}

bool builtin_text_replace(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t    = text_for(c);
    size_t          from = 0;

    if (!want_texts(c, args, 3))
        return false;
    if (args[1].len == 0)
        return put_between_runes(c, args[0], args[2], &t) && text_take(&t, out);
    if (find(args[0], args[1], 0) == NOWHERE)
        return give(out, args[0]);
    for (size_t at; (at = find(args[0], args[1], from)) != NOWHERE; from = at + args[1].len) {
        text_put(&t, args[0].text + from, at - from);
        text_put(&t, args[2].text, args[2].len);
        if (!charge_bytes(c, 8 + args[2].len) || t.failed)
            return false;
    }
    text_put(&t, args[0].text + from, args[0].len - from);
    return charge_bytes(c, t.len) && text_take(&t, out);
}

static bool split_runes(struct call *c, struct value text, struct value *out)
{
    uint32_t rune;

    for (size_t i = 0, n; i < text.len; i += n) {
        n = utf8_step(text.text + i, text.len - i, &rune);
        if (!charge(c, 1) || !array_append(c->arena, *out, part(text, i, i + n)))
            return false;
    }
    return true;
}

static bool split(struct call *c, struct value text, struct value by, struct value *out)
{
    size_t from = 0;

    if (!give_new(c, VALUE_ARRAY, 0, out))
        return false;
    if (by.len == 0)
        return split_runes(c, text, out);
    for (size_t at; (at = find(text, by, from)) != NOWHERE; from = at + by.len)
        if (!charge(c, 1) || !array_append(c->arena, *out, part(text, from, at)))
            return false;
    return array_append(c->arena, *out, part(text, from, text.len));
}

bool builtin_text_split(struct call *c, const struct value *args, struct value *out)
{
    return want_texts(c, args, 2) && split(c, args[0], args[1], out);
}

/* The first n pieces; with a negative n the last. */
bool builtin_text_split_n(struct call *c, const struct value *args, struct value *out)
{
    struct value pieces;
    int64_t      n, all, from;

    if (!want_texts(c, args, 2) || !want_int(c, args, 2, &n) || !split(c, args[0], args[1], &pieces))
        return false;
    all  = pieces.in->n;
    from = n < 0 && n > -all ? all + n : 0;
    n    = n < 0 ? (n > -all ? -n : all) : (n < all ? n : all);
    if (!give_new(c, VALUE_ARRAY, (size_t) n, out))
        return false;
    for (int64_t i = 0; i < n; i++)
        if (!array_append(c->arena, *out, array_at(pieces, (uint32_t) (from + i))))
            return false;
    return true;
}

/* Strings of an argument that may be one string or a collection of them. */
static bool want_text_or_texts(struct call *c, const struct value *args, unsigned i)
{
    if (args[i].type == VALUE_STRING)
        return true;
    if (!want_one_of(c, args, i, ARRAY_OR_SET, "string, set, array"))
        return false;
    for (uint32_t k = 0; k < args[i].in->n; k++)
        if (array_at(args[i], k).type != VALUE_STRING)
            return type_error(c, "operand %u must be %s of strings but got %s containing %s", i + 1, value_type_name(args[i]),
                              value_type_name(args[i]), value_type_name(array_at(args[i], k)));
    return true;
}

static bool any_match(struct call *c, const struct value *args, bool (*matches)(struct value, struct value), struct value *out)
{
    uint32_t n = args[0].type == VALUE_STRING ? 1 : 0, m = args[1].type == VALUE_STRING ? 1 : 0;

    if (!want_text_or_texts(c, args, 0) || !want_text_or_texts(c, args, 1))
        return false;
    n = n ? n : args[0].in->n;
    m = m ? m : args[1].in->n;
    for (uint32_t i = 0; i < n; i++) {
        struct value text = args[0].type == VALUE_STRING ? args[0] : array_at(args[0], i);

        if (!charge(c, 1 + (uint64_t) m / 4))
            return false;
        for (uint32_t k = 0; k < m; k++)
            if (matches(text, args[1].type == VALUE_STRING ? args[1] : array_at(args[1], k)))
                return give(out, value_bool(true));
    }
    return give(out, value_bool(false));
}

bool builtin_text_any_prefix(struct call *c, const struct value *args, struct value *out)
{
    return any_match(c, args, starts, out);
}

bool builtin_text_any_suffix(struct call *c, const struct value *args, struct value *out)
{
    return any_match(c, args, ends, out);
}

bool builtin_text_count(struct call *c, const struct value *args, struct value *out)
{
    int64_t n = 0;

    if (!want_texts(c, args, 2))
        return false;
    if (args[1].len == 0)
        return give(out, value_int((int64_t) utf8_count(args[0].text, args[0].len) + 1));
    for (size_t at = 0; (at = find(args[0], args[1], at)) != NOWHERE; at += args[1].len)
        n++;
    return give(out, value_int(n));
}

/* Which pattern (in key order) stands at this place; the empty one matches anywhere. */
static bool pattern_at(struct value patterns, struct value text, size_t at, uint32_t *out)
{
    for (uint32_t i = 0; i < patterns.in->n; i++) {
        if (starts(part(text, at, text.len), object_key(patterns, i))) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool builtin_text_replace_n(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);
    size_t          i = 0;
    uint32_t        rune, k;
    bool            replaced_nothing = false; /* an empty pattern was used at this place */

    if (!want(c, args, 0, VALUE_OBJECT))
        return false;
    for (k = 0; k < args[0].in->n; k++) {
        if (object_key(args[0], k).type != VALUE_STRING)
            return type_error(c, "operand 1 non-string key found in pattern object");
        if (object_value(args[0], k).type != VALUE_STRING)
            return type_error(c, "operand 1 non-string value found in pattern object");
    }
    if (!want(c, args, 1, VALUE_STRING))
        return false;
    while (!t.failed) {
        if (!charge(c, 1 + args[0].in->n / 4))
            return false;
        if (!replaced_nothing && pattern_at(args[0], args[1], i, &k)) {
            text_put(&t, object_value(args[0], k).text, object_value(args[0], k).len);
            i += object_key(args[0], k).len;
            replaced_nothing = object_key(args[0], k).len == 0;
            continue;
        }
        replaced_nothing = false;
        if (i >= args[1].len)
            break;
        size_t n = utf8_step(args[1].text + i, args[1].len - i, &rune);
        text_put(&t, args[1].text + i, n);
        i += n;
    }
    return text_take(&t, out);
}

bool builtin_text_reverse(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);
    uint32_t        rune;

    if (!want_texts(c, args, 1))
        return false;
    text_put_fill(&t, ' ', args[0].len);
    if (t.failed)
        return false;
    for (size_t i = 0, n; i < args[0].len; i += n) {
        n = utf8_step(args[0].text + i, args[0].len - i, &rune);
        memcpy(t.at + (args[0].len - i - n), args[0].text + i, n);
    }
    return text_take(&t, out);
}

/* Byte offset of the n-th code point, or the length. */
static size_t offset_of(struct value text, size_t from, int64_t n)
{
    uint32_t rune;

    while (n-- > 0 && from < text.len)
        from += utf8_step(text.text + from, text.len - from, &rune);
    return from;
}

bool builtin_text_substring(struct call *c, const struct value *args, struct value *out)
{
    int64_t offset, length;
    size_t  from;

    if (!want_texts(c, args, 1) || !want_int(c, args, 1, &offset) || !want_int(c, args, 2, &length))
        return false;
    if (offset < 0)
        return builtin_error(c, "negative offset");
    from = offset_of(args[0], 0, offset);
    return give(out, part(args[0], from, length < 0 ? args[0].len : offset_of(args[0], from, length)));
}

static bool has_rune(struct value cutset, uint32_t wanted)
{
    uint32_t rune;

    for (size_t i = 0; i < cutset.len;) {
        i += utf8_step(cutset.text + i, cutset.len - i, &rune);
        if (rune == wanted)
            return true;
    }
    return false;
}

/* What is cut: code points in a set, or white space where `cutset` is undefined. */
static bool is_cut(struct value cutset, uint32_t rune)
{
    return value_is_defined(cutset) ? has_rune(cutset, rune) : rune_is_space(rune);
}

static struct value trim_front(struct value text, struct value cutset)
{
    size_t   i = 0, n;
    uint32_t rune;

    for (; i < text.len; i += n) {
        n = utf8_step(text.text + i, text.len - i, &rune);
        if (!is_cut(cutset, rune))
            break;
    }
    return part(text, i, text.len);
}

static struct value trim_back(struct value text, struct value cutset)
{
    size_t   end = text.len;
    uint32_t rune;

    while (end > 0) {
        size_t start = end - 1;

        while (start > 0 && end - start < 4 && ((uint8_t) text.text[start] & 0xc0) == 0x80)
            start--;
        if (utf8_read(text.text + start, end - start, &rune) != end - start) {
            start = end - 1;
            rune  = RUNE_BAD;
        }
        if (!is_cut(cutset, rune))
            break;
        end = start;
    }
    return part(text, 0, end);
}

static bool charge_cut(struct call *c, const struct value *args)
{
    return want_texts(c, args, 2) && charge_bytes(c, (size_t) args[0].len * (args[1].len < 1024 ? args[1].len : 1024));
}

bool builtin_text_trim(struct call *c, const struct value *args, struct value *out)
{
    return charge_cut(c, args) && give(out, trim_back(trim_front(args[0], args[1]), args[1]));
}

bool builtin_text_trim_left(struct call *c, const struct value *args, struct value *out)
{
    return charge_cut(c, args) && give(out, trim_front(args[0], args[1]));
}

bool builtin_text_trim_right(struct call *c, const struct value *args, struct value *out)
{
    return charge_cut(c, args) && give(out, trim_back(args[0], args[1]));
}

bool builtin_text_trim_space(struct call *c, const struct value *args, struct value *out)
{
    return want_texts(c, args, 1) && give(out, trim_back(trim_front(args[0], value_undefined()), value_undefined()));
}

bool builtin_text_trim_prefix(struct call *c, const struct value *args, struct value *out)
{
    if (!want_texts(c, args, 2))
        return false;
    return give(out, starts(args[0], args[1]) ? part(args[0], args[1].len, args[0].len) : args[0]);
}

bool builtin_text_trim_suffix(struct call *c, const struct value *args, struct value *out)
{
    if (!want_texts(c, args, 2))
        return false;
    return give(out, ends(args[0], args[1]) ? part(args[0], 0, args[0].len - args[1].len) : args[0]);
}
