/*
 * JSON Web Keys of the kinds that the key protocol uses. Reading is typed: exactly the members that count survive,
 * so that a hash over the canonical text is the one that Trustee computes. [RFC 7517, RFC 7518 6; KBS 6.3, 7]
 */
#pragma once

#include "base/json.h"
#include "base/ossl.h"

enum jwk_kind { JWK_P256, JWK_P521, JWK_RSA };

enum { JWK_TEXT_MAX = 8192, JWK_ALG_MAX = 32 };

struct jwk {
    enum jwk_kind kind;
    char          alg[JWK_ALG_MAX];
    EVP_PKEY     *key;       /* public part; owned */
    struct buffer canonical; /* RFC 8785 text of the typed members; owned */
};

void jwk_free(struct jwk *jwk);
static inline void auto_jwk(struct jwk *jwk) { jwk_free(jwk); }

/*
 * Reads a public key; members beyond kty, crv, alg, x, y (EC) or kty, alg, n, e (RSA) are ignored. `alg` is required.
 *
 *   out    yours, AUTO(jwk); written only on success
 *
 * Fails MALFORMED (a point off its curve, coordinates of another width), UNSUPPORTED for other kinds and sizes.
 */
FALLIBLE jwk_read(struct json_object *from, struct jwk *out, struct err *err);

/* Describes an EC P-256, P-521 or RSA key; `key` stays the caller's. */
FALLIBLE jwk_of_key(EVP_PKEY *key, const char *alg, struct jwk *out, struct err *err);

/* A fresh key pair on P-256. */
FALLIBLE jwk_generate_p256(EVP_PKEY **out, struct err *err);

/* Reads EC coordinates, base64url, onto a curve ("P-256", "P-521"). */
FALLIBLE jwk_point_read(const char *crv, const char *x, const char *y, EVP_PKEY **out, struct err *err);
/* Appends {"crv":..,"kty":"EC","x":..,"y":..} without the braces: the members of an `epk`, in sorted order. */
FALLIBLE jwk_append_point(EVP_PKEY *key, struct buffer *out, struct err *err);
