/* Certificates and lists of the synthetic PKI, and what becomes of them when one thing is wrong. */
#include "tests/harness/test.h"
#include "attestation/verifier/intel_certificate.h"
#include "attestation/verifier/pck.h"
#include "attestation/verifier/pem.h"
#include "attestation/evidence/tdx_quote.h"
#include "tests/harness/vectors.h"

static struct pem_certificates chain;

static int chain_read(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tdx/intel_v4/quote.bin");
    struct tdx_quote           q;
    struct err                 err;

    (void) state;
    return tdx_quote_parse(buffer_bytes(&file), &q, &err) && pem_certificates_read(q.pck_chain, &chain, &err) ? 0 : -1;
}

static int chain_free(void **state)
{
    (void) state;
    pem_certificates_free(&chain);
    return 0;
}

static void reads_leaf_intermediate_and_root(void **state)
{
    static const char *const names[] = { "Intel SGX PCK Certificate", "Intel SGX PCK Platform CA", "Intel SGX Root CA" };
    struct intel_certificate c[3];
    struct err               err;

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        if (!intel_certificate_read(buffer_bytes(&chain.der[i]), &c[i], &err))
            fail_msg("%s", err.text);
        assert_true(bytes_equal(c[i].common_name, bytes_of_text(names[i])));
        assert_int_equal(c[i].is_ca, i > 0);
        assert_int_equal(c[i].sgx_extension.len > 0, i == 0);
    }
    assert_true(bytes_equal(c[0].issuer, c[1].subject));
    assert_true(bytes_equal(c[1].issuer, c[2].subject));
    assert_int_equal(c[0].use & (USE_SIGN | USE_SIGN_CERTIFICATES), USE_SIGN);
    assert_int_equal(c[2].not_before, 1526899510);
}

