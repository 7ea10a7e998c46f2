#include "tests/harness/test.h"

#include "attestation/collateral/kds.h"
#include "tests/harness/vectors.h"

static struct snp_report report_of(const char *path, struct buffer *file)
{
    struct snp_report r = { 0 };
    struct err        err;

    *file = own_vector(path);
    if (!snp_report_parse(buffer_bytes(file), &r, NULL, &err))
        fail_msg("%s", err.text);
    return r;
}

static void asks_for_the_chip_at_its_reported_tcb(void **state)
{
    AUTO(buffer) struct buffer file = { 0 };
    AUTO(buffer) struct buffer url  = { 0 };
    struct snp_report          r    = report_of("amd-snp/reports/siena-v5-lunal.bin", &file);
    struct err                 err;

    (void) state;
    assert_true(kds_vcek_url(KDS_BASE_URL, &r, SNP_GENOA, &url, &err));
    assert_string_equal(buffer_text(&url),
                        "https://kdsintf.amd.com/vcek/v1/Genoa/b5f9a4c8280e63c97d288db6648577dc2b848884aa682d7a227ba40e50deb2b0"
                        "d112b599d87aaccda78d06f4254b1e81c4d953ef3c699db39d4e06013e9fa4ce"
                        "?blSPL=10&teeSPL=0&snpSPL=27&ucodeSPL=27");
}

static void turin_has_eight_bytes_of_chip_and_the_fmc(void **state)
{
    AUTO(buffer) struct buffer file = { 0 };
    AUTO(buffer) struct buffer url  = { 0 };
    struct snp_report          r    = report_of("amd-snp/synthetic/rep-good-turin.bin", &file);
    const char                *slash;
    struct err                 err;

    (void) state;
    assert_true(kds_vcek_url("https://mirror/amd", &r, SNP_TURIN, &url, &err));
    assert_memory_equal(buffer_text(&url), "https://mirror/amd/vcek/v1/Turin/", 33);
    slash = strrchr(buffer_text(&url), '/');
    assert_int_equal(strcspn(slash + 1, "?"), 16);
    assert_string_equal(strchr(slash, '?'), "?fmcSPL=1&blSPL=1&teeSPL=0&snpSPL=4&ucodeSPL=82");
}

static void a_version_2_report_needs_to_be_told_its_product(void **state)
{
    AUTO(buffer) struct buffer file = { 0 };
    AUTO(buffer) struct buffer url  = { 0 };
    struct snp_report          r    = report_of("amd-snp/reports/milan-v2-baremetal-virtee.bin", &file);
    struct err                 err;

    (void) state;
    assert_true(kds_vcek_url(KDS_BASE_URL, &r, SNP_MILAN, &url, &err));
    assert_non_null(strstr(buffer_text(&url), "/vcek/v1/Milan/d49554ec"));
    assert_non_null(strstr(buffer_text(&url), "?blSPL=3&teeSPL=0&snpSPL=8&ucodeSPL=115"));
    assert_false(kds_vcek_url(KDS_BASE_URL, &r, SNP_PRODUCT_UNKNOWN, &url, &err));
    assert_string_equal(err.text, "report does not fit product unknown");
    assert_false(kds_vcek_url(KDS_BASE_URL, &r, SNP_TURIN, &url, &err));
    assert_string_equal(err.text, "report does not fit product Turin");
}

static void refuses_what_the_service_cannot_answer(void **state)
{
    AUTO(buffer) struct buffer file = { 0 }, vlek_file = { 0 }, url = { 0 };
    struct snp_report          r    = report_of("amd-snp/reports/siena-v5-lunal.bin", &file);
    struct snp_report          vlek = report_of("amd-snp/reports/milan-v3-vlek-aws-trustee.bin", &vlek_file);
    struct err                 err;

    (void) state;
    assert_false(kds_vcek_url(KDS_BASE_URL, &r, SNP_MILAN, &url, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "VCEK of Milan for a report of Genoa");
    assert_false(kds_vcek_url(KDS_BASE_URL, &vlek, SNP_MILAN, &url, &err));
    assert_string_equal(err.text, "report is not signed by a VCEK: its certificate comes with the evidence");
    memset(file.at + 0x1a0, 0, SNP_CHIP_ID_LEN);
    assert_false(kds_vcek_url(KDS_BASE_URL, &r, SNP_GENOA, &url, &err));
    assert_string_equal(err.text, "CHIP_ID is masked: there is nothing to ask for");
    assert_int_equal(url.len, 0);
}

static void names_chains_and_lists(void **state)
{
    AUTO(buffer) struct buffer chain = { 0 }, crl = { 0 };

    (void) state;
    kds_chain_url(KDS_BASE_URL, SNP_TURIN, false, &chain);
    kds_crl_url(KDS_BASE_URL, SNP_MILAN, true, &crl);
    assert_string_equal(buffer_text(&chain), "https://kdsintf.amd.com/vcek/v1/Turin/cert_chain");
    assert_string_equal(buffer_text(&crl), "https://kdsintf.amd.com/vlek/v1/Milan/crl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_the_chip_at_its_reported_tcb),
        cmocka_unit_test(turin_has_eight_bytes_of_chip_and_the_fmc),
        cmocka_unit_test(a_version_2_report_needs_to_be_told_its_product),
        cmocka_unit_test(refuses_what_the_service_cannot_answer),
        cmocka_unit_test(names_chains_and_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
