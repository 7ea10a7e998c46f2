#include "keys/jose/jcs.h"

#include <string.h>

enum { MEMBERS_MAX = 4096 };
static const int64_t INTEGER_MAX = INT64_C(9007199254740991); /* 2^53 - 1: what every reader keeps exactly */

static const char *short_escape(uint8_t c)
{
    switch (c) {
    case '"':  return "\\\"";
    case '\\': return "\\\\";
    case '\b': return "\\b";
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\f': return "\\f";
    case '\r': return "\\r";
    default:   return NULL;
    }
}

void jcs_append_text(struct bytes text, struct buffer *out)
{
    buffer_append_text(out, "\"");
    for (size_t i = 0; i < text.len; i++) {
        const char *escape = short_escape(text.at[i]);

        if (escape)
            buffer_append_text(out, escape);
        else if (text.at[i] < 0x20)
            buffer_printf(out, "\\u%04x", (unsigned) text.at[i]);
        else
            buffer_append(out, (struct bytes){ text.at + i, 1 });
    }
    buffer_append_text(out, "\"");
}

/*
 * UTF-16 order differs from byte order only where a surrogate pair (first byte F0..F4) meets U+E000..U+FFFF
 * (first byte EE, EF), at the first byte that differs.
 */
static unsigned utf16_rank(uint8_t c)
{
    return c >= 0xee && c <= 0xef ? c + 0x10u : c >= 0xf0 ? c - 2u : c;
}

static int by_utf16(const void *a, const void *b)
{
    const char *x = *(const char *const *) a;
    const char *y = *(const char *const *) b;

    while (*x && *x == *y)
        x++, y++;
    return (int) utf16_rank((uint8_t) *x) - (int) utf16_rank((uint8_t) *y);
}

static FALLIBLE append_object(struct json_object *value, struct buffer *out, struct err *err)
{
    AUTO(heap) uint8_t *held = NULL;
    size_t              n    = (size_t) json_object_object_length(value);
    size_t              i    = 0;
    const char        **names;

    if (n > MEMBERS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu members in one JSON object; at most %d", n, MEMBERS_MAX);
    names = calloc(n ? n : 1, sizeof *names);
    if (!names)
        abort();
    held = (uint8_t *) names;
    json_object_object_foreach(value, name, ignored)
    {
        (void) ignored;
        names[i++] = name;
    }
    qsort(names, n, sizeof *names, by_utf16);

    buffer_append_text(out, "{");
    for (i = 0; i < n; i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        jcs_append_text(bytes_of_text(names[i]), out);
        buffer_append_text(out, ":");
        if (!jcs_append(json_object_object_get(value, names[i]), out, err))
            return false;
    }
    buffer_append_text(out, "}");
    return true;
}

static FALLIBLE append_array(struct json_object *value, struct buffer *out, struct err *err)
{
    buffer_append_text(out, "[");
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        if (!jcs_append(json_object_array_get_idx(value, i), out, err))
            return false;
    }
    buffer_append_text(out, "]");
    return true;
}

static FALLIBLE append_integer(struct json_object *value, struct buffer *out, struct err *err)
{
    int64_t v = json_object_get_int64(value); /* clamps; the bound below then refuses */

    if (v > INTEGER_MAX || v < -INTEGER_MAX)
        return fail_with(err, ERR_UNSUPPORTED, "canonical JSON: an integer beyond 2^53");
    buffer_printf(out, "%lld", (long long) v);
    return true;
}

FALLIBLE jcs_append(struct json_object *value, struct buffer *out, struct err *err)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        buffer_append_text(out, "null");
        return true;
    case json_type_boolean:
        buffer_append_text(out, json_object_get_boolean(value) ? "true" : "false");
        return true;
    case json_type_int:
        return append_integer(value, out, err);
    case json_type_string:
        jcs_append_text((struct bytes){ (const uint8_t *) json_object_get_string(value),
                                        (size_t) json_object_get_string_len(value) },
                        out);
        return true;
    case json_type_object:
        return append_object(value, out, err);
    case json_type_array:
        return append_array(value, out, err);
    case json_type_double:
        break;
    }
    return fail_with(err, ERR_UNSUPPORTED, "canonical JSON: a number that is no integer");
}
