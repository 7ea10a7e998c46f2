#include "tests/harness/test.h"

#include "attestation/verifier/p384.h"

static const uint8_t order_le[72] = {
    0x73, 0x29, 0xc5, 0xcc, 0x6a, 0x19, 0xec, 0xec, 0x7a, 0xa7, 0xb0, 0x48, 0xb2, 0x0d, 0x1a, 0x58,
    0xdf, 0x2d, 0x37, 0xf4, 0x81, 0x4d, 0x63, 0xc7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static void integers_are_from_1_to_below_the_order(void **state)
{
    uint8_t le[72] = { 0 }, be[P384_INTEGER_LEN];

    (void) state;
    assert_false(p384_integer_read(BYTES_OF(le), be)); /* 0 */
    le[0] = 1;
    assert_true(p384_integer_read(BYTES_OF(le), be));
    assert_int_equal(be[47], 1);
    le[48] = 1;
    assert_false(p384_integer_read(BYTES_OF(le), be)); /* over 48 bytes */
    memcpy(le, order_le, sizeof le);
    assert_false(p384_integer_read(BYTES_OF(le), be)); /* the order */
    le[0]--;
    assert_true(p384_integer_read(BYTES_OF(le), be));
    le[0] += 2;
    assert_false(p384_integer_read(BYTES_OF(le), be));
    memset(le, 0, sizeof le);
    le[0] = 1;
    assert_false(p384_integer_read((struct bytes){ le, 47 }, be));
    assert_true(p384_integer_read((struct bytes){ le, 48 }, be));
}

static void coordinates_may_be_zero_but_not_longer(void **state)
{
    uint8_t le[72] = { 0 }, be[P384_INTEGER_LEN];

    (void) state;
    assert_true(p384_coordinate_read(BYTES_OF(le), be));
    le[71] = 1;
    assert_false(p384_coordinate_read(BYTES_OF(le), be));
    assert_false(p384_coordinate_read((struct bytes){ le, 0 }, be));
}

static void a_point_must_be_on_the_curve(void **state)
{
    const uint8_t x[P384_INTEGER_LEN] = { 1 }, y[P384_INTEGER_LEN] = { 2 };
    EVP_PKEY     *key                 = NULL;

    (void) state;
    assert_false(p384_key_of(x, y, &key));
    assert_null(key);
}

/* OpenSSL signs, we put its integers into our form and back: every length of r and s comes by in the end. */
static void what_openssl_signs_is_signed_also_with_short_integers(void **state)
{
    AUTO(pkey) EVP_PKEY *key      = EVP_EC_gen("P-384");
    AUTO(pkey) EVP_PKEY *other    = EVP_EC_gen("P-384");
    AUTO(pkey) EVP_PKEY *p256     = EVP_EC_gen("P-256");
    unsigned             n_short  = 0;

    (void) state;
    assert_true(key && other && p256);
    for (unsigned i = 0; i < 400; i++) {
        uint8_t                      digest[SHA384_LEN] = { (uint8_t) i, (uint8_t) (i >> 8) }, der[128], r[48], s[48];
        size_t                       len                = sizeof der;
        const uint8_t               *at                 = der;
        AUTO(pkey_ctx) EVP_PKEY_CTX *ctx                = EVP_PKEY_CTX_new(key, NULL);
        AUTO(ecdsa_sig) ECDSA_SIG   *pair               = NULL;

        assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
        assert_int_equal(EVP_PKEY_sign(ctx, der, &len, digest, sizeof digest), 1);
        pair = d2i_ECDSA_SIG(NULL, &at, (long) len);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), r, 48), 48);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), s, 48), 48);
        n_short += r[0] == 0 || s[0] == 0;
        if (i % 40 == 0 || r[0] == 0 || s[0] == 0) {
            assert_true(p384_signed(key, digest, r, s));
            r[47] ^= 1;
            assert_false(p384_signed(key, digest, r, s));
            r[47] ^= 1;
            s[47] ^= 1;
            assert_false(p384_signed(key, digest, r, s));
            s[47] ^= 1;
            assert_false(p384_signed(other, digest, r, s));
            assert_false(p384_signed(p256, digest, r, s));
            digest[47] ^= 1;
            assert_false(p384_signed(key, digest, r, s));
        }
    }
    assert_true(n_short < 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_from_1_to_below_the_order),
        cmocka_unit_test(coordinates_may_be_zero_but_not_longer),
        cmocka_unit_test(a_point_must_be_on_the_curve),
        cmocka_unit_test(what_openssl_signs_is_signed_also_with_short_integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
