/*
 * The part of TOML 1.0 that initdata and its inner files use: comments, bare, quoted and dotted keys, tables,
 * arrays of tables, all four string forms, integers, booleans, arrays and inline tables. Floats and dates are
 * refused as UNSUPPORTED. [TOML 1.0.0]
 */
#pragma once

#include "base/json.h"

enum { TOML_LEN_MAX = 1 << 20, TOML_DEPTH_MAX = 16, TOML_ENTRIES_MAX = 4096 };

/*
 * Reads a document into json-c's values: tables as objects, in the order written.
 *
 *   out    yours, release with AUTO(json)
 *
 * Fails MALFORMED with "line N: ..." (duplicate keys and redefined tables included), LIMIT, UNSUPPORTED.
 */
FALLIBLE toml_read(struct bytes text, struct json_object **out, struct err *err);

/* Appends `text` as a TOML string: a literal or basic one, multi-line when it has line ends. */
void toml_append_text(struct buffer *out, const char *text);
