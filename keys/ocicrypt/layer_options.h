/*
 * What is needed to open a layer: the public options in an annotation, the private ones inside a packet.
 * The layer's key goes from locked memory to locked memory only. [OCICRYPT]
 */
#pragma once

#include "base/auto.h"
#include "base/secret.h"
#include "keys/ocicrypt/digest.h"
#include "keys/ocicrypt/limits.h"

enum layer_cipher_kind {
    LAYER_CIPHER_CTR, /* AES_256_CTR_HMAC_SHA256: a stream */
    LAYER_CIPHER_XTS  /* AES_256_XTS_VERITY_HMAC_SHA256: blocks, see block_layer.h */
};

struct layer_public {
    uint8_t                hmac[ENC_HMAC_LEN]; /* HMAC-SHA-256 of the ciphertext; with blocks, over their tree's root */
    enum layer_cipher_kind cipher;
};

struct layer_private {
    struct secret key; /* of cipher and HMAC alike */
    uint8_t       nonce[ENC_NONCE_LEN];
    struct digest digest; /* of the plain layer blob: compressed, before encryption */
};

static inline void auto_layer_private(struct layer_private *options) { secret_free(&options->key); }

/* JSON in, JSON out. Fail MALFORMED, LIMIT; UNSUPPORTED for another cipher. Unknown members are ignored. */
FALLIBLE layer_public_read(struct bytes json, struct layer_public *out, struct err *err);
void     layer_public_write(const struct layer_public *options, struct buffer *json);
FALLIBLE layer_private_read(const struct secret *json, struct layer_private *out, struct err *err);
FALLIBLE layer_private_write(const struct layer_private *options, struct secret *json, struct err *err);

FALLIBLE layer_private_new(struct layer_private *out, struct err *err); /* fresh key and nonce; digest left zero */
