#include "base/json_packed.h"

#include <string.h>

static const char MARK[]  = "[\"\\u0000";
static const char DIGIT[] = "0123456789abcdef";

static void skip_spaces(struct reader *r)
{
    while (r->left.len > 0 && r->left.at[0] != 0 && strchr(" \t\r\n", r->left.at[0]))
        (void) take_u8(r); /* seen above */
}

/* One number from 0 to 255, without leading zeros; -1 when something else stands there. */
static int take_byte(struct reader *r)
{
    int    value = 0;
    size_t n     = 0;

    for (; n < r->left.len && r->left.at[n] >= '0' && r->left.at[n] <= '9'; n++) {
        if (n == 3 || (n == 1 && value == 0))
            return -1;
        value = value * 10 + (r->left.at[n] - '0');
    }
    (void) take(r, n); /* seen above */
    return n > 0 && value <= UINT8_MAX ? value : -1;
}

/* Packs the array whose bracket `r` stands behind, or leaves both as they are. */
static bool array_pack(struct reader *r, struct buffer *out)
{
    struct reader ahead  = *r;
    size_t        before = out->len, n = 0;
    int           value, after;

    buffer_append_text(out, MARK);
    do {
        skip_spaces(&ahead);
        value = take_byte(&ahead);
        skip_spaces(&ahead);
        after = ahead.left.len > 0 ? take_u8(&ahead) : 0;
        if (value >= 0) {
            uint8_t hex[2] = { (uint8_t) DIGIT[value >> 4], (uint8_t) DIGIT[value & 15] };

            buffer_append(out, BYTES_OF(hex));
        }
        n++;
    } while (value >= 0 && after == ',');
    if (value < 0 || after != ']' || n < JSON_PACKED_LEAST) {
        out->len = before;
        return false;
    }
    buffer_append_text(out, "\"]");
    *r = ahead;
    return true;
}

/* The string whose quote `r` stands behind, with its closing quote, or all that is left. */
static struct bytes take_string(struct reader *r)
{
    size_t n = 0;

    while (n < r->left.len && r->left.at[n] != '"')
        n += r->left.at[n] == '\\' ? 2 : 1;
    return take(r, n < r->left.len ? n + 1 : r->left.len);
}

void json_pack(struct bytes text, struct buffer *out)
{
    struct reader r = reader_over(text);

    while (r.left.len > 0) {
        uint8_t c = take_u8(&r);

        if (c == '[' && array_pack(&r, out))
            continue;
        buffer_append(out, (struct bytes){ &c, 1 });
        if (c == '"')
            buffer_append(out, take_string(&r));
    }
}

bool json_is_packed(struct json_object *array, struct bytes *hex)
{
    struct json_object *only;
    const char         *text;
    int                 len;

    if (!json_object_is_type(array, json_type_array) || json_object_array_length(array) != 1)
        return false;
    only = json_object_array_get_idx(array, 0);
    if (!json_object_is_type(only, json_type_string))
        return false;
    text = json_object_get_string(only);
    len  = json_object_get_string_len(only);
    if (len < 1 || text[0] != 0)
        return false;
    *hex = (struct bytes){ (const uint8_t *) text + 1, (size_t) len - 1 };
    return true;
}
