/*
 * JSON Web Encryption, flattened form, as the key protocol sends resources: ECDH-ES+A256KW, RSA-OAEP-256 or RSA1_5
 * around A256GCM. [RFC 7516, RFC 7518; KBS 8]
 */
#pragma once

#include "base/secret.h"
#include "keys/jose/jwk.h"

/* Whether `to` is a key to encrypt for. Fails UNSUPPORTED for one that only signs. */
FALLIBLE jwe_takes(const struct jwk *to, struct err *err);

/*
 * Encrypts for `to`, by its `alg`, and appends the JSON text. The header is written member by member in the order
 * that Trustee's client re-serialises it in: alg, enc, epk.
 */
FALLIBLE jwe_seal(const struct jwk *to, const struct secret *plain, struct buffer *out, struct err *err);

/*
 * Opens a JWE with the private `key`; the additional data is the protected text as it was received.
 *
 *   out    yours, AUTO(secret)
 *
 * Fails MALFORMED, LIMIT over `len_max`, UNSUPPORTED for other algorithms, UNTRUSTED when it was not made for this
 * key or was changed. RSA1_5 is not opened: its padding is an oracle.
 */
FALLIBLE jwe_open(struct bytes text, size_t len_max, EVP_PKEY *key, struct secret *out, struct err *err);
