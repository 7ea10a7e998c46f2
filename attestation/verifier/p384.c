#include "attestation/verifier/p384.h"

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

/* As a DER INTEGER: no needless leading zero, and one where the top bit is set. */
static void put_integer(struct writer *w, const uint8_t value[static P384_INTEGER_LEN])
{
    size_t skipped = 0;

    while (skipped < P384_INTEGER_LEN - 1 && value[skipped] == 0)
        skipped++;

    bool   sign = value[skipped] >= 0x80;
    size_t len  = P384_INTEGER_LEN - skipped;

    put_u8(w, 0x02);
    put_u8(w, (uint8_t) (len + sign));
    if (sign)
        put_u8(w, 0);
    put(w, (struct bytes){ value + skipped, len });
}

bool p384_signed(EVP_PKEY *key, const uint8_t digest[static SHA384_LEN], const uint8_t r[static P384_INTEGER_LEN],
                 const uint8_t s[static P384_INTEGER_LEN])
{
    uint8_t                      der[2 + 2 * (2 + 1 + P384_INTEGER_LEN)];
    struct writer                w      = writer_over(der, sizeof der);
    AUTO(pkey_ctx) EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(key, NULL);

    put_u8(&w, 0x30);
    put_u8(&w, 0); /* the length, once it is known; below 128 */
    put_integer(&w, r);
    put_integer(&w, s);
    der[1] = (uint8_t) (w.len - 2);
    if (verify && EVP_PKEY_verify_init(verify) == 1 &&
        EVP_PKEY_verify(verify, der, w.len, digest, SHA384_LEN) == 1)
        return true;
    ERR_clear_error();
    return false;
}
