#include "tests/harness/test.h"
#include "attestation/evidence/tpm_quote.h"
#include "tests/harness/vectors.h"

static bool parse_copy(struct bytes from, struct tpm_quote *q, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from.at, from.len);

    return tpm_quote_parse((struct bytes){ exact, from.len }, q, err);
}

static void reads_a_quote_over_two_banks(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tpm/quote_ecc.msg");
    struct tpm_quote           q;
    struct err                 err;

    (void) state;
    assert_true(tpm_quote_parse(buffer_bytes(&file), &q, &err));
    assert_true(bytes_equal(q.extra_data, bytes_of_text("nonce-for-cvm-test-vectors-00001")));
    assert_int_equal(q.n_selections, 2);
    assert_int_equal(q.selection[0].hash, 0x000b);
    assert_int_equal(q.selection[0].pcrs, 0x7fff);
    assert_int_equal(q.selection[1].hash, 0x000c);
    assert_int_equal(q.selection[1].pcrs, 1 << 0 | 1 << 4 | 1 << 9 | 1 << 11);
    assert_int_equal(q.pcr_digest.len, 32);
    assert_int_equal(q.qualified_signer.len, 34);
    assert_int_equal(q.reset_count, 2);
    assert_true(q.is_clock_safe);
}

static void refuses_every_truncation_and_leaves_out_alone(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tpm/quote_ecc.msg");
    struct tpm_quote           q    = { .reset_count = 7 };
    struct err                 err;

    (void) state;
    for (size_t len = 0; len < file.len; len++) {
        assert_false(parse_copy((struct bytes){ file.at, len }, &q, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(q.reset_count, 7);
    }
}

static void refuses_one_defect_by_name(void **state)
{
    /* offsets: 4 type, 92 safe, 101 number of selections, 107 size of the first bitmap, 111 second bank */
    static const struct { size_t at; uint8_t byte; enum err_kind kind; const char *text; } rows[] = {
        { 0, 0, ERR_UNTRUSTED, "TPM quote: magic 0x544347: no TPM made this" },
        { 5, 0x17, ERR_UNSUPPORTED, "TPM quote: attestation of type 0x8017" },
        { 92, 2, ERR_MALFORMED, "TPM quote: clock or nonce out of range" },
        { 104, 9, ERR_LIMIT, "TPM quote: 9 PCR selections; at most 8 are allowed" },
        { 107, 5, ERR_UNSUPPORTED, "TPM quote: PCR selection of 5 bytes" },
        { 112, 0x0b, ERR_MALFORMED, "TPM quote: bank 0xb is selected twice" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer file = own_vector("tpm/quote_ecc.msg");
        struct tpm_quote           q;
        struct err                 err;

        file.at[rows[i].at] = rows[i].byte;
        assert_false(parse_copy(buffer_bytes(&file), &q, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_string_equal(err.text, rows[i].text);
    }
}

static void refuses_trailing_bytes_and_size(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tpm/quote_ecc.msg");
    static uint8_t             huge[TPM_ATTEST_LEN_MAX + 1];
    struct tpm_quote           q;
    struct err                 err;

    (void) state;
    buffer_append(&file, bytes_of_text("x"));
    assert_false(parse_copy(buffer_bytes(&file), &q, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(tpm_quote_parse(BYTES_OF(huge), &q, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_quote_over_two_banks),
        cmocka_unit_test(refuses_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(refuses_trailing_bytes_and_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
