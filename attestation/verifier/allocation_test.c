/*
 * A report on a kept chain, and a quote of a kept platform, are judged without an allocation of ours. The linker hands every malloc, calloc and realloc
 * of this program's own objects to the counters below; OpenSSL's own are not counted.
 */
#include "tests/harness/test.h"

#include "attestation/verifier/instant.h"
#include "attestation/verifier/snp.h"
#include "attestation/verifier/tdx.h"
#include "tests/harness/vectors.h"

#define NOW INT64_C(1788220800) /* 2026-09-01T00:00:00Z */

static unsigned n_allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_malloc(size_t size)
{
    n_allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    n_allocations++;
    return __real_realloc(at, size);
}

static void a_kept_chain_costs_no_allocation_whatever_the_verdict(void **state)
{
    AUTO(buffer) struct buffer         report = own_vector("amd-snp/reports/siena-v5-lunal.bin");
    AUTO(buffer) struct buffer         vek    = own_vector("amd-snp/vek/siena-v5-lunal.vcek.der");
    AUTO(buffer) struct buffer         crl    = own_vector("amd-snp/crl/genoa-010.der");
    AUTO(snp_trust) struct snp_trust  *trust  = NULL;
    AUTO(snp_crl) struct snp_crl      *list   = NULL;
    const struct snp_certificates      given  = { .vcek = buffer_bytes(&vek) };
    struct snp_policy                  policy = snp_policy_bare();
    struct snp_request                 request = { .report = buffer_bytes(&report), .certificates = &given,
                                                   .policy = &policy, .now = NOW };
    AUTO(snp_result) struct snp_result first  = { 0 };
    struct snp_result                  again;
    struct verdict                     v;
    struct appraisal                   a = appraisal_start(&v, NULL);
    const struct snp_crl              *lists[1];
    size_t                             n = 0;
    struct err                         err;

    (void) state;
    assert_true(snp_trust_new(snp_amd_roots(&n), 3, &trust, NULL, &err));
    assert_true(snp_crl_new(trust, buffer_bytes(&crl), &list, &a));
    lists[0]       = list;
    request.trust  = trust;
    request.crls   = lists;
    request.n_crls = 1;
    policy.crl     = CRL_REQUIRED;
    n_allocations  = 0;
    assert_true(snp_verify(&request, &first));
    assert_true(n_allocations > 0); /* the counters are in place */

    n_allocations = 0;
    assert_true(snp_verify_with_chain(&request, first.chain, &again));
    assert_int_equal(n_allocations, 0);
    report.at[0x90] ^= 1; /* MEASUREMENT */
    assert_false(snp_verify_with_chain(&request, first.chain, &again));
    assert_int_equal(again.verdict.reason, REASON_SNP_SIGNATURE);
    assert_int_equal(n_allocations, 0);
}

static void a_kept_platform_costs_no_allocation_whatever_the_verdict(void **state)
{
    static const char *const names[] = { "tcb_info.json", "qe_identity.json", "issuer_chain.pem", "root_ca.pem",
                                         "root_ca_crl.der", "pck_crl.der" };
    AUTO(buffer) struct buffer                  quote      = own_vector("tdx/intel_v4/quote.bin");
    AUTO(tdx_platform) struct tdx_platform     *platform   = NULL;
    AUTO(tdx_collateral) struct tdx_collateral *collateral = NULL;
    struct tdx_policy                           policy;
    struct tdx_question                         q = { .policy = &policy };
    struct buffer                               file[6];
    struct tdx_result                           result;
    struct verdict                              v;
    struct appraisal                            a = appraisal_start(&v, NULL);
    char                                        path[64];

    (void) state;
    for (size_t i = 0; i < 6; i++) {
        (void) snprintf(path, sizeof path, "tdx/intel_v4/%s", names[i]); /* short names */
        file[i] = own_vector(path);
    }
    const struct tdx_files files = { buffer_bytes(&file[0]), buffer_bytes(&file[1]), buffer_bytes(&file[2]),
                                     buffer_bytes(&file[3]), buffer_bytes(&file[4]), buffer_bytes(&file[5]) };

    tdx_policy_default(&policy);
    assert_true(instant_of_text(bytes_of_text("2025-07-01T00:00:00Z"), &q.now));
    collateral = tdx_collateral_new(&files, &a);
    assert_non_null(collateral);
    n_allocations = 0;
    assert_true(tdx_verify_cached(buffer_bytes(&quote), collateral, &platform, &q, &result));
    assert_true(n_allocations > 0); /* the platform is new */

    n_allocations = 0;
    assert_true(tdx_verify_cached(buffer_bytes(&quote), collateral, &platform, &q, &result));
    assert_int_equal(n_allocations, 0);
    quote.at[0x100] ^= 1; /* within the body */
    assert_false(tdx_verify_cached(buffer_bytes(&quote), collateral, &platform, &q, &result));
    assert_int_equal(result.verdict.reason, REASON_TDX_BAD_QUOTE_SIGNATURE);
    assert_int_equal(n_allocations, 0);
    for (size_t i = 0; i < 6; i++)
        buffer_free(&file[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_chain_costs_no_allocation_whatever_the_verdict),
        cmocka_unit_test(a_kept_platform_costs_no_allocation_whatever_the_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
