/*
 * AES_256_CTR_HMAC_SHA256: the ciphertext is as long as the plaintext, its HMAC covers the ciphertext only and
 * stands elsewhere. So nothing is to be released before layer_mac_verify held: read twice, or hold back. [OCICRYPT]
 */
#pragma once

#include "base/ossl.h"
#include "keys/ocicrypt/layer_options.h"

/* Zero states do nothing when released. */
struct layer_mac { EVP_MAC_CTX *ctx; };
struct layer_ctr { EVP_CIPHER_CTX *ctx; };

FALLIBLE layer_mac_begin(struct layer_mac *mac, const struct secret *key, struct err *err);
FALLIBLE layer_mac_update(struct layer_mac *mac, struct bytes ciphertext, struct err *err);
FALLIBLE layer_mac_end(struct layer_mac *mac, uint8_t out[static ENC_HMAC_LEN], struct err *err);
/* Ends too; fails UNTRUSTED unless the code is `wanted`, compared in constant time. */
FALLIBLE layer_mac_verify(struct layer_mac *mac, const uint8_t wanted[static ENC_HMAC_LEN], struct err *err);

FALLIBLE layer_ctr_begin(struct layer_ctr *ctr, const struct layer_private *options, struct err *err);
/* Encrypts or decrypts the next `in.len` bytes; `out` may be where `in` is. */
FALLIBLE layer_ctr_apply(struct layer_ctr *ctr, struct bytes in, uint8_t *out, struct err *err);

static inline void auto_layer_mac(struct layer_mac *mac) { EVP_MAC_CTX_free(mac->ctx); }
static inline void auto_layer_ctr(struct layer_ctr *ctr) { EVP_CIPHER_CTX_free(ctr->ctx); }
