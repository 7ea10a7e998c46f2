/*
 * Encrypts the layers of an image for a key that the broker will hold, and back; from one OCI layout to another.
 * [OCICRYPT; image-layout]
 */
#pragma once

#include "base/secret.h"
#include "base/ossl.h"
#include "runtime/oci/layout.h"

struct image_crypt {
    const struct layout_reference *from, *to; /* different folders: plain layers never stand beside their ciphertext */
    const char                    *kid;       /* of encryption; "kbs:///REPOSITORY/TYPE/TAG" */
    const struct secret           *kek;       /* NULL on decryption with `opener` */
    EVP_PKEY                      *recipient; /* on encryption, who else can open the layers; may be NULL */
    EVP_PKEY                      *opener;    /* private key of a jwe recipient: opens what others encrypted; may be NULL */

    /* Called now and then with the bytes done of `n_layers` layers; may be NULL. */
    void (*progress)(void *owner, size_t layer, size_t n_layers, uint64_t bytes, uint64_t of);
    void *owner;
};

struct image_crypt_outcome {
    struct digest_text manifest;
    size_t             n_layers;
    uint64_t           bytes;
};

/*
 * A layer that is encrypted already is opened with `opener` and gets a packet for `kid`; its ciphertext stays.
 *
 * Fails CONFIG (the same folder, a layer that is encrypted already without `opener`, or is not), NOT_FOUND, UNTRUSTED for blobs
 * that are not what their digest says and for a wrong key, MALFORMED, LIMIT, UNSUPPORTED, OS. On failure the index of
 * `to` is as it was.
 */
FALLIBLE image_encrypt(const struct image_crypt *job, struct image_crypt_outcome *out, struct err *err);
FALLIBLE image_decrypt(const struct image_crypt *job, struct image_crypt_outcome *out, struct err *err);
