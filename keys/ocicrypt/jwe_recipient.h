/*
 * The recipient scheme "jwe" of ocicrypt: private options sealed for a public key, which skopeo, buildah and others
 * open with the private one. EC keys on P-256 or P-521 (ECDH-ES+A256KW). For tools; the guest knows only brokers.
 */
#pragma once

#include "base/ossl.h"
#include "keys/ocicrypt/layer_key.h"

#define ENC_JWE_ANNOTATION "org.opencontainers.image.enc.keys.jwe"

/* PEM files: "PUBLIC KEY", "PRIVATE KEY" or "EC PRIVATE KEY". Fail NOT_FOUND, OS; UNSUPPORTED for other keys. */
FALLIBLE jwe_public_key_read(const char *path, EVP_PKEY **out, struct err *err);
FALLIBLE jwe_private_key_read(const char *path, EVP_PKEY **out, struct err *err);

/* Appends the annotation's value. */
FALLIBLE jwe_recipient_seal(EVP_PKEY *to, const struct layer_private *options, struct buffer *annotation,
                            struct err *err);

/*
 * Opens the layer's options with a private key; each of the packets is tried.
 * Fails NOT_FOUND when there is no jwe recipient; MALFORMED, LIMIT, UNTRUSTED, UNSUPPORTED.
 */
FALLIBLE jwe_recipient_open(const struct descriptor *layer, EVP_PKEY *key, struct layer_key *out, struct err *err);
