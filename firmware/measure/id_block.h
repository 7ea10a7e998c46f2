/* ID block and ID authentication of SEV-SNP: a signer's word for a launch digest and policy. [SNP-ABI 8.18] */
#pragma once

#include "base/ossl.h"

enum { ID_BLOCK_LEN = 96, ID_AUTH_LEN = 4096, ID_KEY_LEN = 1028, ID_SIGNATURE_LEN = 512 };

struct id_block {
    uint8_t  launch_digest[48], family_id[16], image_id[16];
    uint32_t guest_svn;
    uint64_t policy;
};

void id_block_write(const struct id_block *block, uint8_t out[static ID_BLOCK_LEN]);

/* A P-384 public key as the firmware has it; its SHA-384 is the key digest of a report. UNSUPPORTED on another curve. */
FALLIBLE id_key_write(EVP_PKEY *key, uint8_t out[static ID_KEY_LEN], struct err *err);

/* ECDSA over SHA-384 of `message`, in the firmware's layout. */
FALLIBLE id_signature_make(EVP_PKEY *key, struct bytes message, uint8_t out[static ID_SIGNATURE_LEN], struct err *err);

/*
 * The authentication page from finished parts.
 *
 *   author_key, key_signature    both NULL when there is no author key
 */
void id_auth_write(const uint8_t block_signature[static ID_SIGNATURE_LEN], const uint8_t id_key[static ID_KEY_LEN],
                   const uint8_t *key_signature, const uint8_t *author_key, uint8_t out[static ID_AUTH_LEN]);

/* Signs `block` with `id_key`, and that key with `author_key` unless it is NULL. */
FALLIBLE id_auth_sign(const uint8_t block[static ID_BLOCK_LEN], EVP_PKEY *id_key, EVP_PKEY *author_key,
                      uint8_t out[static ID_AUTH_LEN], struct err *err);
