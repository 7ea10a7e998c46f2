/*
 * Intel's signed documents: {"NAME":{...},"signature":"128 hex digits"}. The signature covers the exact bytes of
 * the first member's value, so they are cut out of the text before anything is parsed. [tdx.md 2.4]
 */
#pragma once

#include "base/bytes.h"

enum { SIGNED_JSON_LEN_MAX = 1 << 20, SIGNED_JSON_DEPTH_MAX = 32 };

struct signed_json {
    struct bytes body;          /* the signed object, from { to its matching }; borrowed */
    uint8_t      signature[64]; /* r, s */
};

/*
 * Cuts out member `name` and the signature.
 *
 * Fails MALFORMED for any other member, a repeated one, text behind the object, a number that is not plain digits,
 * hex of mixed case; LIMIT for size and depth.
 */
FALLIBLE signed_json_split(struct bytes whole, const char *name, struct signed_json *out, struct err *err);
