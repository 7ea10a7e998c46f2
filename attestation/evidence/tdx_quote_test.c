#include "tests/harness/test.h"
#include "attestation/evidence/tdx_quote.h"
#include "tests/harness/vectors.h"

enum { SIGNATURE_DATA = 636, OUTER_TYPE = SIGNATURE_DATA + 128, QE_AUTH_LEN = SIGNATURE_DATA + 134 + 448 };

static bool parse_copy(struct bytes from, struct tdx_quote *q, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from.at, from.len);

    return tdx_quote_parse((struct bytes){ exact, from.len }, q, err);
}

static void reads_a_genuine_version_4_quote(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tdx/intel_v4/quote.bin");
    struct tdx_quote           q;
    struct err                 err;

    (void) state;
    assert_true(tdx_quote_parse(buffer_bytes(&file), &q, &err));
    assert_int_equal(q.header.version, 4);
    assert_int_equal(q.body.type, TD_BODY_10);
    assert_int_equal(q.body.td_attributes, 0x10000000);
    assert_int_equal(q.signed_part.len, 632);
    assert_memory_equal(q.body.tee_tcb_svn.at, "\x06\x01\x03", 3);
    assert_int_equal(q.qe_report.isv_svn, 6);
    assert_int_equal(q.qe_report.isv_prod_id, 2);
    assert_int_equal(q.qe_auth.len, 32);
    assert_int_equal(q.body.mrservicetd.len, 0);
    assert_memory_equal(q.pck_chain.at, "-----BEGIN CERTIFICATE-----", 27);
    assert_int_equal(q.pck_chain.at[q.pck_chain.len - 1], '\n');
    assert_true(bytes_are_zero(q.trailing));
    assert_ptr_equal(q.trailing.at + q.trailing.len, file.at + file.len);
}

static void reads_bodies_1_5_and_1_5_extended_of_version_5(void **state)
{
    AUTO(buffer) struct buffer real     = own_vector("tdx/intel_v5/quote.bin");
    AUTO(buffer) struct buffer extended = own_vector("tdx/synthetic/quote_v5_extended.bin");
    struct tdx_quote           q;
    struct err                 err;

    (void) state;
    assert_true(tdx_quote_parse(buffer_bytes(&real), &q, &err));
    assert_int_equal(q.body.type, TD_BODY_15);
    assert_int_equal(q.signed_part.len, 54 + 648);
    assert_memory_equal(q.body.tee_tcb_svn2.at, "\x0d\x01\x04", 3);
    assert_int_equal(q.body.mrservicetd.len, 48);
    assert_true(tdx_quote_parse(buffer_bytes(&extended), &q, &err));
    assert_int_equal(q.body.type, TD_BODY_15_EXTENDED);
    assert_int_equal(q.signed_part.len, 54 + 885);
}

static void refuses_every_truncation_and_leaves_out_alone(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tdx/synthetic/quote.bin");
    struct tdx_quote           q    = { .signed_part = { NULL, 7 } };
    struct err                 err;

    (void) state;
    for (size_t len = 0; len < file.len; len++) {
        assert_false(parse_copy((struct bytes){ file.at, len }, &q, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(q.signed_part.len, 7);
    }
    assert_true(parse_copy(buffer_bytes(&file), &q, &err));
}

/* One field of a good quote is changed; the refusal names it. */
static void refuses_one_defect_by_name(void **state)
{
    static const struct { const char *file; size_t at; uint8_t byte; enum err_kind kind; const char *text; } rows[] = {
        { "tdx/synthetic/quote.bin", 12, 0, ERR_UNSUPPORTED, "TDX quote: QE vendor is not Intel" },
        { "tdx/synthetic/quote.bin", OUTER_TYPE, 5, ERR_UNSUPPORTED,
          "TDX quote: outer certification type 5; it must be 6" },
        { "tdx/synthetic/quote.bin", QE_AUTH_LEN + 2 + 32, 4, ERR_UNSUPPORTED,
          "TDX quote: certification type 4; only 5, a PCK chain, is" },
        { "tdx/synthetic/quote_v5.bin", 48, 1, ERR_UNSUPPORTED, "TDX quote: body type 1" },
        { "tdx/synthetic/quote_v5.bin", 48, 2, ERR_MALFORMED, "TDX quote: body type 2 has 584 bytes, found 648" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer file = own_vector(rows[i].file);
        struct tdx_quote           q;
        struct err                 err;

        assert_true(parse_copy(buffer_bytes(&file), &q, &err));
        file.at[rows[i].at] = rows[i].byte;
        assert_false(parse_copy(buffer_bytes(&file), &q, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_string_equal(err.text, rows[i].text);
    }
}

static void refuses_lengths_that_do_not_fit_each_other(void **state)
{
    static const size_t lengths[] = { 632, OUTER_TYPE + 2, QE_AUTH_LEN, QE_AUTH_LEN + 2 + 32 + 2 };

    (void) state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int step = -1; step <= 1; step += 2) {
            AUTO(buffer) struct buffer file = own_vector("tdx/synthetic/quote.bin");
            struct tdx_quote           q;
            struct err                 err;

            file.at[lengths[i]] = (uint8_t) (file.at[lengths[i]] + step);
            assert_false(parse_copy(buffer_bytes(&file), &q, &err));
            assert_true(err.kind == ERR_MALFORMED || err.kind == ERR_UNSUPPORTED);
        }
}

static void refuses_a_chain_of_nothing_but_zeros(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tdx/synthetic/quote.bin");
    struct tdx_quote           q;
    struct err                 err;

    (void) state;
    memset(file.at + QE_AUTH_LEN + 2 + 32 + 6, 0, file.len - (QE_AUTH_LEN + 2 + 32 + 6));
    assert_false(parse_copy(buffer_bytes(&file), &q, &err));
    assert_string_equal(err.text, "TDX quote: empty PCK chain");
}

static void refuses_more_than_a_driver_can_return(void **state)
{
    static uint8_t   huge[TDX_QUOTE_LEN_MAX + 1];
    struct tdx_quote q;
    struct err       err;

    (void) state;
    assert_false(tdx_quote_parse(BYTES_OF(huge), &q, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_genuine_version_4_quote),
        cmocka_unit_test(reads_bodies_1_5_and_1_5_extended_of_version_5),
        cmocka_unit_test(refuses_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(refuses_lengths_that_do_not_fit_each_other),
        cmocka_unit_test(refuses_a_chain_of_nothing_but_zeros),
        cmocka_unit_test(refuses_more_than_a_driver_can_return),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
