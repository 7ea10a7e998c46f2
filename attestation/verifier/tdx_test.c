/* What policy makes of a quote that is genuine under the test root; the forged ones are in the vector tests. */
#include "tests/harness/test.h"
#include "attestation/verifier/instant.h"
#include "attestation/verifier/tdx_claims.h"
#include "tests/harness/vectors.h"

struct specimen {
    struct buffer    quote, file[6];
    struct tdx_files files;
    int64_t          now;
};

static void specimen_free(struct specimen *s)
{
    buffer_free(&s->quote);
    for (size_t i = 0; i < 6; i++)
        buffer_free(&s->file[i]);
}
static inline void auto_specimen(struct specimen *s) { specimen_free(s); }

static struct specimen specimen_read(const char *quote)
{
    struct specimen s = { .quote = own_vector(quote) };

    s.file[0] = own_vector("tdx/synthetic/tcb_info.json");
    s.file[1] = own_vector("tdx/synthetic/qe_identity.json");
    s.file[2] = own_vector("tdx/synthetic/issuer_chain.pem");
    s.file[3] = own_vector("tdx/synthetic/root_ca.pem");
    s.file[4] = own_vector("tdx/synthetic/root_ca_crl.der");
    s.file[5] = own_vector("tdx/synthetic/pck_crl.der");
    s.files = (struct tdx_files){ buffer_bytes(&s.file[0]), buffer_bytes(&s.file[1]), buffer_bytes(&s.file[2]),
                                  buffer_bytes(&s.file[3]), buffer_bytes(&s.file[4]), buffer_bytes(&s.file[5]) };
    assert_true(instant_of_text(bytes_of_text("2025-01-15T00:00:00Z"), &s.now));
    return s;
}

static void verify(const struct specimen *s, const char *policy_text, const struct verdict_listener *listener,
                   struct tdx_result *out)
{
    AUTO(tdx_policy) struct tdx_policy policy;
    struct tdx_question                q = { .policy = &policy, .now = s->now, .listener = listener };
    struct err                         err;

    tdx_policy_default(&policy);
    if (policy_text && !tdx_policy_read(bytes_of_text(policy_text), &policy, &err))
        fail_msg("%s", err.text);
    (void) tdx_verify(buffer_bytes(&s->quote), &s->files, &q, out); /* the verdict says it */
}

#define ZEROS48 "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"

/* Every list of policy refuses a value that is not the quote's, by its own name. */
static void every_field_of_policy_is_compared(void **state)
{
    static const struct { const char *policy; enum verdict_reason reason; } rows[] = {
        { NULL, REASON_OK },
        { "{\"mrtd\":[\"" ZEROS48 "\"]}", REASON_TDX_POLICY_MRTD },
        { "{\"mrtd\":[]}", REASON_TDX_POLICY_MRTD },
        { "{\"mrseam\":[\"" ZEROS48 "\"]}", REASON_TDX_POLICY_MRSEAM },
        { "{\"mrconfigid\":[]}", REASON_TDX_POLICY_MRCONFIGID },
        { "{\"mrowner\":[]}", REASON_TDX_POLICY_MROWNER },
        { "{\"mrownerconfig\":[]}", REASON_TDX_POLICY_MROWNERCONFIG },
        { "{\"rtmr0\":[]}", REASON_TDX_POLICY_RTMR0 },
        { "{\"rtmr1\":[]}", REASON_TDX_POLICY_RTMR1 },
        { "{\"rtmr2\":[]}", REASON_TDX_POLICY_RTMR2 },
        { "{\"rtmr3\":[]}", REASON_TDX_POLICY_RTMR3 },
        { "{\"report_data\":[]}", REASON_TDX_POLICY_REPORT_DATA },
        { "{\"xfam\":[\"0000000000000000\"]}", REASON_TDX_POLICY_XFAM },
        { "{\"fmspc\":[\"000000000000\"]}", REASON_TDX_POLICY_FMSPC },
        { "{\"fmspc\":[\"000000000000\",\"00a0ff000000\"]}", REASON_OK },
        { "{\"ppid\":[]}", REASON_TDX_POLICY_PPID },
        { "{\"platform_instance\":[]}", REASON_TDX_POLICY_PLATFORM_INSTANCE },
        { "{\"mrservicetd\":[]}", REASON_TDX_POLICY_MRSERVICETD },
        { "{\"mrservicetd\":[\"" ZEROS48 "\"]}", REASON_OK },
        { "{\"tcb_status\":[]}", REASON_TDX_TCB_STATUS },
        { "{\"minimum_evaluation_number\":17}", REASON_OK },
        { "{\"minimum_evaluation_number\":18}", REASON_TDX_TCB_EVALUATION_NUMBER },
    };
    AUTO(specimen) struct specimen s = specimen_read("tdx/synthetic/quote.bin");

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tdx_result got;

        verify(&s, rows[i].policy, NULL, &got);
        if (got.verdict.reason != rows[i].reason)
            fail_msg("%s: %s: %s", rows[i].policy, reason_code(got.verdict.reason), got.verdict.detail);
        assert_true(got.is_genuine && got.has_tcb);
        assert_int_equal(got.tcb.status, TCB_UP_TO_DATE);
    }
}

