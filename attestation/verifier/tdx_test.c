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

/* Collateral and platform of one quote, verified: tests then change a value as if Intel had signed it so. */
struct judged {
    struct specimen        s;
    struct tdx_collateral *c;
    struct tdx_platform   *p;
    struct tdx_policy      policy;
    struct tdx_question    q;
};

static void judged_free(struct judged *j)
{
    specimen_free(&j->s);
    tdx_collateral_free(j->c);
    tdx_platform_free(j->p);
    tdx_policy_free(&j->policy);
}
static inline void auto_judged(struct judged *j) { judged_free(j); }

static void judged_read(struct judged *j)
{
    struct verdict    v;
    struct appraisal  a = appraisal_start(&v, NULL);
    struct tdx_result got;

    j->s = specimen_read("tdx/synthetic/quote.bin");
    tdx_policy_default(&j->policy);
    j->q = (struct tdx_question){ .policy = &j->policy, .now = j->s.now };
    j->c = tdx_collateral_new(&j->s.files, &a);
    assert_non_null(j->c);
    assert_true(tdx_verify_cached(buffer_bytes(&j->s.quote), j->c, &j->p, &j->q, &got));
}

static void a_chain_of_another_length_is_refused(void **state)
{
    AUTO(judged) struct judged j = { .c = NULL };
    struct verdict             v;
    struct appraisal           a = appraisal_start(&v, NULL);
    const char                *text, *second;

    (void) state;
    judged_read(&j);
    text   = buffer_text(&j.p->text);
    second = strstr(text + 1, "-----BEGIN");
    assert_non_null(second);
    assert_null(tdx_platform_new(bytes_of_text(second), j.c, &a));
    assert_int_equal(v.reason, REASON_TDX_BAD_CHAIN);
    assert_string_equal(v.detail, "PCK chain: 2 of 3 certificates");
}

