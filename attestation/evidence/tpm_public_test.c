#include "tests/harness/test.h"
#include "attestation/evidence/tpm_public.h"
#include "base/ossl.h"
#include "tests/harness/vectors.h"

static bool parse_copy(struct bytes from, struct tpm_public *p, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from.at, from.len);

    return tpm_public_parse((struct bytes){ exact, from.len }, p, err);
}

static void reads_both_kinds_of_key_with_and_without_a_size(void **state)
{
    AUTO(buffer) struct buffer ecc = own_vector("tpm/ak_ecc.tpm2b_public"), rsa = own_vector("tpm/ak_rsapss.tpm2b_public");
    struct tpm_public          p;
    struct err                 err;

    (void) state;
    assert_true(tpm_public_parse(buffer_bytes(&ecc), &p, &err));
    assert_int_equal(p.type, TPM_ECC);
    assert_int_equal(p.curve, TPM_P256);
    assert_int_equal(p.scheme, TPM_ECDSA);
    assert_int_equal(p.attributes, 0x50072);
    assert_int_equal(p.whole.len, ecc.len - 2);
    assert_true(tpm_public_parse((struct bytes){ rsa.at + 2, rsa.len - 2 }, &p, &err));
    assert_int_equal(p.type, TPM_RSA);
    assert_int_equal(p.scheme, TPM_RSAPSS);
    assert_int_equal(p.exponent, 65537);
    assert_int_equal(p.modulus.len, 256);
}

static void names_are_those_that_the_tpm_gives(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tpm/ak_ecc.tpm2b_public");
    static const uint8_t       wanted[] = { 0x00, 0x0b, 0x5f, 0x39, 0xdd, 0x7d, 0x34, 0xcc, 0x60, 0xca, 0xd1, 0x97,
                                            0xe2, 0x09, 0x7b, 0x72, 0x80, 0x98, 0x6c, 0x9c, 0xdd, 0xab, 0xd5, 0x15,
                                            0xe5, 0xd7, 0x0d, 0x60, 0xd1, 0xd9, 0x20, 0xc5, 0xde, 0x5b };
    uint8_t                    name[TPM_NAME_LEN_MAX];
    size_t                     len = 0;
    struct tpm_public          p;
    struct err                 err;

    (void) state;
    assert_true(tpm_public_parse(buffer_bytes(&file), &p, &err));
    tpm_name_of(&p, name, &len);
    assert_true(bytes_equal((struct bytes){ name, len }, BYTES_OF(wanted)));
}

/* OpenSSL reads it back as the same key, also where the TPM left out leading zeros of a coordinate. */
static void a_p256_key_has_a_key_info_that_openssl_reads(void **state)
{
    AUTO(buffer) struct buffer ecc = own_vector("tpm/ak_ecc.tpm2b_public"), rsa = own_vector("tpm/ak_rsapss.tpm2b_public"), der = { 0 },
                               none = { 0 }, padded = { 0 };
    struct err err;

    (void) state;
    assert_true(tpm_key_info_write(buffer_bytes(&ecc), &der, &err));
    assert_int_equal(der.len, 91);
    assert_memory_equal(der.at + 27, ecc.at + 24, 32);
    assert_memory_equal(der.at + 59, ecc.at + 58, 32);
    const uint8_t       *at  = der.at;
    AUTO(pkey) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long) der.len);
    assert_non_null(key);
    assert_ptr_equal(at, der.at + der.len);

    /* the same area with a byte less of x: sizes in front follow */
    AUTO(buffer) struct buffer shorter = { 0 };
    buffer_append(&shorter, (struct bytes){ ecc.at, 24 });
    buffer_append(&shorter, (struct bytes){ ecc.at + 25, ecc.len - 25 });
    shorter.at[1]--;
    shorter.at[23]--;
    assert_true(tpm_key_info_write(buffer_bytes(&shorter), &padded, &err));
    assert_int_equal(padded.len, 91);
    assert_int_equal(padded.at[27], 0);
    assert_memory_equal(padded.at + 28, ecc.at + 25, 31);

    assert_false(tpm_key_info_write(buffer_bytes(&rsa), &none, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "TPM key: not P-256");
    assert_int_equal(none.len, 0);
}

static void refuses_every_truncation(void **state)
{
    static const char *const files[] = { "tpm/ak_ecc.tpm2b_public", "tpm/ak_rsapss.tpm2b_public" };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(buffer) struct buffer file = own_vector(files[i]);
        struct tpm_public          p;
        struct err                 err;

        for (size_t len = 0; len < file.len; len++)
            assert_false(parse_copy((struct bytes){ file.at, len }, &p, &err));
    }
}