static void a_relaunch_needs_status_and_advisories_in_policy(void **state)
{
    AUTO(specimen) struct specimen s = specimen_read("tdx/synthetic/quote_v5_relaunch.bin");
    struct tdx_result              got;

    (void) state;
    verify(&s, NULL, NULL, &got);
    assert_int_equal(got.verdict.reason, REASON_TDX_TCB_STATUS);
    assert_int_equal(got.tcb.status, TCB_RELAUNCH_ADVISED);
    assert_int_equal(got.tcb.launch.status, TCB_OUT_OF_DATE);
    assert_int_equal(got.tcb.current.status, TCB_UP_TO_DATE);
    verify(&s, "{\"tcb_status\":[\"TDRelaunchAdvised\"]}", NULL, &got);
    assert_int_equal(got.verdict.reason, got.tcb.launch.advisories.n > 0 ? REASON_TDX_TCB_ADVISORY : REASON_OK);
    verify(&s, "{\"tcb_status\":[\"TDRelaunchAdvised\"],\"advisories\":[\"INTEL-SA-00037\",\"INTEL-SA-00106\"]}", NULL,
           &got);
    assert_int_equal(got.verdict.reason, REASON_OK);
}

static void claims_are_told_only_of_genuine_quotes(void **state)
{
    AUTO(specimen) struct specimen s = specimen_read("tdx/synthetic/quote_v5.bin");
    struct json_object            *body = NULL, *quote = NULL;
    const char                    *status = NULL;
    struct tdx_result              got;
    struct err                     err;

    (void) state;
    verify(&s, "{\"mrtd\":[]}", NULL, &got);
    AUTO(json) struct json_object *claims = tdx_claims(&got);

    assert_non_null(claims); /* refused by policy, and still genuine */
    assert_true(json_get(claims, "quote", json_type_object, &quote, &err));
    assert_true(json_get(quote, "body", json_type_object, &body, &err));
    assert_true(json_has(body, "mr_servicetd"));
    assert_true(json_get_text(quote, "size", &status, &err));
    assert_string_equal(status, "88020000"); /* 648, little endian */
    assert_true(json_has(claims, "pck_crl_num") && json_has(claims, "root_ca_crl_num"));
    assert_true(json_get_text(claims, "tcb_status", &status, &err));
    assert_string_equal(status, "UpToDate");
    s.quote.at[60] ^= 1;
    verify(&s, NULL, NULL, &got);
    assert_int_equal(got.verdict.reason, REASON_TDX_BAD_QUOTE_SIGNATURE);
    assert_null(tdx_claims(&got));
}

static void count_checks(void *owner, enum verdict_reason reason, enum check_outcome outcome, const char *compared)
{
    size_t *n = owner;

    assert_true(strlen(compared) > 0);
    assert_int_equal(outcome, CHECK_HOLDS);
    assert_true(reason < N_REASONS);
    (*n)++;
}

static void a_listener_hears_every_check(void **state)
{
    AUTO(specimen) struct specimen s = specimen_read("tdx/synthetic/quote.bin");
    size_t                         n = 0;
    const struct verdict_listener  l = { count_checks, &n };
    struct tdx_result              got;

    (void) state;
    verify(&s, NULL, &l, &got);
    assert_true(got.verdict.accepted);
    assert_true(n > 60);
}

