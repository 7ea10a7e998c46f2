#include "attestation/evidence/json_bytes.h"

#include <string.h>

#include "base/json_packed.h"
#include "base/text.h"

static FALLIBLE count_check(size_t n, size_t least, size_t most, struct err *err)
{
    if (n >= least && n <= most)
        return true;
    return least == most ? fail_with(err, ERR_MALFORMED, "%zu bytes; wanted %zu", n, least)
                         : fail_with(err, ERR_LIMIT, "%zu bytes; wanted %zu to %zu", n, least, most);
}

static FALLIBLE numbers_read(struct json_object *array, size_t least, size_t most, struct buffer *out, struct err *err)
{
    struct bytes hex;
    uint8_t     *at;
    size_t       n;

    if (!json_object_is_type(array, json_type_array))
        return fail_with(err, ERR_MALFORMED, "an array of numbers is wanted");
    if (json_is_packed(array, &hex))
        return count_check(hex.len / 2, least, most, err) && hex_read(hex, out, err);
    n = json_object_array_length(array);
    if (!count_check(n, least, most, err))
        return false;
    at = buffer_grow(out, n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *one   = json_object_array_get_idx(array, i);
        int64_t             value = json_object_get_int64(one);

        if (!json_object_is_type(one, json_type_int) || value < 0 || value > UINT8_MAX)
            return fail_with(err, ERR_MALFORMED, "element %zu is not a byte", i);
        at[i] = (uint8_t) value;
    }
    return true;
}

static FALLIBLE text_read(struct bytes text, enum json_bytes_form form, struct buffer *out, struct err *err)
{
    bool is_padded = text.len % 4 == 0; /* no padding is missing */

    if (form == JSON_BYTES_HEX)
        return hex_read(text, out, err);
    if (form == JSON_BYTES_BASE64)
        return base64_read(text, BASE64_STANDARD, out, err);
    return base64_read(text, is_padded ? BASE64_URL_PADDED : BASE64_URL, out, err);
}

FALLIBLE json_bytes_of(struct json_object *value, enum json_bytes_form form, size_t least, size_t most,
                       struct buffer *out, struct err *err)
{
    size_t before = out->len;

    if (form == JSON_BYTES_NUMBERS)
        return numbers_read(value, least, most, out, err);
    if (!json_object_is_type(value, json_type_string))
        return fail_with(err, ERR_MALFORMED, "a string is wanted");

    struct bytes text = { (const uint8_t *) json_object_get_string(value), (size_t) json_object_get_string_len(value) };

    if (text.len / 2 > most) /* even hex, the longest form, has two characters for a byte */
        return count_check(text.len / 2, least, most, err);
    return text_read(text, form, out, err) && count_check(out->len - before, least, most, err);
}

FALLIBLE json_bytes_get(struct json_object *from, const char *name, enum json_bytes_form form, size_t least, size_t most,
                        struct buffer *out, struct err *err)
{
    struct json_object *value = NULL;

    if (!json_object_is_type(from, json_type_object) || !json_object_object_get_ex(from, name, &value))
        return fail_with(err, ERR_MALFORMED, "\"%s\" is missing", name);
    return json_bytes_of(value, form, least, most, out, err) || contextf(err, "\"%s\"", name);
}

static struct json_object *numbers_new(struct bytes b)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < b.len; i++)
        (void) json_object_array_add(array, json_object_new_int(b.at[i])); /* fails only without memory */
    return array;
}

struct json_object *json_bytes_new(struct bytes b, enum json_bytes_form form)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (form == JSON_BYTES_NUMBERS)
        return numbers_new(b);
    if (form == JSON_BYTES_HEX)
        hex_append(&text, b);
    else
        base64_append(&text, b, form == JSON_BYTES_BASE64 ? BASE64_STANDARD : BASE64_URL_PADDED);
    return json_object_new_string(buffer_text(&text));
}
