/* Bytes as members of JSON evidence, in the four forms that CoCo's attesters have used. [evidence-formats.md 2 to 5] */
#pragma once

#include "base/json.h"

enum json_bytes_form {
    JSON_BYTES_NUMBERS,   /* [0,255,...] */
    JSON_BYTES_HEX,
    JSON_BYTES_BASE64,    /* standard alphabet, padded */
    JSON_BYTES_BASE64_URL /* URL alphabet; written padded, read with padding or without */
};

/*
 * Appends the bytes of `value`.
 *
 *   least, most    how many there must be
 *
 * Fails MALFORMED for another type, character or fixed length, LIMIT outside a range. What it appended before a failure
 * stays.
 */
FALLIBLE json_bytes_of(struct json_object *value, enum json_bytes_form form, size_t least, size_t most,
                       struct buffer *out, struct err *err);

/* The same of a member; the text of a failure begins with its name. */
FALLIBLE json_bytes_get(struct json_object *from, const char *name, enum json_bytes_form form, size_t least, size_t most,
                        struct buffer *out, struct err *err);

struct json_object *json_bytes_new(struct bytes b, enum json_bytes_form form);