/* One platform's chain serves its next quote; a quote of another platform replaces it. */
static void the_platform_is_kept_between_quotes(void **state)
{
    AUTO(specimen) struct specimen              s        = specimen_read("tdx/synthetic/quote.bin");
    AUTO(buffer) struct buffer                  other    = own_vector("tdx/intel_v4/quote.bin");
    AUTO(tdx_platform) struct tdx_platform     *platform = NULL;
    AUTO(tdx_collateral) struct tdx_collateral *c        = NULL;
    struct tdx_policy                           policy;
    struct tdx_question                         q = { .policy = &policy, .now = s.now };
    struct tdx_platform                        *first;
    struct tdx_result                           got;
    struct verdict                              v;
    struct appraisal                            a = appraisal_start(&v, NULL);

    (void) state;
    tdx_policy_default(&policy);
    c = tdx_collateral_new(&s.files, &a);
    assert_non_null(c);
    assert_true(tdx_verify_cached(buffer_bytes(&s.quote), c, &platform, &q, &got));
    first = platform;
    assert_true(tdx_verify_cached(buffer_bytes(&s.quote), c, &platform, &q, &got));
    assert_ptr_equal(platform, first);
    assert_false(tdx_verify_cached(buffer_bytes(&other), c, &platform, &q, &got));
    assert_int_equal(got.verdict.reason, REASON_TDX_UNTRUSTED_ROOT);
    assert_null(platform);
    q.now += 365LL * 24 * 3600; /* a cached chain is judged again at every time */
    assert_false(tdx_verify_cached(buffer_bytes(&s.quote), c, &platform, &q, &got));
    assert_int_equal(got.verdict.reason, REASON_TDX_COLLATERAL_EXPIRED);
}

/* Collateral that was verified, with one value changed as if Intel had signed it so. */
static void genuine_collateral_decides_over_enclave_module_and_numbers(void **state)
{
    enum change { NOTHING, MISC_SELECT, ATTRIBUTES, MRSIGNER, PRODUCT, OTHER_NUMBER, OLDER_NUMBER, NO_MODULES, OTHER_SIGNER,
                  MODULE_ATTRIBUTES, NO_LEVELS, N_CHANGES };
    static const enum verdict_reason wanted[N_CHANGES] = {
        [NOTHING] = REASON_OK, [MISC_SELECT] = REASON_TDX_QE_IDENTITY_MISMATCH,
        [ATTRIBUTES] = REASON_TDX_QE_IDENTITY_MISMATCH, [MRSIGNER] = REASON_TDX_QE_IDENTITY_MISMATCH,
        [PRODUCT] = REASON_TDX_QE_IDENTITY_MISMATCH, [OTHER_NUMBER] = REASON_TDX_TCB_EVALUATION_NUMBER,
        [OLDER_NUMBER] = REASON_TDX_TCB_EVALUATION_NUMBER, [NO_MODULES] = REASON_TDX_TDX_MODULE_MISMATCH,
        [OTHER_SIGNER] = REASON_TDX_TDX_MODULE_MISMATCH, [MODULE_ATTRIBUTES] = REASON_TDX_TDX_MODULE_MISMATCH,
        [NO_LEVELS] = REASON_TDX_TCB_NOT_SUPPORTED,
    };
    AUTO(specimen) struct specimen s = specimen_read("tdx/synthetic/quote.bin");

    (void) state;
    for (int change = 0; change < N_CHANGES; change++) {
        AUTO(tdx_collateral) struct tdx_collateral *c        = NULL;
        AUTO(tdx_platform) struct tdx_platform     *platform = NULL;
        struct tdx_policy                           policy;
        struct tdx_question                         q = { .policy = &policy, .now = s.now };
        struct tdx_result                           got;
        struct verdict                              v;
        struct appraisal                            a = appraisal_start(&v, NULL);

        tdx_policy_default(&policy);
        c = tdx_collateral_new(&s.files, &a);
        assert_non_null(c);
        c->qe_identity.misc_select[0] ^= change == MISC_SELECT;
        c->qe_identity.attributes[0] ^= change == ATTRIBUTES ? 2 : 0; /* DEBUG */
        c->qe_identity.mrsigner[0] ^= change == MRSIGNER;
        c->qe_identity.isv_prod_id        = (uint16_t) (c->qe_identity.isv_prod_id + (change == PRODUCT));
        c->qe_identity.evaluation_number += change == OTHER_NUMBER;
        c->qe_identity.evaluation_number -= change == OLDER_NUMBER;
        for (size_t i = 0; i < c->tcb_info.n_modules; i++) {
            c->tcb_info.modules[i].mrsigner[0] ^= change == OTHER_SIGNER;
            c->tcb_info.modules[i].attributes[0] ^= change == MODULE_ATTRIBUTES;
            c->tcb_info.modules[i].mask[0] |= change == MODULE_ATTRIBUTES;
        }
        if (change == NO_MODULES)
            c->tcb_info.n_modules = 0;
        if (change == NO_LEVELS)
            c->tcb_info.n_levels = 0;
        (void) tdx_verify_cached(buffer_bytes(&s.quote), c, &platform, &q, &got);
        if (got.verdict.reason != wanted[change])
            fail_msg("change %d: %s: %s", change, reason_code(got.verdict.reason), got.verdict.detail);
        if (change == OTHER_NUMBER || change == OLDER_NUMBER) {
            policy.allow_mixed_evaluation_numbers = true;
            assert_true(tdx_verify_cached(buffer_bytes(&s.quote), c, &platform, &q, &got));
        }
    }
}

