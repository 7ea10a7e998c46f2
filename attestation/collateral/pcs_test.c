#include "tests/harness/test.h"

#include "attestation/collateral/pcs.h"

static void names_intels_documents(void **state)
{
    static const uint8_t       fmspc[PCS_FMSPC_LEN] = { 0x50, 0x80, 0x6f, 0, 0, 0 };
    AUTO(buffer) struct buffer url                  = { 0 };

    (void) state;
    pcs_tcb_info_url(PCS_BASE_URL, fmspc, PCS_UPDATE_STANDARD, &url);
    assert_string_equal(buffer_text(&url),
                        "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=50806f000000&update=standard");
    url.len = 0;
    pcs_qe_identity_url("https://pccs:8081", PCS_UPDATE_EARLY, &url);
    assert_string_equal(buffer_text(&url), "https://pccs:8081/tdx/certification/v4/qe/identity?update=early");
    url.len = 0;
    pcs_pck_crl_url(PCS_BASE_URL, true, &url);
    assert_string_equal(buffer_text(&url),
                        "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der");
    url.len = 0;
    pcs_pck_crl_url("", false, &url);
    assert_string_equal(buffer_text(&url), "/sgx/certification/v4/pckcrl?ca=processor&encoding=der");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_intels_documents) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
