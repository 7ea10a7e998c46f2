/* Hash algorithms by their TPM number. [TPM-P2 6.3 TPM_ALG_ID] */
#pragma once

#include "base/ossl.h"

enum { TPM_SHA1 = 0x0004, TPM_SHA256 = 0x000b, TPM_SHA384 = 0x000c, TPM_SHA512 = 0x000d, TPM_SM3 = 0x0012 };
enum { TPM_HASH_LEN_MAX = 64 };

struct tpm_hash {
    uint16_t    id;
    const char *name;
    size_t      len;
    const EVP_MD *(*md)(void);
};

const struct tpm_hash *tpm_hash_by_id(uint16_t id); /* NULL for one we do not know */
const struct tpm_hash *tpm_hash_by_name(const char *name);

/* H(first, second), either of which may be empty; `out` takes hash->len bytes. Aborts if OpenSSL cannot hash. */
void tpm_hash_of(const struct tpm_hash *hash, struct bytes first, struct bytes second,
                 uint8_t out[static TPM_HASH_LEN_MAX]);