static void a_root_that_is_too_large_or_missing_is_refused(void **state)
{
    AUTO(specimen) struct specimen s    = specimen_read("tdx/synthetic/quote.bin");
    AUTO(buffer) struct buffer     wide = { 0 };
    struct tdx_result              got;

    (void) state;
    (void) buffer_grow(&wide, CERTIFICATE_LEN_MAX + 1);
    s.files.root_ca = buffer_bytes(&wide);
    verify(&s, NULL, NULL, &got);
    assert_int_equal(got.verdict.reason, REASON_TDX_BAD_ROOT);
    s.files.root_ca = (struct bytes){ 0 };
    verify(&s, NULL, NULL, &got);
    assert_int_equal(got.verdict.layer, LAYER_CHAIN);
    assert_false(got.verdict.accepted);
    tdx_collateral_free(NULL);
    tdx_platform_free(NULL);
}

/* The hint is what the quote's own certificate says, and nothing for a quote that has none. */
static void tells_whose_collateral_to_fetch(void **state)
{
    static const uint8_t       wanted[PCK_FMSPC_LEN] = { 0x00, 0xa0, 0xff };
    AUTO(buffer) struct buffer quote                 = own_vector("tdx/synthetic/quote.bin");
    uint8_t                    fmspc[PCK_FMSPC_LEN];
    bool                       is_platform_ca = false;
    struct tdx_quote           parsed;
    struct err                 err;

    (void) state;
    if (!tdx_platform_hint(buffer_bytes(&quote), fmspc, &is_platform_ca, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(fmspc, wanted, sizeof wanted);
    assert_true(is_platform_ca);
    assert_true(tdx_quote_parse(buffer_bytes(&quote), &parsed, &err));
    memset(quote.at + (parsed.pck_chain.at - quote.at), 'x', 40);
    assert_false(tdx_platform_hint(buffer_bytes(&quote), fmspc, &is_platform_ca, &err));
    assert_false(tdx_platform_hint(BYTES_OF("short"), fmspc, &is_platform_ca, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_policy_is_compared),
        cmocka_unit_test(a_relaunch_needs_status_and_advisories_in_policy),
        cmocka_unit_test(claims_are_told_only_of_genuine_quotes),
        cmocka_unit_test(a_listener_hears_every_check),
        cmocka_unit_test(the_platform_is_kept_between_quotes),
        cmocka_unit_test(genuine_collateral_decides_over_enclave_module_and_numbers),
        cmocka_unit_test(a_root_that_is_too_large_or_missing_is_refused),
        cmocka_unit_test(tells_whose_collateral_to_fetch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
