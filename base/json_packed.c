#include "base/json_packed.h"

#include <string.h>

static const char MARK[]  = "[\"\\u0000";
static const char DIGIT[] = "0123456789abcdef";

static const bool SPACES[256] = { [' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true };

static size_t skip_spaces(struct bytes text, size_t at)
{
    while (at < text.len && SPACES[text.at[at]])
        at++;
    return at;
}

/* One number from 0 to 255, without leading zeros, at `*at`, which is moved behind it; -1 when something else stands there. */
static int take_byte(struct bytes text, size_t *at)
{
    int    value = 0;
    size_t n     = 0;

    for (; *at + n < text.len && text.at[*at + n] >= '0' && text.at[*at + n] <= '9'; n++) {
        if (n == 3 || (n == 1 && value == 0))
            return -1;
        value = value * 10 + (text.at[*at + n] - '0');
    }
    *at += n;
    return n > 0 && value <= UINT8_MAX ? value : -1;
}

/* Packs the array whose bracket `r` stands behind to `to`; how many bytes that are. 0: `r` stays, what is at `to` is of no use. */
static size_t array_pack(struct reader *r, uint8_t *to)
{
    struct bytes text = r->left;
    size_t       at = 0, len = sizeof MARK - 1, n = 0;
    int          value, after;

    memcpy(to, MARK, sizeof MARK - 1);
    do {
        at    = skip_spaces(text, at);
        value = take_byte(text, &at);
        at    = skip_spaces(text, at);
        after = at < text.len ? text.at[at++] : 0;
        if (value < 0)
            return 0;
        to[len++] = (uint8_t) DIGIT[value >> 4];
        to[len++] = (uint8_t) DIGIT[value & 15];
        n++;
    } while (after == ',');
    if (after != ']' || n < JSON_PACKED_LEAST)
        return 0;
    to[len++] = '"';
    to[len++] = ']';
    (void) take(r, at); /* all of it seen above */
    return len;
}

/* The string whose quote `r` stands behind, with its closing quote, or all that is left. */
static struct bytes take_string(struct reader *r)
{
    size_t n = 0;

    while (n < r->left.len && r->left.at[n] != '"')
        n += r->left.at[n] == '\\' ? 2 : 1;
    return take(r, n < r->left.len ? n + 1 : r->left.len);
}

/* An array of n bytes has 2n characters and more, packed 2n and MARK and two: with this, it fits wherever it begins. */
enum { ROOM_FOR_EACH = 2, ROOM_FOR_ONE = sizeof MARK + 2 };

void json_pack(struct bytes text, struct buffer *out)
{
    struct reader r     = reader_over(text);
    uint8_t      *start = buffer_extend(out, ROOM_FOR_EACH * text.len + ROOM_FOR_ONE), *to = start;

    while (r.left.len > 0) {
        uint8_t      c      = take_u8(&r);
        size_t       packed = c == '[' ? array_pack(&r, to) : 0;
        struct bytes string = { 0 };

        to += packed;
        if (packed > 0)
            continue;
        *to++ = c;
        if (c == '"')
            string = take_string(&r);
        if (string.len > 0)
            memcpy(to, string.at, string.len);
        to += string.len;
    }
    out->len -= ROOM_FOR_EACH * text.len + ROOM_FOR_ONE - (size_t) (to - start);
}

bool json_can_be_packed(struct bytes text)
{
    static const char ESCAPE[] = "\\u0000";

    for (size_t at = 0; at + sizeof ESCAPE - 1 <= text.len; at++) {
        const uint8_t *found = memchr(text.at + at, '\\', text.len - at);

        if (!found)
            return true;
        at = (size_t) (found - text.at);
        if (text.len - at >= sizeof ESCAPE - 1 && memcmp(found, ESCAPE, sizeof ESCAPE - 1) == 0)
            return false;
    }
    return true;
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
