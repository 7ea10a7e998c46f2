#include "keys/ocicrypt/layer_cipher.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

FALLIBLE layer_mac_begin(struct layer_mac *mac, const struct secret *key, struct err *err)
{
    AUTO(mac) EVP_MAC *hmac     = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char               name[]   = "SHA256";
    const OSSL_PARAM   params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                    OSSL_PARAM_construct_end() };

    if (hmac && !mac->ctx)
        mac->ctx = EVP_MAC_CTX_new(hmac);
    if (!mac->ctx || EVP_MAC_init(mac->ctx, secret_expose(key).at, key->len, params) != 1)
        return err_openssl(err, ERR_BUG, "begin HMAC");
    return true;
}

FALLIBLE layer_mac_update(struct layer_mac *mac, struct bytes ciphertext, struct err *err)
{
    return EVP_MAC_update(mac->ctx, ciphertext.at, ciphertext.len) == 1 || err_openssl(err, ERR_BUG, "HMAC");
}

FALLIBLE layer_mac_end(struct layer_mac *mac, uint8_t out[static ENC_HMAC_LEN], struct err *err)
{
    size_t len = 0;

    return (EVP_MAC_final(mac->ctx, out, &len, ENC_HMAC_LEN) == 1 && len == ENC_HMAC_LEN) ||
           err_openssl(err, ERR_BUG, "end HMAC");
}

FALLIBLE layer_mac_verify(struct layer_mac *mac, const uint8_t wanted[static ENC_HMAC_LEN], struct err *err)
{
    uint8_t found[ENC_HMAC_LEN];

    if (!layer_mac_end(mac, found, err))
        return false;
    if (CRYPTO_memcmp(found, wanted, ENC_HMAC_LEN) != 0)
        return fail_with(err, ERR_UNTRUSTED, "HMAC does not match: the ciphertext or the annotation was changed");
    return true;
}

FALLIBLE layer_ctr_begin(struct layer_ctr *ctr, const struct layer_private *options, struct err *err)
{
    if (!ctr->ctx)
        ctr->ctx = EVP_CIPHER_CTX_new();
    if (!ctr->ctx || options->key.len != ENC_KEY_LEN ||
        EVP_EncryptInit_ex2(ctr->ctx, EVP_aes_256_ctr(), secret_expose(&options->key).at, options->nonce, NULL) != 1)
        return err_openssl(err, ERR_BUG, "begin AES-256-CTR");
    return true;
}

FALLIBLE layer_ctr_apply(struct layer_ctr *ctr, struct bytes in, uint8_t *out, struct err *err)
{
    int n = 0;

    if (in.len > INT_MAX)
        return fail_with(err, ERR_LIMIT, "AES-256-CTR over %zu bytes at once", in.len);
    return EVP_EncryptUpdate(ctr->ctx, out, &n, in.at, (int) in.len) == 1 || err_openssl(err, ERR_BUG, "AES-256-CTR");
}
