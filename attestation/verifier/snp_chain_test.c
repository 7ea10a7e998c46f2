#include "tests/harness/test.h"

#include "attestation/verifier/snp_chain.h"
#include "tests/harness/vectors.h"

static struct buffer ark, ask, asvk, vcek, vlek, turin_ark, genoa_vcek;

static int open_files(void **state)
{
    (void) state;
    ark        = own_vector("amd-snp/synthetic/ca-milan-ark.der");
    ask        = own_vector("amd-snp/synthetic/ca-milan-ask.der");
    asvk       = own_vector("amd-snp/synthetic/ca-milan-asvk.der");
    vcek       = own_vector("amd-snp/synthetic/vcek-milan-good.der");
    vlek       = own_vector("amd-snp/synthetic/vlek-milan-good.der");
    turin_ark  = own_vector("amd-snp/synthetic/ca-turin-ark.der");
    genoa_vcek = own_vector("amd-snp/vek/siena-v5-lunal.vcek.der");
    return 0;
}

static int close_files(void **state)
{
    struct buffer *all[] = { &ark, &ask, &asvk, &vcek, &vlek, &turin_ark, &genoa_vcek };

    (void) state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    return 0;
}

static void amds_roots_are_roots(void **state)
{
    AUTO(snp_trust) struct snp_trust *trust = NULL;
    size_t                            n     = 0;
    const struct snp_root            *roots = snp_amd_roots(&n);
    struct err                        err;

    (void) state;
    assert_int_equal(n, 3);
    assert_true(snp_trust_new(roots, n, &trust, NULL, &err));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(snp_root_product(roots[i].ark), roots[i].product);
    assert_int_equal(snp_root_product(roots[0].ask), SNP_PRODUCT_UNKNOWN);
    assert_int_equal(snp_root_product(bytes_of_text("no certificate")), SNP_PRODUCT_UNKNOWN);
}

