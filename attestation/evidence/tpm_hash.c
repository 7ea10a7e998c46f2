#include "attestation/evidence/tpm_hash.h"

#include <string.h>

static const struct tpm_hash hashes[] = {
    { TPM_SHA1, "sha1", 20, EVP_sha1 },       { TPM_SHA256, "sha256", 32, EVP_sha256 },
    { TPM_SHA384, "sha384", 48, EVP_sha384 }, { TPM_SHA512, "sha512", 64, EVP_sha512 },
    { TPM_SM3, "sm3", 32, EVP_sm3 },
};

const struct tpm_hash *tpm_hash_by_id(uint16_t id)
{
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        if (hashes[i].id == id)
            return &hashes[i];
    return NULL;
}

const struct tpm_hash *tpm_hash_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        if (strcmp(hashes[i].name, name) == 0)
            return &hashes[i];
    return NULL;
}

void tpm_hash_of(const struct tpm_hash *hash, struct bytes first, struct bytes second,
                 uint8_t out[static TPM_HASH_LEN_MAX])
{
    AUTO(md_ctx) EVP_MD_CTX *c = EVP_MD_CTX_new();

    if (!c || EVP_DigestInit_ex(c, hash->md(), NULL) != 1 || EVP_DigestUpdate(c, first.at, first.len) != 1 ||
        EVP_DigestUpdate(c, second.at, second.len) != 1 || EVP_DigestFinal_ex(c, out, NULL) != 1)
        abort();
}