static void reads_the_platform_out_of_the_leaf(void **state)
{
    static const uint8_t     components[] = { 3, 3, 2, 2, 4, 1, 0, 5 };
    struct intel_certificate leaf;
    struct pck_extension     e;
    struct err               err;

    (void) state;
    assert_true(intel_certificate_read(buffer_bytes(&chain.der[0]), &leaf, &err));
    if (!pck_extension_read(leaf.sgx_extension, &e, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(e.components, components, sizeof components);
    assert_int_equal(e.pcesvn, 11);
    assert_memory_equal(e.fmspc, "\xb0\xc0\x6f\0\0\0", 6);
    assert_memory_equal(e.ppid, "\x81\x1d\xca\x2a", 4);
    assert_int_equal(e.sgx_type, 1);
    assert_true(e.has_instance);
    assert_int_equal(e.smt_enabled, PCK_FLAG_TRUE);
}

static void refuses_every_truncation_and_leaves_out_alone(void **state)
{
    (void) state;
    for (size_t i = 0; i < 3; i++)
        for (size_t len = 0; len < chain.der[i].len; len++) {
            AUTO(heap) uint8_t      *exact = exact_copy(chain.der[i].at, len);
            struct intel_certificate c     = { .not_after = 7 };
            struct err               err;

            assert_false(intel_certificate_read((struct bytes){ exact, len }, &c, &err));
            assert_int_equal(err.kind, ERR_MALFORMED);
            assert_int_equal(c.not_after, 7);
        }
}

/* Finds `from` in the DER and overwrites it with `to`, of the same length: lengths stay right, one thing is wrong. */
static void refuses_one_defect_by_name(void **state)
{
    static const struct { uint8_t from[12], to[12]; size_t len; const char *text; } rows[] = {
        { { 0xa0, 0x03, 0x02, 0x01, 0x02 }, { 0xa0, 0x03, 0x02, 0x01, 0x01 }, 5,
          "certificate: not version 3 with ecdsa-with-SHA256" },
        { { 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 }, { 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x06 }, 7,
          "certificate: public key is not an uncompressed P-256 point" },
        { { 0x55, 0x1d, 0x23 }, { 0x55, 0x1d, 0x0e }, 3, "certificate: repeated extension" },
        { { 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff }, { 0x55, 0x1d, 0x7f, 0x01, 0x01, 0xff }, 6,
          "certificate: unknown critical extension" },
        { { 0x55, 0x04, 0x03 }, { 0x55, 0x04, 0x7f }, 3, "certificate: name with 0 common names" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(heap) uint8_t      *copy = exact_copy(chain.der[0].at, chain.der[0].len);
        uint8_t                 *last = NULL;
        struct intel_certificate c;
        struct err               err;

        for (uint8_t *at = copy; (at = memmem(at, chain.der[0].len - (size_t) (at - copy), rows[i].from, rows[i].len)); at++)
            last = at; /* the subject's name stands behind the issuer's */
        assert_non_null(last);
        memcpy(last, rows[i].to, rows[i].len);
        assert_false(intel_certificate_read((struct bytes){ copy, chain.der[0].len }, &c, &err));
        assert_string_equal(err.text, rows[i].text);
    }
}

static void lists_say_who_is_revoked(void **state)
{
    AUTO(buffer) struct buffer file    = own_vector("tdx/intel_v4/pck_crl.der");
    static const uint8_t       first[] = { 0x6f, 0xc3, 0x4e, 0x50, 0x23, 0xe7, 0x28, 0x92, 0x34, 0x35,
                                           0xd6, 0x1a, 0xa4, 0xb8, 0x3c, 0x61, 0x81, 0x66, 0xad, 0x35 };
    struct intel_certificate   leaf;
    struct intel_crl           l;
    struct err                 err;

    (void) state;
    assert_true(intel_crl_read(buffer_bytes(&file), &l, &err));
    assert_true(intel_crl_lists(&l, BYTES_OF(first)));
    assert_true(intel_certificate_read(buffer_bytes(&chain.der[0]), &leaf, &err));
    assert_false(intel_crl_lists(&l, leaf.serial));
    for (size_t len = 0; len < file.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(file.at, len);

        assert_false(intel_crl_read((struct bytes){ exact, len }, &l, &err));
    }
}

/* The extension's entries, each taken away, doubled or unknown. */
static void refuses_an_incomplete_platform(void **state)
{
    struct intel_certificate leaf;
    struct pck_extension     e;
    struct err               err;

    (void) state;
    assert_true(intel_certificate_read(buffer_bytes(&chain.der[0]), &leaf, &err));
    for (size_t len = 0; len < leaf.sgx_extension.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(leaf.sgx_extension.at, len);

        assert_false(pck_extension_read((struct bytes){ exact, len }, &e, &err));
    }
    static const uint8_t fmspc[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 0x04 };
    AUTO(heap) uint8_t  *copy    = exact_copy(leaf.sgx_extension.at, leaf.sgx_extension.len);
    uint8_t             *at      = memmem(copy, leaf.sgx_extension.len, fmspc, sizeof fmspc);

    assert_non_null(at);
    at[9] = 3; /* a second PCEID */
    assert_false(pck_extension_read((struct bytes){ copy, leaf.sgx_extension.len }, &e, &err));
    assert_string_equal(err.text, "SGX extension: unknown or repeated entry");
    at[9] = 9;
    assert_false(pck_extension_read((struct bytes){ copy, leaf.sgx_extension.len }, &e, &err));
    assert_string_equal(err.text, "SGX extension: unknown or repeated entry");
}

/* Deny by default: entries were walked when the list was read; should they be unreadable now, every serial is listed. */
static void a_list_that_cannot_be_read_lists_everything(void **state)
{
    static const uint8_t   cut[] = { 0x30, 0x14, 0x02, 0x01, 0x07 }, serial[] = { 9 };
    const struct intel_crl none  = { .entries = { 0 } }, broken = { .entries = BYTES_OF(cut) };

    (void) state;
    assert_false(intel_crl_lists(&none, BYTES_OF(serial)));
    assert_true(intel_crl_lists(&broken, BYTES_OF(serial)));
}

static void what_is_too_large_is_not_read(void **state)
{
    AUTO(buffer) struct buffer wide = { 0 };
    struct intel_certificate   c;
    struct intel_crl           list;
    struct err                 err;

    (void) state;
    (void) buffer_grow(&wide, CRL_LEN_MAX + 1);
    assert_false(intel_crl_read(buffer_bytes(&wide), &list, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(intel_certificate_read((struct bytes){ wide.at, CERTIFICATE_LEN_MAX + 1 }, &c, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(intel_certificate_read((struct bytes){ wide.at, CERTIFICATE_LEN_MAX }, &c, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_leaf_intermediate_and_root),
        cmocka_unit_test(reads_the_platform_out_of_the_leaf),
        cmocka_unit_test(refuses_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(lists_say_who_is_revoked),
        cmocka_unit_test(refuses_an_incomplete_platform),
        cmocka_unit_test(a_list_that_cannot_be_read_lists_everything),
        cmocka_unit_test(what_is_too_large_is_not_read),
    };

    return cmocka_run_group_tests(tests, chain_read, chain_free);
}
