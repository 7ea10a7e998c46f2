#include "tests/harness/test.h"
#include "attestation/evidence/hcl_report.h"
#include "tests/harness/vectors.h"

static bool parse_copy(struct bytes from, struct hcl_report *h, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from.at, from.len);

    return hcl_report_parse((struct bytes){ exact, from.len }, h, err);
}

static void reads_reports_of_both_kinds(void **state)
{
    AUTO(buffer) struct buffer snp = own_vector("tpm/snp_a.hcl_report.bin"), tdx = own_vector("tpm/tdx_a.hcl_report.bin");
    struct hcl_report          h;
    struct td_report           t;
    struct err                 err;

    (void) state;
    assert_true(hcl_report_parse(buffer_bytes(&snp), &h, &err));
    assert_int_equal(h.kind, HCL_SNP);
    assert_int_equal(h.version, 1);
    assert_int_equal(h.hardware.len, 1184);
    assert_int_equal(h.claims.len, 1110);
    assert_true(hcl_report_parse(buffer_bytes(&tdx), &h, &err));
    assert_int_equal(h.kind, HCL_TDX);
    assert_int_equal(h.version, 2);
    assert_int_equal(h.hash->id, TPM_SHA256);
    assert_int_equal(h.claims.at[0], '{');
    assert_true(td_report_parse(h.hardware, &t, &err));
    assert_int_equal(t.tee_tcb_info.len, 239);
    assert_memory_equal(t.report_data.at, "\x97\x34\x50\x4f", 4);
    assert_true(bytes_are_zero(t.rtmr[0]));
}

/* What is cut off is only padding, or it is noticed. */
static void refuses_every_truncation(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tpm/snp_a.hcl_report.bin");
    struct hcl_report          h;
    struct err                 err;

    (void) state;
    for (size_t len = 0; len < 1236 + 1110; len++) {
        assert_false(parse_copy((struct bytes){ file.at, len }, &h, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    assert_true(parse_copy((struct bytes){ file.at, 1236 + 1110 }, &h, &err));
}

static void refuses_one_defect_by_name(void **state)
{
    static const struct { size_t at; uint8_t byte; enum err_kind kind; const char *text; } rows[] = {
        { 0, 'h', ERR_MALFORMED, "HCL report: signature 0x414c4368" },
        { 4, 3, ERR_UNSUPPORTED, "HCL report: version 3, request 2, status 0" },
        { 16, 1, ERR_UNSUPPORTED, "HCL report: version 1, request 2, status 1" },
        { 8, 0, ERR_MALFORMED, "HCL report: sizes 2304 and 1130 do not fit 1110 bytes of claims" },
        { 1224, 3, ERR_UNSUPPORTED, "HCL report: data version 1, kind 3, hash 1" },
        { 1228, 4, ERR_UNSUPPORTED, "HCL report: data version 1, kind 2, hash 4" },
        { 2599, 1, ERR_MALFORMED, "HCL report: padding is not zero" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer file = own_vector("tpm/snp_a.hcl_report.bin");
        struct hcl_report          h;
        struct err                 err;

        file.at[rows[i].at] = rows[i].byte;
        assert_false(parse_copy(buffer_bytes(&file), &h, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_string_equal(err.text, rows[i].text);
    }
}

static void sizes_have_limits(void **state)
{
    AUTO(buffer) struct buffer wide = { 0 };
    struct hcl_report          h;
    struct td_report           t;
    struct err                 err;

    (void) state;
    (void) buffer_grow(&wide, HCL_REPORT_LEN_MAX + 1);
    assert_false(hcl_report_parse(buffer_bytes(&wide), &h, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    for (size_t len = 0; len <= HCL_TD_REPORT_LEN + 1; len += HCL_TD_REPORT_LEN - 1) {
        assert_false(td_report_parse((struct bytes){ wide.at, len }, &t, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_reports_of_both_kinds),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(sizes_have_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
