/* Attestation keys that are no such thing, and signatures that fit no key. */
#include "tests/harness/test.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "attestation/verifier/tpm_key.h"
#include "tests/harness/vectors.h"

static struct buffer spki_of(EVP_PKEY *key)
{
    struct buffer  out = { 0 };
    unsigned char *der = NULL;
    int            len = i2d_PUBKEY(key, &der);

    assert_true(len > 0);
    buffer_append(&out, (struct bytes){ der, (size_t) len });
    OPENSSL_free(der);
    return out;
}

static struct buffer pem_of(EVP_PKEY *key)
{
    AUTO(bio) BIO *to   = BIO_new(BIO_s_mem());
    struct buffer  out  = { 0 };
    char          *text = NULL;

    assert_int_equal(PEM_write_bio_PUBKEY(to, key), 1);
    long len = BIO_get_mem_data(to, &text);

    buffer_append(&out, (struct bytes){ (const uint8_t *) text, (size_t) len });
    return out;
}

static void assert_refused(struct bytes from, enum err_kind kind, const char *why)
{
    AUTO(tpm_key) struct tpm_key k = { 0 };
    struct err                   err;

    assert_false(tpm_key_read(from, &k, &err));
    assert_null(k.key);
    assert_int_equal(err.kind, kind);
    if (why)
        assert_string_equal(err.text, why);
}

static void reads_public_keys_in_der_and_pem(void **state)
{
    EVP_PKEY *keys[2];

    (void) state;
    keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
    for (size_t i = 0; i < 2; i++) {
        AUTO(buffer) struct buffer   der = spki_of(keys[i]), pem = pem_of(keys[i]);
        AUTO(tpm_key) struct tpm_key a = { 0 }, b = { 0 };
        struct err                   err;

        assert_true(tpm_key_read(buffer_bytes(&der), &a, &err) && tpm_key_read(buffer_bytes(&pem), &b, &err));
        assert_int_equal(EVP_PKEY_eq(a.key, b.key), 1);
        assert_false(a.has_public || b.has_public || a.is_vouched);
        (void) buffer_grow(&der, 1); /* one byte more */
        assert_refused(buffer_bytes(&der), ERR_MALFORMED, NULL);
    }
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
}

static void refuses_what_no_tpm_quotes_with(void **state)
{
    AUTO(pkey) EVP_PKEY       *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(pkey) EVP_PKEY       *small   = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 1024);
    AUTO(buffer) struct buffer other = spki_of(edwards), weak = spki_of(small), wide = { 0 };

    (void) state;
    (void) buffer_grow(&wide, TPM_PUBLIC_LEN_MAX + 1);
    assert_refused(buffer_bytes(&other), ERR_UNSUPPORTED, "attestation key is neither RSA nor ECC");
    assert_refused(buffer_bytes(&weak), ERR_UNSUPPORTED, "attestation key of 1024 bits");
    assert_refused(buffer_bytes(&wide), ERR_LIMIT, "attestation key of 1025 bytes; at most 1024 are allowed");
    assert_refused((struct bytes){ 0 }, ERR_MALFORMED, NULL);
    assert_refused(bytes_of_text("-----BEGIN PUBLIC KEY-----\n"), ERR_MALFORMED, NULL);
    assert_refused(bytes_of_text("-"), ERR_MALFORMED, NULL);
    assert_refused(bytes_of_text("0"), ERR_MALFORMED, NULL);
}

/* A TPM's public area whose point is not on its curve. */
static void refuses_a_point_off_the_curve(void **state)
{
    AUTO(buffer) struct buffer text = own_vector("tpm/ak_ecc.tpm2b_public");

    (void) state;
    text.at[text.len - 1] ^= 1; /* the last byte of y */
    assert_refused(buffer_bytes(&text), ERR_MALFORMED, NULL);
}

static void signatures_must_fit_the_key(void **state)
{
    AUTO(pkey) EVP_PKEY *rsa  = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
    AUTO(pkey) EVP_PKEY *ecc  = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    static const uint8_t zero[256], one[1] = { 1 }, wide[49] = { 1 };
    const struct { EVP_PKEY *key; struct tpm_signature s; } rows[] = {
        { rsa, { .scheme = TPM_RSASSA, .hash = 0x7777, .rsa = BYTES_OF(zero) } },
        { rsa, { .scheme = TPM_RSASSA, .hash = TPM_SHA256, .rsa = BYTES_OF(zero) } },
        { rsa, { .scheme = TPM_RSAPSS, .hash = TPM_SHA256, .rsa = BYTES_OF(zero) } },
        { rsa, { .scheme = TPM_RSASSA, .hash = TPM_SHA256 } },
        { rsa, { .scheme = TPM_ECDSA, .hash = TPM_SHA256, .r = BYTES_OF(one), .s = BYTES_OF(one) } },
        { ecc, { .scheme = TPM_RSASSA, .hash = TPM_SHA256, .rsa = BYTES_OF(zero) } },
        { ecc, { .scheme = TPM_ECDSA, .hash = TPM_SHA256, .r = BYTES_OF(one), .s = BYTES_OF(one) } },
        { ecc, { .scheme = TPM_ECDSA, .hash = TPM_SHA256, .r = BYTES_OF(wide), .s = BYTES_OF(one) } },
        { ecc, { .scheme = TPM_ECDSA, .hash = TPM_SHA256, .r = BYTES_OF(one), .s = BYTES_OF(wide) } },
        { ecc, { .scheme = TPM_ECDSA, .hash = TPM_SHA256 } },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tpm_signed(rows[i].key, &rows[i].s, bytes_of_text("message")))
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_public_keys_in_der_and_pem),
        cmocka_unit_test(refuses_what_no_tpm_quotes_with),
        cmocka_unit_test(refuses_a_point_off_the_curve),
        cmocka_unit_test(signatures_must_fit_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
