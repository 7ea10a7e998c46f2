#include <time.h>

#include "base/file.h"
#include "runtime/vmm/simulated_report.h"
#include "tests/harness/test.h"

static struct development_root root;
static char                   *folder;

static int make(void **state)
{
    struct err err;

    (void) state;
    return directory_make_temporary("simulated-report-", &folder, &err) &&
           development_root_make(folder, (int64_t) time(NULL), &err) && development_root_load(folder, &root, &err) ? 0 : -1;
}

static int drop(void **state)
{
    struct err err;

    (void) state;
    development_root_free(&root);
    return directory_remove(folder, &err) ? (free(folder), 0) : -1;
}

static bool verifies(const uint8_t *report)
{
    AUTO(ecdsa_sig) ECDSA_SIG *signature = ECDSA_SIG_new();
    AUTO(md_ctx) EVP_MD_CTX   *verifying = EVP_MD_CTX_new();
    uint8_t                   *der = NULL;
    BIGNUM                    *r = BN_lebin2bn(report + 0x2a0, 72, NULL), *s = BN_lebin2bn(report + 0x2e8, 72, NULL);
    int                        len;
    bool                       good;

    assert_int_equal(ECDSA_SIG_set0(signature, r, s), 1);
    len = i2d_ECDSA_SIG(signature, &der);
    assert_int_equal(EVP_DigestVerifyInit(verifying, NULL, EVP_sha384(), NULL, root.vcek_key), 1);
    good = EVP_DigestVerify(verifying, der, (size_t) len, report, 0x2a0) == 1;
    OPENSSL_free(der);
    return good;
}

/* Offsets from the manual's table, not from the code. [SNP-ABI table 23] */
static void fields_stand_where_the_manual_says_and_the_signature_holds(void **state)
{
    struct simulated_guest guest = { .measurement = { 1 }, .host_data = { 2 }, .report_id = { 3 } };
    uint8_t                report_data[SNP_REPORT_DATA_LEN] = { 4 }, report[SNP_REPORT_LEN];
    struct err             err;

    (void) state;
    assert_true(simulated_report_sign(&guest, report_data, &root, report, &err));
    assert_int_equal(report[0], 3);
    assert_memory_equal(report + 0x50, report_data, 64);
    assert_memory_equal(report + 0x90, guest.measurement, 48);
    assert_memory_equal(report + 0xc0, guest.host_data, 32);
    assert_memory_equal(report + 0x140, guest.report_id, 32);
    assert_memory_equal(report + 0x1a0, root.chip_id, 64);
    assert_memory_equal(report + 0x38, report + 0x180, 8);
    assert_int_equal(report[0x188], 0x19);
    assert_true(verifies(report));
    report[0x90] ^= 1;
    assert_false(verifies(report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_stand_where_the_manual_says_and_the_signature_holds),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