static void the_roots_list_decides_over_the_authority(void **state)
{
    AUTO(judged) struct judged           j        = { .c = NULL };
    AUTO(buffer) struct buffer           entries  = { 0 };
    AUTO(tdx_platform) struct tdx_platform *fine  = NULL;
    static const uint8_t                 time[]   = { 0x17, 13, '2', '4', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z' };
    struct verdict                       v;
    struct appraisal                     a = appraisal_start(&v, NULL);

    (void) state;
    judged_read(&j);
    const uint8_t head[] = { 0x30, (uint8_t) (2 + j.p->ca.serial.len + sizeof time), 0x02, (uint8_t) j.p->ca.serial.len };

    buffer_append(&entries, BYTES_OF(head));
    buffer_append(&entries, j.p->ca.serial);
    buffer_append(&entries, BYTES_OF(time));
    fine = tdx_platform_new(buffer_bytes(&j.p->text), j.c, &a);
    assert_non_null(fine);
    j.c->root_crl.entries = buffer_bytes(&entries);
    assert_null(tdx_platform_new(buffer_bytes(&j.p->text), j.c, &a));
    assert_int_equal(v.reason, REASON_TDX_PCK_CA_REVOKED);
}

static void a_platform_without_instance_is_not_a_listed_one(void **state)
{
    AUTO(judged) struct judged j = { .c = NULL };
    struct tdx_result          got;

    (void) state;
    judged_read(&j);
    tdx_policy_add(&j.policy, TDX_FIELD_PLATFORM_INSTANCE, BYTES_OF(j.p->pck.instance));
    j.p->pck.has_instance = true;
    assert_true(tdx_verify_cached(buffer_bytes(&j.s.quote), j.c, &j.p, &j.q, &got));
    j.p->pck.has_instance = false;
    assert_false(tdx_verify_cached(buffer_bytes(&j.s.quote), j.c, &j.p, &j.q, &got));
    assert_int_equal(got.verdict.reason, REASON_TDX_POLICY_PLATFORM_INSTANCE);
}

static struct json_object *too_many_advisories(void)
{
    struct json_object *many = json_object_new_array();

    for (int i = 0; i <= ADVISORIES_MAX; i++) {
        char id[24];

        (void) snprintf(id, sizeof id, "INTEL-SA-%05d", i); /* fits */
        (void) json_object_array_add(many, json_object_new_string(id)); /* memory only */
    }
    return many;
}

static void levels_are_wanted_of_launch_and_of_now(void **state)
{
    AUTO(json) struct json_object *many = too_many_advisories();
    AUTO(judged) struct judged     j    = { .c = NULL };
    uint8_t                        good[TCB_COMPONENTS], odd[TCB_COMPONENTS], wordy[TCB_COMPONENTS], low[TCB_COMPONENTS] = { 0 };
    struct tdx_quote           quote;
    struct tdx_tcb             tcb = { .has_current = false };
    struct err                 err;

    (void) state;
    judged_read(&j);
    assert_true(tdx_quote_parse(buffer_bytes(&j.s.quote), &quote, &err));
    memcpy(good, quote.body.tee_tcb_svn.at, sizeof good);
    memcpy(odd, good, sizeof odd);
    memcpy(wordy, good, sizeof wordy);
    odd[1]   = 0xee; /* a module that no TCB info knows */
    wordy[1] = 0xed; /* and one with more advisories than can be kept */
    assert_true(j.c->tcb_info.n_modules > 0 && j.c->tcb_info.n_modules < TDX_MODULES_MAX);

    struct tdx_module *added = &j.c->tcb_info.modules[j.c->tcb_info.n_modules++];

    *added         = j.c->tcb_info.modules[0];
    added->version = wordy[1];
    for (size_t i = 0; i < added->levels.n; i++)
        added->levels.at[i].advisories = many;

    const struct { struct bytes launch, current; const char *why; } rows[] = {
        { BYTES_OF(good), BYTES_OF(good), NULL },
        { BYTES_OF(odd), BYTES_OF(good), "at launch: TCB info does not know TDX module 238" },
        { BYTES_OF(good), BYTES_OF(odd), "now: TCB info does not know TDX module 238" },
        { BYTES_OF(good), BYTES_OF(wordy), "now: more than 64 advisories" },
        { BYTES_OF(good), BYTES_OF(low), "now: platform is below every TCB level" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct tdx_svns svns = { rows[i].launch, rows[i].current, quote.qe_report.isv_svn };

        assert_int_equal(tdx_tcb_evaluate(&j.c->tcb_info, &j.c->qe_identity, &j.p->pck, &svns, &tcb, &err), !rows[i].why);
        if (rows[i].why)
            assert_string_equal(err.text, rows[i].why);
    }
}

static void more_advisories_than_can_be_kept_are_a_refusal(void **state)
{
    enum where { PLATFORM, MODULE, ENCLAVE, N_PLACES };
    AUTO(json) struct json_object *many = too_many_advisories();

    (void) state;
    for (int place = 0; place < N_PLACES; place++) {
        AUTO(judged) struct judged j = { .c = NULL };
        struct tdx_result          got;

        judged_read(&j);
        for (size_t i = 0; i < j.c->tcb_info.n_levels && place == PLATFORM; i++)
            j.c->tcb_info.levels[i].advisories = many;
        for (size_t i = 0; i < j.c->tcb_info.n_modules && place == MODULE; i++)
            for (size_t k = 0; k < j.c->tcb_info.modules[i].levels.n; k++)
                j.c->tcb_info.modules[i].levels.at[k].advisories = many;
        for (size_t k = 0; k < j.c->qe_identity.levels.n && place == ENCLAVE; k++)
            j.c->qe_identity.levels.at[k].advisories = many;
        assert_false(tdx_verify_cached(buffer_bytes(&j.s.quote), j.c, &j.p, &j.q, &got));
        assert_int_equal(got.verdict.reason, REASON_TDX_TCB_NOT_SUPPORTED);
        assert_non_null(strstr(got.verdict.detail, "advisories"));
    }
}

static void claims_name_instance_flags_and_module_where_there_are_any(void **state)
{
    static const char *const   names[] = { "platform_instance_id", "is_dynamic_platform", "is_cached_keys", "tcb_status_module" };
    AUTO(judged) struct judged j       = { .c = NULL };
    struct tdx_result          got;

    (void) state;
    judged_read(&j);
    assert_true(tdx_verify_cached(buffer_bytes(&j.s.quote), j.c, &j.p, &j.q, &got));
    for (int with = 0; with < 2; with++) {
        got.pck.has_instance     = with;
        got.pck.dynamic_platform = with ? PCK_FLAG_TRUE : PCK_FLAG_ABSENT;
        got.pck.cached_keys      = with ? PCK_FLAG_FALSE : PCK_FLAG_ABSENT;
        got.tcb.has_module       = with;
        AUTO(json) struct json_object *claims = tdx_claims(&got);

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            assert_int_equal(json_has(claims, names[i]), with);
    }
    got.has_tcb = false; /* then there is no status to tell */
    AUTO(json) struct json_object *claims = tdx_claims(&got);

    assert_false(json_has(claims, "tcb_status"));
    assert_true(json_has(claims, "td_attributes"));
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
        cmocka_unit_test(a_chain_of_another_length_is_refused),
        cmocka_unit_test(the_roots_list_decides_over_the_authority),
        cmocka_unit_test(a_platform_without_instance_is_not_a_listed_one),
        cmocka_unit_test(levels_are_wanted_of_launch_and_of_now),
        cmocka_unit_test(more_advisories_than_can_be_kept_are_a_refusal),
        cmocka_unit_test(claims_name_instance_flags_and_module_where_there_are_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
