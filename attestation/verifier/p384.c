#include "attestation/verifier/p384.h"

#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

/* The order of the group, big-endian. [SEC 2 2.5.1] */
static const uint8_t order[P384_INTEGER_LEN] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};

bool p384_coordinate_read(struct bytes little_endian, uint8_t out[static P384_INTEGER_LEN])
{
    struct reader r     = reader_over(little_endian);
    struct bytes  value = take(&r, P384_INTEGER_LEN);

    if (r.failed || !bytes_are_zero(r.left))
        return false;
    for (size_t i = 0; i < P384_INTEGER_LEN; i++)
        out[i] = value.at[P384_INTEGER_LEN - 1 - i];
    return true;
}

bool p384_integer_read(struct bytes little_endian, uint8_t out[static P384_INTEGER_LEN])
{
    return p384_coordinate_read(little_endian, out) && !bytes_are_zero((struct bytes){ out, P384_INTEGER_LEN }) &&
           memcmp(out, order, sizeof order) < 0; /* public values */
}

bool p384_key_of(const uint8_t x[static P384_INTEGER_LEN], const uint8_t y[static P384_INTEGER_LEN], EVP_PKEY **out)
{
    char                         curve[] = "P-384";
    uint8_t                      point[1 + 2 * P384_INTEGER_LEN] = { 0x04 };
    AUTO(pkey_ctx) EVP_PKEY_CTX *make    = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM                   parts[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };

    memcpy(point + 1, x, P384_INTEGER_LEN);
    memcpy(point + 1 + P384_INTEGER_LEN, y, P384_INTEGER_LEN);
    if (make && EVP_PKEY_fromdata_init(make) == 1 && EVP_PKEY_fromdata(make, out, EVP_PKEY_PUBLIC_KEY, parts) == 1)
        return true;
    ERR_clear_error();
    return false;
}

/* The affine coordinates of a public key on P-384. */
static bool point_of(EVP_PKEY *key, uint8_t x[static P384_INTEGER_LEN], uint8_t y[static P384_INTEGER_LEN])
{
    char             group[16] = "";
    AUTO(bn) BIGNUM *x_read    = NULL;
    AUTO(bn) BIGNUM *y_read    = NULL;

    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) == 1 &&
        strcmp(group, SN_secp384r1) == 0 && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x_read) == 1 &&
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y_read) == 1 &&
        BN_bn2binpad(x_read, x, P384_INTEGER_LEN) == P384_INTEGER_LEN &&
        BN_bn2binpad(y_read, y, P384_INTEGER_LEN) == P384_INTEGER_LEN)
        return true;
    ERR_clear_error();
    return false;
}

static void integer_of(const uint8_t big_endian[static P384_INTEGER_LEN], mpz_t out)
{
    mpz_import(out, P384_INTEGER_LEN, 1, 1, 1, 0, big_endian);
}

/*
 * By Nettle, which has its own arithmetic for this curve: OpenSSL 3.0 goes through its code for any curve, at twice the
 * time, and this is the dearest step of an appraisal.
 */
bool p384_signed(EVP_PKEY *key, const uint8_t digest[static SHA384_LEN], const uint8_t r[static P384_INTEGER_LEN],
                 const uint8_t s[static P384_INTEGER_LEN])
{
    uint8_t              x_read[P384_INTEGER_LEN], y_read[P384_INTEGER_LEN];
    struct ecc_point     point;
    struct dsa_signature pair;
    mpz_t                x, y;
    bool                 is_signed;

    if (!point_of(key, x_read, y_read))
        return false;
    mpz_inits(x, y, NULL);
    ecc_point_init(&point, nettle_get_secp_384r1());
    dsa_signature_init(&pair);
    integer_of(x_read, x);
    integer_of(y_read, y);
    integer_of(r, pair.r);
    integer_of(s, pair.s);
    is_signed = ecc_point_set(&point, x, y) == 1 && ecdsa_verify(&point, SHA384_LEN, digest, &pair) == 1;
    dsa_signature_clear(&pair);
    ecc_point_clear(&point);
    mpz_clears(x, y, NULL);
    return is_signed;
}
