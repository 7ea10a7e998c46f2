/* Members of an engine's JSON that may be missing: what is there has the type that is wanted. All borrow. */
#pragma once

#include "base/json.h"

/* `out` NULL when the member, or `from`, is missing or null. Fails MALFORMED. */
FALLIBLE spec_member(struct json_object *from, const char *name, enum json_type type, struct json_object **out, struct err *err);

/* `out` is left alone when there is none. Fails MALFORMED. */
FALLIBLE spec_text(struct json_object *from, const char *name, const char **out, struct err *err);

/* 0 when there is none; -1 and 0 are no limit, as engines mean it. Fails MALFORMED. */
FALLIBLE spec_number(struct json_object *from, const char *name, uint64_t *out, struct err *err);

/* The array is yours, also on failure; its texts are only to be read. Fails MALFORMED; LIMIT over SHIM_STRINGS_MAX. */
FALLIBLE spec_texts(struct json_object *from, const char *name, char ***out, size_t *n, struct err *err);
