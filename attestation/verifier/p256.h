/* ECDSA on P-256 with SHA-256, the one algorithm of Intel's quotes, certificates and collateral. */
#pragma once

#include "base/ossl.h"

enum { P256_POINT_LEN = 64, P256_SIGNATURE_LEN = 64 }; /* x, y and r, s: 32 bytes each, big endian */

/*
 * Makes a public key of a point's two coordinates.
 *
 *   like    any P-256 key, whose parameters are copied (which is faster), or NULL
 *   out     yours, release with AUTO(pkey)
 *
 * Fails MALFORMED for a point that is not on the curve.
 */
FALLIBLE p256_key_of(struct bytes point, EVP_PKEY *like, EVP_PKEY **out, struct err *err);

/* Whether `signature` over `message` is `key`'s; r and s of 0 or beyond the group order are not. */
bool p256_signed(EVP_PKEY *key, struct bytes message, struct bytes signature);     /* r, s */
bool p256_signed_der(EVP_PKEY *key, struct bytes message, struct bytes signature); /* ECDSA-Sig-Value, strict DER */
