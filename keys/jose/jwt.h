/* Signed tokens in compact form: ES256 and EdDSA (Ed25519). [RFC 7515, RFC 7519, RFC 8037] */
#pragma once

#include "base/json.h"
#include "base/ossl.h"

/*
 * Signs `payload`, a JSON text, with a P-256 or an Ed25519 key and appends the token.
 *
 *   header_rest    what follows "alg" in the header: ",\"jwk\":{...}" or ""
 */
FALLIBLE jwt_sign(const char *header_rest, struct bytes payload, EVP_PKEY *key, struct buffer *out, struct err *err);

/*
 * Verifies a token and only then reads its payload.
 *
 *   key        the one key that may have signed; the header's own key, if any, is not looked at
 *   payload    yours, AUTO(json); an object
 *
 * Fails LIMIT over `len_max`, MALFORMED, UNSUPPORTED for another `alg` than the key's, UNTRUSTED.
 */
FALLIBLE jwt_verify(struct bytes token, size_t len_max, EVP_PKEY *key, struct json_object **payload, struct err *err);

/* Reads the payload of a token that is not verified: only for what the sender may say freely. */
FALLIBLE jwt_peek(struct bytes token, size_t len_max, struct json_object **payload, struct err *err);

/* Reads the header, which nothing vouches for: only to learn which key to look for. An object. */
FALLIBLE jwt_peek_header(struct bytes token, size_t len_max, struct json_object **header, struct err *err);

/*
 * Checks `exp` (required) and `nbf` at `now`, with `leeway` seconds for clocks that differ. Fails UNTRUSTED.
 */
FALLIBLE jwt_check_times(struct json_object *payload, uint64_t now, uint64_t leeway, struct err *err);