static void refuses_one_defect_by_name(void **state)
{
    static const struct { const char *file; size_t at; uint8_t byte; const char *text; } rows[] = {
        { "tpm/ak_ecc.tpm2b_public", 3, 0x08, "TPM public area: object of type 0x8" },
        { "tpm/ak_ecc.tpm2b_public", 5, 0x99, "TPM public area: name algorithm 0x99" },
        { "tpm/ak_ecc.tpm2b_public", 15, 0x1a, "TPM public area: ECC scheme 0x1a" },
        { "tpm/ak_ecc.tpm2b_public", 19, 0x05, "TPM public area: curve 0x5 with key derivation 0x10" },
        { "tpm/ak_rsapss.tpm2b_public", 18, 0x04, "TPM public area: RSA key of 1024 bits in 256 bytes" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer file = own_vector(rows[i].file);
        struct tpm_public          p;
        struct err                 err;

        file.at[rows[i].at] = rows[i].byte;
        assert_false(parse_copy(buffer_bytes(&file), &p, &err));
        assert_int_equal(err.kind, ERR_UNSUPPORTED);
        assert_string_equal(err.text, rows[i].text);
    }
}

static void reads_signatures_and_refuses_their_truncations(void **state)
{
    AUTO(buffer) struct buffer ecc = own_vector("tpm/quote_ecc.sig"), rsa = own_vector("tpm/quote_rsapss.sig");
    struct tpm_signature       s;
    struct err                 err;

    (void) state;
    assert_true(tpm_signature_parse(buffer_bytes(&ecc), &s, &err));
    assert_int_equal(s.scheme, TPM_ECDSA);
    assert_int_equal(s.hash, TPM_SHA256);
    assert_true(tpm_signature_parse(buffer_bytes(&rsa), &s, &err));
    assert_int_equal(s.rsa.len, 256);
    for (size_t len = 0; len < ecc.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(ecc.at, len);

        assert_false(tpm_signature_parse((struct bytes){ exact, len }, &s, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    ecc.at[1] = 0x05; /* HMAC */
    assert_false(tpm_signature_parse(buffer_bytes(&ecc), &s, &err));
    assert_string_equal(err.text, "TPM signature: scheme 0x5");
}

static void coordinates_fit_their_curve(void **state)
{
    static const struct { uint16_t x, y; bool is_fine; } rows[] = {
        { 32, 32, true }, { 31, 32, true }, { 33, 32, false }, { 32, 33, false }, { 0, 32, false }, { 32, 0, false },
    };
    static const uint8_t       number[33] = { 1 };
    AUTO(buffer) struct buffer file       = own_vector("tpm/ak_ecc.tpm2b_public");
    struct tpm_public          whole, p;
    struct err                 err;

    (void) state;
    assert_true(tpm_public_parse(buffer_bytes(&file), &whole, &err));
    size_t head = (size_t) (whole.x.at - 2 - whole.whole.at);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t       room[256];
        struct writer w = writer_over(room, sizeof room);

        put(&w, (struct bytes){ whole.whole.at, head });
        put_u16be(&w, rows[i].x);
        put(&w, (struct bytes){ number, rows[i].x });
        put_u16be(&w, rows[i].y);
        put(&w, (struct bytes){ number, rows[i].y });
        assert_int_equal(parse_copy(writer_bytes(&w), &p, &err), rows[i].is_fine);
        if (!rows[i].is_fine)
            assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void only_a_key_of_p256_becomes_key_info(void **state)
{
    AUTO(buffer) struct buffer ecc = own_vector("tpm/ak_ecc.tpm2b_public"), rsa = own_vector("tpm/ak_rsapss.tpm2b_public"), der = { 0 };
    struct tpm_public          p;
    struct err                 err;

    (void) state;
    assert_true(tpm_key_info_write(buffer_bytes(&ecc), &der, &err));
    assert_false(tpm_key_info_write((struct bytes){ ecc.at, ecc.len - 1 }, &der, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(tpm_key_info_write(buffer_bytes(&rsa), &der, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_true(tpm_public_parse(buffer_bytes(&ecc), &p, &err));
    uint8_t *curve = ecc.at + (p.x.at - ecc.at) - 6; /* before kdf and the coordinate's size */

    assert_int_equal(curve[0] << 8 | curve[1], TPM_P256);
    curve[1] = TPM_P384;
    assert_false(tpm_key_info_write(buffer_bytes(&ecc), &der, &err));
    assert_string_equal(err.text, "TPM key: not P-256");
    assert_int_equal(der.len, 91);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_kinds_of_key_with_and_without_a_size),
        cmocka_unit_test(names_are_those_that_the_tpm_gives),
        cmocka_unit_test(a_p256_key_has_a_key_info_that_openssl_reads),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(reads_signatures_and_refuses_their_truncations),
        cmocka_unit_test(coordinates_fit_their_curve),
        cmocka_unit_test(only_a_key_of_p256_becomes_key_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
