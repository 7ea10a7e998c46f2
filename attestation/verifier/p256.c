#include "attestation/verifier/p256.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

static FALLIBLE key_from_parameters(uint8_t *encoded, size_t len, EVP_PKEY **out, struct err *err)
{
    char                        curve[] = "P-256";
    AUTO(pkey_ctx) EVP_PKEY_CTX *make   = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM                  parts[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded, len),
        OSSL_PARAM_construct_end(),
    };

    if (!make || EVP_PKEY_fromdata_init(make) != 1 || EVP_PKEY_fromdata(make, out, EVP_PKEY_PUBLIC_KEY, parts) != 1)
        return err_openssl(err, ERR_MALFORMED, "P-256 point");
    return true;
}

FALLIBLE p256_key_of(struct bytes point, EVP_PKEY *like, EVP_PKEY **out, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key                         = NULL;
    uint8_t              encoded[1 + P256_POINT_LEN] = { 0x04 };

    if (point.len != P256_POINT_LEN)
        return fail_with(err, ERR_MALFORMED, "P-256 point of %zu bytes", point.len);
    memcpy(encoded + 1, point.at, P256_POINT_LEN);
    if (!like)
        return key_from_parameters(encoded, sizeof encoded, out, err);

    key = EVP_PKEY_new();
    if (!key || EVP_PKEY_copy_parameters(key, like) != 1 ||
        EVP_PKEY_set1_encoded_public_key(key, encoded, sizeof encoded) != 1)
        return err_openssl(err, ERR_MALFORMED, "P-256 point");
    *out = TAKE(key);
    return true;
}

bool p256_signed_der(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
    uint8_t                      digest[SHA256_LEN];
    AUTO(pkey_ctx) EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(key, NULL);

    sha256_of(message, digest);
    if (verify && EVP_PKEY_verify_init(verify) == 1 &&
        EVP_PKEY_verify(verify, signature.at, signature.len, digest, sizeof digest) == 1)
        return true;
    ERR_clear_error();
    return false;
}

bool p256_signed(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
    AUTO(ecdsa_sig) ECDSA_SIG *sig = NULL;
    AUTO(bn) BIGNUM           *r   = NULL;
    AUTO(bn) BIGNUM           *s   = NULL;
    uint8_t                    der[P256_SIGNATURE_LEN + 16]; /* two INTEGERs of at most 33 bytes, in a SEQUENCE */
    uint8_t                   *end = der;

    if (signature.len != P256_SIGNATURE_LEN)
        return false;
    sig = ECDSA_SIG_new();
    r   = BN_bin2bn(signature.at, P256_SIGNATURE_LEN / 2, NULL);
    s   = BN_bin2bn(signature.at + P256_SIGNATURE_LEN / 2, P256_SIGNATURE_LEN / 2, NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1)
        return false;
    r = NULL; /* both belong to sig now */
    s = NULL;

    int len = i2d_ECDSA_SIG(sig, &end);

    return len > 0 && p256_signed_der(key, message, (struct bytes){ der, (size_t) len });
}
