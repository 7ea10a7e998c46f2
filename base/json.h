/*
 * JSON from a peer, read by json-c behind the checks that it lacks: size, depth, duplicate names, trailing
 * bytes, UTF-8, \u0000 and lone surrogates are refused. [RFC 8259, RFC 7493 section 2]
 */
#pragma once

#include <json-c/json.h>

#include "base/auto.h"
#include "base/bytes.h"

DEFINE_AUTO(json, struct json_object *, json_object_put)

enum { JSON_DEPTH_MAX = 64 };

/*
 * Reads one whole document of at most `len_max` bytes.
 *
 *   out    yours, release with AUTO(json); NULL is a legal value: the document `null`
 *
 * Fails LIMIT over `len_max`, MALFORMED otherwise.
 */
FALLIBLE json_read(struct bytes text, size_t len_max, struct json_object **out, struct err *err);

/*
 * The same, for documents with a secret among their texts: of those nothing stays behind in memory, from here to
 * AUTO(wiped_json). [base/secret.h]
 */
FALLIBLE json_read_wiped(struct bytes text, size_t len_max, struct json_object **out, struct err *err);
void     json_wipe(struct json_object *document); /* its texts, and frees it */
DEFINE_AUTO(wiped_json, struct json_object *, json_wipe)

/*
 * The same, for documents with arrays of bytes in them: a long one is read packed, at a tenth of the cost. Read such
 * members with json_is_packed of base/json_packed.h. [json_packed.h]
 */
FALLIBLE json_read_packed(struct bytes text, size_t len_max, struct json_object **out, struct err *err);

/* Compact text, appended; "/" is not escaped. Leaves no copy: `out` may be a buffer that is wiped. */
void json_write(struct json_object *from, struct buffer *out);

/*
 * Members by name. All fail MALFORMED with the name when `from` is not an object, the member is missing or of
 * another type. Results are borrowed from `from`.
 */
FALLIBLE json_get(struct json_object *from, const char *name, enum json_type type, struct json_object **out,
                  struct err *err);
FALLIBLE json_get_text(struct json_object *from, const char *name, const char **out, struct err *err);
FALLIBLE json_get_u64(struct json_object *from, const char *name, uint64_t most, uint64_t *out, struct err *err);
bool     json_has(struct json_object *from, const char *name); /* present and not null */
/* Of documents where a misspelt member must not be overlooked: only names of `known`, which ends with NULL. Fails MALFORMED. */
FALLIBLE json_only(struct json_object *from, const char *const *known, struct err *err);

/* Adds a member; the value is taken. `text` must be UTF-8. */
void json_add(struct json_object *to, const char *name, struct json_object *value_take);
void json_add_text(struct json_object *to, const char *name, const char *text);
void json_add_hex(struct json_object *to, const char *name, struct bytes b);
