#include "firmware/measure/id_block.h"

#include "tests/harness/test.h"

static EVP_PKEY *new_key(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);

    assert_non_null(key);
    return key;
}

static void number_from(const uint8_t *le, BIGNUM **out)
{
    *out = BN_lebin2bn(le, 72, NULL);
    assert_non_null(*out);
}

static bool verifies(EVP_PKEY *key, struct bytes message, const uint8_t signature[static ID_SIGNATURE_LEN])
{
    AUTO(md_ctx) EVP_MD_CTX   *ctx = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM                    *r, *s;
    uint8_t                   *der = NULL;
    int                        len;
    bool                       good;

    number_from(signature, &r);
    number_from(signature + 72, &s);
    assert_int_equal(ECDSA_SIG_set0(sig, r, s), 1);
    len = i2d_ECDSA_SIG(sig, &der);
    assert_true(len > 0);
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key), 1);
    good = EVP_DigestVerify(ctx, der, (size_t) len, message.at, message.len) == 1;
    OPENSSL_free(der);
    return good;
}

static void signatures_of_both_keys_verify(void **state)
{
    AUTO(pkey) EVP_PKEY *id = new_key("P-384"), *author = new_key("P-384");
    struct id_block      block = { .launch_digest = { 1 }, .guest_svn = 2, .policy = 0x30000 };
    uint8_t              bytes[ID_BLOCK_LEN], auth[ID_AUTH_LEN];
    struct err           err;

    (void) state;
    id_block_write(&block, bytes);
    assert_true(id_auth_sign(bytes, id, author, auth, &err));
    assert_true(verifies(id, BYTES_OF(bytes), auth + 0x40));
    assert_true(verifies(author, (struct bytes){ auth + 0x240, ID_KEY_LEN }, auth + 0x680));
    bytes[0] ^= 1;
    assert_false(verifies(id, BYTES_OF(bytes), auth + 0x40));
}

static void without_an_author_its_fields_are_zero(void **state)
{
    AUTO(pkey) EVP_PKEY *id = new_key("P-384");
    uint8_t              bytes[ID_BLOCK_LEN] = { 0 }, auth[ID_AUTH_LEN];
    struct err           err;

    (void) state;
    assert_true(id_auth_sign(bytes, id, NULL, auth, &err));
    assert_true(bytes_are_zero((struct bytes){ auth + 0x680, ID_AUTH_LEN - 0x680 }));
    assert_true(bytes_are_zero((struct bytes){ auth + 4, 4 }));
}

static void another_curve_is_refused(void **state)
{
    AUTO(pkey) EVP_PKEY *id = new_key("P-256");
    uint8_t              key[ID_KEY_LEN];
    struct err           err;

    (void) state;
    assert_false(id_key_write(id, key, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_both_keys_verify),
        cmocka_unit_test(without_an_author_its_fields_are_zero),
        cmocka_unit_test(another_curve_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
