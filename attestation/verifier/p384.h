/* ECDSA on P-384 over a SHA-384 digest, with r and s as AMD's structures have them. */
#pragma once

#include "base/ossl.h"

enum { P384_INTEGER_LEN = 48 };

/*
 * Turns a little-endian r or s, zero-padded to any length from 48 bytes on, into 48 big-endian bytes.
 * False when it is 0, not below the group order or padded with anything but zeros. [SEC 1 4.1.4]
 */
bool p384_integer_read(struct bytes little_endian, uint8_t out[static P384_INTEGER_LEN]);

/* Likewise for a coordinate of a point, which may be 0 and is checked with the point. */
bool p384_coordinate_read(struct bytes little_endian, uint8_t out[static P384_INTEGER_LEN]);

/* The public key of a point; false when it is not on the curve. `out` is yours, release with AUTO(pkey). */
bool p384_key_of(const uint8_t x[static P384_INTEGER_LEN], const uint8_t y[static P384_INTEGER_LEN], EVP_PKEY **out);

/* Whether the pair signs `digest`; `key` is on P-384, else nothing is signed. All of it is public. */
bool p384_signed(EVP_PKEY *key, const uint8_t digest[static SHA384_LEN], const uint8_t r[static P384_INTEGER_LEN],
                 const uint8_t s[static P384_INTEGER_LEN]);
