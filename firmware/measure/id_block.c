#include "firmware/measure/id_block.h"

#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>

enum { BLOCK_VERSION = 1, ALGO_ECDSA_P384_SHA384 = 1, CURVE_P384 = 2, NUMBER_LEN = 72, CURVE_BITS = 384 };
enum { BLOCK_SIGNATURE = 0x40, ID_KEY = 0x240, KEY_SIGNATURE = 0x680, AUTHOR_KEY = 0x880, DER_MAX = 160 };

void id_block_write(const struct id_block *b, uint8_t out[static ID_BLOCK_LEN])
{
    struct writer w = writer_over(out, ID_BLOCK_LEN);

    put(&w, BYTES_OF(b->launch_digest));
    put(&w, BYTES_OF(b->family_id));
    put(&w, BYTES_OF(b->image_id));
    put_u32le(&w, BLOCK_VERSION);
    put_u32le(&w, b->guest_svn);
    put_u64le(&w, b->policy);
    assert(!w.failed && w.len == ID_BLOCK_LEN);
}

static FALLIBLE put_number(struct writer *w, const BIGNUM *n, struct err *err)
{
    uint8_t number[NUMBER_LEN];

    if (!n || BN_bn2lebinpad(n, number, sizeof number) != NUMBER_LEN)
        return err_openssl(err, ERR_BUG, "number of a key or signature");
    put(w, BYTES_OF(number));
    return true;
}

FALLIBLE id_key_write(EVP_PKEY *key, uint8_t out[static ID_KEY_LEN], struct err *err)
{
    struct writer   w = writer_over(out, ID_KEY_LEN);
    AUTO(bn) BIGNUM *x = NULL, *y = NULL;
    char            group[32] = { 0 };
    size_t          len       = 0;

    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &len) != 1 ||
        strcmp(group, "secp384r1") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "the key is not on curve P-384");
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1)
        return err_openssl(err, ERR_MALFORMED, "public key");
    memset(out, 0, ID_KEY_LEN);
    put_u32le(&w, CURVE_P384);
    return put_number(&w, x, err) && put_number(&w, y, err);
}

FALLIBLE id_signature_make(EVP_PKEY *key, struct bytes message, uint8_t out[static ID_SIGNATURE_LEN], struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX    *ctx = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG  *sig = NULL;
    uint8_t                     der[DER_MAX];
    const uint8_t              *at  = der;
    size_t                      len = sizeof der;
    struct writer               w   = writer_over(out, ID_SIGNATURE_LEN);

    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, der, &len, message.at, message.len) != 1)
        return err_openssl(err, ERR_OS, "sign");
    sig = d2i_ECDSA_SIG(NULL, &at, (long) len);
    if (!sig)
        return err_openssl(err, ERR_BUG, "own signature");
    memset(out, 0, ID_SIGNATURE_LEN);
    return put_number(&w, ECDSA_SIG_get0_r(sig), err) && put_number(&w, ECDSA_SIG_get0_s(sig), err);
}

void id_auth_write(const uint8_t block_signature[static ID_SIGNATURE_LEN], const uint8_t id_key[static ID_KEY_LEN],
                   const uint8_t *key_signature, const uint8_t *author_key, uint8_t out[static ID_AUTH_LEN])
{
    struct writer w = writer_over(out, 8);

    memset(out, 0, ID_AUTH_LEN);
    put_u32le(&w, ALGO_ECDSA_P384_SHA384);
    put_u32le(&w, author_key ? ALGO_ECDSA_P384_SHA384 : 0);
    memcpy(out + BLOCK_SIGNATURE, block_signature, ID_SIGNATURE_LEN);
    memcpy(out + ID_KEY, id_key, ID_KEY_LEN);
    if (!author_key || !key_signature)
        return;
    memcpy(out + KEY_SIGNATURE, key_signature, ID_SIGNATURE_LEN);
    memcpy(out + AUTHOR_KEY, author_key, ID_KEY_LEN);
}

FALLIBLE id_auth_sign(const uint8_t block[static ID_BLOCK_LEN], EVP_PKEY *id_key, EVP_PKEY *author_key,
                      uint8_t out[static ID_AUTH_LEN], struct err *err)
{
    uint8_t key[ID_KEY_LEN], author[ID_KEY_LEN], block_signature[ID_SIGNATURE_LEN], key_signature[ID_SIGNATURE_LEN];

    if (!id_key_write(id_key, key, err) ||
        !id_signature_make(id_key, (struct bytes){ block, ID_BLOCK_LEN }, block_signature, err))
        return context(err, "ID key");
    if (author_key && (!id_key_write(author_key, author, err) ||
                       !id_signature_make(author_key, BYTES_OF(key), key_signature, err)))
        return context(err, "author key");
    id_auth_write(block_signature, key, author_key ? key_signature : NULL, author_key ? author : NULL, out);
    return true;
}
