/* JSON Canonicalization Scheme: one text for one value, so that both sides hash the same bytes. [RFC 8785] */
#pragma once

#include "base/json.h"

/*
 * Appends the canonical text of `value`: names sorted by UTF-16 code units, no blanks, fewest escapes.
 *
 * Fails UNSUPPORTED for a number that is no integer within 2^53: nothing we hash has one.
 */
FALLIBLE jcs_append(struct json_object *value, struct buffer *out, struct err *err);

/* Appends `text`, which is UTF-8, as a canonical JSON string with its quotes. */
void jcs_append_text(struct bytes text, struct buffer *out);
