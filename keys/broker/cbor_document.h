/*
 * CBOR from a peer, read by libcbor behind the checks that it lacks: size, depth, counts that the bytes cannot hold,
 * indefinite lengths, trailing bytes, floats. [RFC 8949]
 */
#pragma once

#include <cbor.h>

#include "base/auto.h"
#include "base/bytes.h"

DEFINE_AUTO(cbor, cbor_item_t *, cbor_intermediate_decref)

enum { CBOR_DEPTH_MAX = 24 };

/*
 * Reads one whole item.
 *
 *   out    yours, AUTO(cbor)
 *
 * Fails LIMIT over `len_max`, MALFORMED, UNSUPPORTED.
 */
FALLIBLE cbor_document_read(struct bytes text, size_t len_max, cbor_item_t **out, struct err *err);

/* What follows borrows from its item. NULL, or false, when it is not of that kind. */
cbor_item_t *cbor_untagged(cbor_item_t *item, uint64_t tag); /* the content of this tag */
cbor_item_t *cbor_value(const cbor_item_t *map, int64_t key); /* of a map, by an integer; NULL when it stands there twice */
cbor_item_t *cbor_element(const cbor_item_t *array, size_t i);
size_t       cbor_length(const cbor_item_t *array_or_map);   /* 0 for anything else */
bool         cbor_number(const cbor_item_t *item, int64_t *out);
bool         cbor_bytes(const cbor_item_t *item, struct bytes *out);
bool         cbor_text(const cbor_item_t *item, struct bytes *out); /* UTF-8 */
