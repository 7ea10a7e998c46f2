#include "tests/harness/test.h"

#include "base/text.h"
#include "keys/ocicrypt/layer_cipher.h"

/* NIST SP 800-38A F.5.5, CTR-AES256.Encrypt. */
static const char NIST_KEY[]    = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
static const char NIST_NONCE[]  = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
static const char NIST_PLAIN[]  = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                  "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const char NIST_CIPHER[] = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
                                  "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";

static void open_options(const char *key, const char *nonce, struct layer_private *out)
{
    uint8_t    raw[ENC_KEY_LEN];
    struct err err;

    assert_true(hex_read_exact(key, raw, sizeof raw, &err) && secret_copy(BYTES_OF(raw), &out->key, &err));
    assert_true(hex_read_exact(nonce, out->nonce, ENC_NONCE_LEN, &err));
}

static void encrypts_as_the_standard_says_in_pieces_of_any_size(void **state)
{
    AUTO(layer_private) struct layer_private options = { .nonce = { 0 } };
    uint8_t                                  plain[64], wanted[64];
    struct err                               err;

    (void) state;
    open_options(NIST_KEY, NIST_NONCE, &options);
    assert_true(hex_read_exact(NIST_PLAIN, plain, 64, &err) && hex_read_exact(NIST_CIPHER, wanted, 64, &err));
    for (size_t piece = 1; piece <= 64; piece++) {
        AUTO(layer_ctr) struct layer_ctr ctr = { 0 };
        uint8_t                          made[64];

        assert_true(layer_ctr_begin(&ctr, &options, &err));
        for (size_t at = 0; at < 64; at += piece) {
            size_t n = 64 - at < piece ? 64 - at : piece;

            assert_true(layer_ctr_apply(&ctr, (struct bytes){ plain + at, n }, made + at, &err));
        }
        assert_memory_equal(made, wanted, 64);
    }
}

static void counts_in_all_sixteen_bytes(void **state)
{
    AUTO(layer_private) struct layer_private wraps = { .nonce = { 0 } }, zero = { .nonce = { 0 } };
    AUTO(layer_ctr) struct layer_ctr         a = { 0 }, b = { 0 };
    uint8_t                                  zeros[32] = { 0 }, from_end[32], from_zero[16];
    struct err                               err;

    (void) state;
    open_options(NIST_KEY, "ffffffffffffffffffffffffffffffff", &wraps);
    open_options(NIST_KEY, "00000000000000000000000000000000", &zero);
    assert_true(layer_ctr_begin(&a, &wraps, &err) && layer_ctr_begin(&b, &zero, &err));
    assert_true(layer_ctr_apply(&a, BYTES_OF(zeros), from_end, &err));
    assert_true(layer_ctr_apply(&b, (struct bytes){ zeros, 16 }, from_zero, &err));
    assert_memory_equal(from_end + 16, from_zero, 16);
}

static void verifies_the_published_code_and_refuses_any_other(void **state)
{
    /* RFC 4231 test case 3, whose key is 20 bytes long: the code itself has no fixed key length. */
    static const char        CODE[] = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe";
    AUTO(secret) struct secret key  = { 0 };
    uint8_t                    raw[20], text[50], wanted[ENC_HMAC_LEN];
    struct err                 err;

    (void) state;
    memset(raw, 0xaa, sizeof raw);
    memset(text, 0xdd, sizeof text);
    assert_true(secret_copy(BYTES_OF(raw), &key, &err) && hex_read_exact(CODE, wanted, sizeof wanted, &err));
    for (int bit = -1; bit < 256; bit++) {
        AUTO(layer_mac) struct layer_mac mac = { 0 };

        assert_true(layer_mac_begin(&mac, &key, &err) && layer_mac_update(&mac, BYTES_OF(text), &err));
        if (bit >= 0)
            wanted[bit / 8] ^= (uint8_t) (1 << bit % 8);
        assert_int_equal(layer_mac_verify(&mac, wanted, &err), bit < 0);
        if (bit >= 0)
            wanted[bit / 8] ^= (uint8_t) (1 << bit % 8);
        if (bit >= 0)
            assert_int_equal(err.kind, ERR_UNTRUSTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encrypts_as_the_standard_says_in_pieces_of_any_size),
        cmocka_unit_test(counts_in_all_sixteen_bytes),
        cmocka_unit_test(verifies_the_published_code_and_refuses_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
