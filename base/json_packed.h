/*
 * Arrays of bytes within JSON, [0,255,...], put together before json-c makes a value of each number: evidence has
 * thousands of them.
 *
 * A packed array is an array still, of one text: U+0000, then the bytes in hex. No peer can write that text, because
 * `json_read` refuses \u0000 wherever it stands; so packing makes no two documents read alike.
 */
#pragma once

#include <json-c/json.h>

#include "base/bytes.h"

enum { JSON_PACKED_LEAST = 16 }; /* shorter ones stay as they are */

/*
 * Appends `text` with its arrays of JSON_PACKED_LEAST and more numbers from 0 to 255, as RFC 8259 writes them without
 * sign, fraction and exponent, packed. All else, what is wrong too, is appended as it is.
 */
void json_pack(struct bytes text, struct buffer *out);

/* Whether `text` is without the escape that marks a packed array: then each that is in it packed is of json_pack. */
bool json_can_be_packed(struct bytes text);

/* Whether `array` is a packed one; then `hex` is a view of its digits. */
bool json_is_packed(struct json_object *array, struct bytes *hex);