static void what_is_no_root_is_refused_with_its_reason(void **state)
{
    AUTO(heap) uint8_t *flipped  = exact_copy(ark.at, ark.len);
    struct snp_trust   *trust    = NULL;
    enum verdict_reason why      = REASON_OK;
    struct snp_root     roots[SNP_ROOTS_MAX + 1] = { { .name = "one", .product = SNP_MILAN } };
    struct err          err;

    (void) state;
    flipped[ark.len - 1] ^= 1;
    const struct { struct bytes ark, ask; enum verdict_reason why; } rows[] = {
        { buffer_bytes(&ask), { 0 }, REASON_SNP_CERTIFICATE_ISSUER },
        { buffer_bytes(&vcek), { 0 }, REASON_SNP_CERTIFICATE_KEY },
        { { flipped, ark.len }, { 0 }, REASON_SNP_CERTIFICATE_SIGNATURE },
        { { 0 }, { 0 }, REASON_SNP_CERTIFICATE_MALFORMED },
        { buffer_bytes(&ark), bytes_of_text("-----no PEM"), REASON_SNP_CERTIFICATE_MALFORMED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        roots[0].ark = rows[i].ark;
        roots[0].ask = rows[i].ask;
        assert_false(snp_trust_new(roots, 1, &trust, &why, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        assert_int_equal(why, rows[i].why);
        assert_null(trust);
        assert_false(snp_trust_new(roots, 1, &trust, NULL, &err));
    }
    roots[0] = (struct snp_root){ .name = "one", .product = SNP_MILAN, .ark = buffer_bytes(&ark),
                                  .asvk = bytes_of_text("-----no PEM") };
    assert_false(snp_trust_new(roots, 1, &trust, &why, &err));
    assert_int_equal(why, REASON_SNP_CERTIFICATE_MALFORMED);
    assert_false(snp_trust_new(roots, 0, &trust, NULL, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(snp_trust_new(roots, SNP_ROOTS_MAX + 1, &trust, NULL, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* A trust of AMD's roots and the test root, both standing for Milan, and perhaps of Turin's test root alone. */
static struct snp_trust *trust_of(bool amd_too, bool with_intermediates)
{
    size_t            n     = 0;
    struct snp_root   roots[2] = { snp_amd_roots(&n)[0], { .name = "development", .product = SNP_MILAN } };
    struct snp_trust *trust = NULL;
    struct err        err;

    roots[1].ark = buffer_bytes(&ark);
    if (with_intermediates) {
        roots[1].ask  = buffer_bytes(&ask);
        roots[1].asvk = buffer_bytes(&asvk);
    }
    assert_true(snp_trust_new(amd_too ? roots : roots + 1, amd_too ? 2 : 1, &trust, NULL, &err));
    return trust;
}

static enum verdict_reason judge(struct snp_trust *trust, struct bytes vek, const struct snp_certificates *given,
                                 const char **root_name)
{
    AUTO(snp_chain) struct snp_chain *chain = NULL;
    struct verdict                    v;
    struct appraisal                  a = appraisal_start(&v, NULL);

    if (!snp_chain_new(trust, vek, given, &chain, &a))
        return v.reason;
    if (root_name)
        *root_name = snp_chain_root_name(chain);
    return REASON_OK;
}

static void a_second_root_of_the_same_product_is_found(void **state)
{
    AUTO(snp_trust) struct snp_trust *trust = trust_of(true, true);
    struct snp_certificates           given = { 0 };
    const char                       *name  = NULL;

    (void) state;
    assert_int_equal(judge(trust, buffer_bytes(&vcek), &given, &name), REASON_OK);
    assert_string_equal(name, "development");
    given.ask = buffer_bytes(&asvk); /* what was sent does not fit, what is known does */
    assert_int_equal(judge(trust, buffer_bytes(&vcek), &given, &name), REASON_OK);
    given.ark = buffer_bytes(&ark);
    assert_int_equal(judge(trust, buffer_bytes(&vlek), &given, &name), REASON_OK);
}

static void what_does_not_lead_to_a_root_is_refused(void **state)
{
    AUTO(snp_trust) struct snp_trust *trust = trust_of(false, false);
    const struct {
        struct bytes            vek;
        struct snp_certificates given;
        enum verdict_reason     reason;
    } rows[] = {
        { buffer_bytes(&vcek), { .ask = buffer_bytes(&ask) }, REASON_OK },
        { buffer_bytes(&vcek), { .asvk = buffer_bytes(&ask) }, REASON_OK }, /* which entry it came in says nothing */
        { buffer_bytes(&vlek), { .ask = buffer_bytes(&asvk) }, REASON_OK },
        { buffer_bytes(&vcek), { .ask = { 0 } }, REASON_SNP_INTERMEDIATE_MISSING },
        { buffer_bytes(&vcek), { .ask = buffer_bytes(&asvk) }, REASON_SNP_CERTIFICATE_ISSUER },
        { buffer_bytes(&vcek), { .ask = bytes_of_text("-----") }, REASON_SNP_CERTIFICATE_MALFORMED },
        { buffer_bytes(&vcek), { .ask = buffer_bytes(&ask), .ark = buffer_bytes(&turin_ark) }, REASON_SNP_ROOT_NOT_PINNED },
        { buffer_bytes(&vcek), { .ask = buffer_bytes(&ask), .ark = bytes_of_text("-----") }, REASON_SNP_CERTIFICATE_MALFORMED },
        { buffer_bytes(&genoa_vcek), { .ask = buffer_bytes(&ask) }, REASON_SNP_ROOT_MISSING },
        { buffer_bytes(&ask), { .ask = buffer_bytes(&ask) }, REASON_SNP_CERTIFICATE_ISSUER },
        { { 0 }, { .ask = buffer_bytes(&ask) }, REASON_SNP_VEK_MISSING },
        { bytes_of_text("x"), { .ask = buffer_bytes(&ask) }, REASON_SNP_CERTIFICATE_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum verdict_reason reason = judge(trust, rows[i].vek, &rows[i].given, NULL);

        if (reason != rows[i].reason)
            fail_msg("row %zu: %s", i, reason_code(reason));
    }
}

/* The names are AMD's and the keys are not. */
static void amds_names_without_amds_keys_are_refused(void **state)
{
    size_t                            n     = 0;
    AUTO(snp_trust) struct snp_trust *trust = NULL;
    struct snp_certificates           given = { .ask = buffer_bytes(&ask) };
    struct err                        err;

    (void) state;
    assert_true(snp_trust_new(snp_amd_roots(&n), 3, &trust, NULL, &err));
    assert_int_equal(judge(trust, buffer_bytes(&vcek), &given, NULL), REASON_SNP_CERTIFICATE_SIGNATURE);
    given.ask = (struct bytes){ 0 };
    assert_int_equal(judge(trust, buffer_bytes(&vcek), &given, NULL), REASON_SNP_CERTIFICATE_SIGNATURE);
}

static void releasing_nothing_does_nothing(void **state)
{
    (void) state;
    snp_trust_free(NULL);
    snp_chain_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amds_roots_are_roots),
        cmocka_unit_test(what_is_no_root_is_refused_with_its_reason),
        cmocka_unit_test(a_second_root_of_the_same_product_is_found),
        cmocka_unit_test(what_does_not_lead_to_a_root_is_refused),
        cmocka_unit_test(amds_names_without_amds_keys_are_refused),
        cmocka_unit_test(releasing_nothing_does_nothing),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}
