#include "keys/store/seal.h"

#include <string.h>

#include "base/ossl.h"

enum { NONCE_LEN = 12, TAG_LEN = 16 };

FALLIBLE seal(const struct secret *key, const char *name, const struct secret *plain, struct buffer *out,
              struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t                          nonce[NONCE_LEN];
    uint8_t                         *at;
    int                              len = 0;

    if (key->len != SEAL_KEY_LEN)
        return fail_with(err, ERR_CONFIG, "the store's key has %zu bytes; wanted %d", key->len, SEAL_KEY_LEN);
    if (!random_bytes(nonce, sizeof nonce, err))
        return false;
    buffer_append(out, BYTES_OF(nonce));
    at = buffer_grow(out, plain->len + TAG_LEN);
    if (!ctx || EVP_EncryptInit_ex(ctx, cipher_aes256_gcm(), NULL, key->held, nonce) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &len, (const uint8_t *) name, (int) strlen(name)) != 1 ||
        EVP_EncryptUpdate(ctx, at, &len, plain->held, (int) plain->len) != 1 ||
        EVP_EncryptFinal_ex(ctx, at + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, at + plain->len) != 1)
        return err_openssl(err, ERR_BUG, "seal a secret");
    return true;
}

FALLIBLE unseal(const struct secret *key, const char *name, struct bytes sealed, struct secret *out, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx   = EVP_CIPHER_CTX_new();
    AUTO(secret) struct secret       plain = { 0 };
    struct reader                    r     = reader_over(sealed);
    struct bytes                     nonce = take(&r, NONCE_LEN);
    struct bytes                     body  = take(&r, sealed.len > SEAL_EXTRA ? sealed.len - SEAL_EXTRA : 0);
    struct bytes                     tag   = take(&r, TAG_LEN);
    int                              len   = 0;

    if (!reader_done(&r, err))
        return context(err, "sealed secret");
    if (key->len != SEAL_KEY_LEN)
        return fail_with(err, ERR_CONFIG, "the store's key has %zu bytes; wanted %d", key->len, SEAL_KEY_LEN);
    if (!secret_new(body.len, &plain, err))
        return false;
    if (!ctx || EVP_DecryptInit_ex(ctx, cipher_aes256_gcm(), NULL, key->held, nonce.at) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &len, (const uint8_t *) name, (int) strlen(name)) != 1 ||
        EVP_DecryptUpdate(ctx, plain.held, &len, body.at, (int) body.len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, (void *) (uintptr_t) tag.at) != 1)
        return err_openssl(err, ERR_BUG, "unseal a secret");
    if (EVP_DecryptFinal_ex(ctx, plain.held + len, &len) != 1)
        return fail_with(err, ERR_UNTRUSTED, "sealed secret: changed, moved, or sealed under another key");
    *out = TAKE(plain);
    return true;
}
