/*
 * The broker's appraiser with evidence of each kind. What hardware signed was made for other nonces: it must pass every
 * check but the last, and be refused for its binding. A TPM of our own is accepted whole.
 */
#include "tests/harness/test.h"

#include <time.h>

#include "attestation/collateral/bundle.h"
#include "attestation/collateral/pcs.h"
#include "attestation/verifier/instant.h"
#include "keys/api/initdata.h"
#include "keys/broker/appraise.h"
#include "tests/harness/tpm_guest.h"
#include "tests/harness/vectors.h"

#define NONCE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define LENIENT_SNP "{\"products\":[\"Milan\",\"Genoa\"],\"crl\":\"off\",\"platform_require\":[],\"id_key_digest\":\"any\",\"family_id\":\"any\",\"image_id\":\"any\",\"author_key_digest\":\"any\"," \
                    "\"guest_policy_allow\":[\"smt\",\"migrate-ma\"],\"allow\":[\"migration-agent\",\"provisional-firmware\"]}"
#define LENIENT_TDX "{\"tcb_status\":[\"OutOfDate\"],\"allow_sept_ve\":true,\"advisories\":" \
                    "[\"INTEL-SA-00837\",\"INTEL-SA-00960\",\"INTEL-SA-00982\",\"INTEL-SA-00986\"]}"

static struct jwk    tee_key;
static struct buffer bundle_text, intel_root;

/* Intel's collateral of one platform, as `bundle_write` keeps it. */
static void bundle_make(void)
{
    static const char   FOLDER[] = "tdx/real/collateral/00806f_2025-10/";
    static const uint8_t FMSPC[PCS_FMSPC_LEN] = { 0x00, 0x80, 0x6f, 0x05, 0x00, 0x00 };
    static const char *const FILES[] = { "tcb_info.json", "qe_identity.json", "pck_crl.der", "root_ca_crl.der" };
    struct answer        answers[4]  = { { { 0 } } };
    char                 path[256];

    pcs_tcb_info_url(PCS_BASE_URL, FMSPC, PCS_UPDATE_STANDARD, &answers[0].url);
    pcs_qe_identity_url(PCS_BASE_URL, PCS_UPDATE_STANDARD, &answers[1].url);
    pcs_pck_crl_url(PCS_BASE_URL, true, &answers[2].url);
    buffer_append_text(&answers[3].url, PCS_ROOT_CRL_URL);
    (void) snprintf(path, sizeof path, "%stcb_info_issuer_chain.pem", FOLDER); /* short */
    answers[0].issuer_chain = shared_vector(path);
    for (size_t i = 0; i < 4; i++) {
        (void) snprintf(path, sizeof path, "%s%s", FOLDER, FILES[i]); /* short */
        answers[i].body = shared_vector(path);
    }
    bundle_write(answers, 4, &bundle_text);
    for (size_t i = 0; i < 4; i++)
        answer_free(&answers[i]);
}

static int make(void **state)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    struct err           err;

    (void) state;
    if (!jwk_generate_p256(&key, &err) || !jwk_of_key(key, "ECDH-ES+A256KW", &tee_key, &err))
        return 1;
    bundle_make();
    intel_root = shared_vector("tdx/real/intel_sgx_root_ca.der");
    return 0;
}

static int clean(void **state)
{
    (void) state;
    jwk_free(&tee_key);
    buffer_free(&bundle_text);
    buffer_free(&intel_root);
    return 0;
}

static struct appraiser *appraiser_of(const struct appraiser_options *options)
{
    struct appraiser *a = NULL;
    struct err        err;

    if (!appraiser_new(options, &a, &err))
        fail_msg("%s", err.text);
    return a;
}

static struct appraiser *appraiser_of_all(void)
{
    struct appraiser_options o = { .amd = true, .snp_policy = bytes_of_text(LENIENT_SNP), .tdx_root = buffer_bytes(&intel_root),
                                   .tdx_policy = bytes_of_text(LENIENT_TDX), .bundle = buffer_bytes(&bundle_text), .tpm = true };

    return appraiser_of(&o);
}

static int64_t then(void)
{
    int64_t at;

    assert_true(instant_of_text(bytes_of_text("2025-11-01T00:00:00Z"), &at));
    return at;
}

static bool appraises(struct appraiser *a, enum tee tee, struct json_object *evidence, const char *initdata,
                      const struct bytes *ak, struct facts *out, struct err *err)
{
    struct rcar_attestation  attestation = { .nonce = NONCE, .additional = "", .evidence = evidence, .initdata = initdata };
    struct appraise_question question    = { .tee = tee, .attestation = &attestation, .trusted_aks = ak, .n_trusted_aks = ak != NULL,
                                             .now = then() };

    attestation.tee_key = tee_key;
    return appraise(a, &question, out, err);
}

static struct json_object *document(const char *path)
{
    AUTO(buffer) struct buffer text = shared_vector(path);
    struct json_object        *out  = NULL;
    struct err                 err;

    if (!json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &out, &err))
        fail_msg("%s: %s", path, err.text);
    return out;
}

static struct json_object *tdx_document(void)
{
    AUTO(buffer) struct buffer quote = shared_vector("coco/az-tdx-vtpm/td-quote.bin");
    AUTO(buffer) struct buffer text  = { 0 };
    struct json_object        *out   = json_object_new_object();

    base64_append(&text, buffer_bytes(&quote), BASE64_STANDARD);
    json_add(out, "cc_eventlog", NULL);
    json_add_text(out, "quote", buffer_text(&text));
    return out;
}

static const struct { enum tee tee; const char *path, *reason; } SAMPLES[] = {
    { TEE_SNP, "coco/snp/evidence-genoa-v3-ascoco.json", "snp-report-data: " },
    { TEE_TDX, NULL, "tdx-policy-report-data: " },
    { TEE_AZ_SNP_VTPM, "coco/az-snp-vtpm/evidence-v1.json", "tpm-nonce: " },
    { TEE_AZ_SNP_VTPM, "coco/az-snp-vtpm/evidence-v2.json", "tpm-hcl-user-data: " },
    { TEE_AZ_TDX_VTPM, "coco/az-tdx-vtpm/evidence-v1.json", "tpm-nonce: " },
    { TEE_TPM, "coco/tpm/tpm_evidence.json", "tpm-ak-untrusted: " },
};
enum { N_SAMPLES = sizeof SAMPLES / sizeof *SAMPLES };

static void genuine_evidence_of_each_kind_is_refused_only_for_its_binding(void **state)
{
    AUTO(appraiser) struct appraiser *a = appraiser_of_all();

    (void) state;
    for (size_t round = 0; round < 2; round++) { /* the second time with chains and platforms that are known */
        for (size_t i = 0; i < N_SAMPLES; i++) {
            AUTO(json) struct json_object *evidence = SAMPLES[i].path ? document(SAMPLES[i].path) : tdx_document();
            struct facts                   facts    = { 0 };
            struct err                     err;

            assert_false(appraises(a, SAMPLES[i].tee, evidence, NULL, NULL, &facts, &err));
            if (err.kind != ERR_UNTRUSTED || strncmp(err.text, SAMPLES[i].reason, strlen(SAMPLES[i].reason)) != 0)
                fail_msg("%s: %s; wanted %s", tee_name(SAMPLES[i].tee), err.text, SAMPLES[i].reason);
            assert_null(facts.claims);
        }
    }
}

static void nothing_is_trusted_that_was_not_configured(void **state)
{
    static const char *const TEXTS[] = { "no root of trust for SNP is configured", "no root of trust for TDX is configured",
                                         "no root of trust for SNP is configured", "no root of trust for SNP is configured",
                                         "no root of trust for TDX is configured",
                                         "evidence of a TPM alone is not taken: tpm is not configured" };
    struct appraiser_options          only_sample = { .sample = true };
    AUTO(appraiser) struct appraiser *a           = appraiser_of(&only_sample);
    struct appraiser_options          nothing     = { .amd = false };
    struct appraiser                 *none        = NULL;
    struct err                        err;

    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        AUTO(json) struct json_object *evidence = SAMPLES[i].path ? document(SAMPLES[i].path) : tdx_document();
        struct facts                   facts    = { 0 };

        assert_false(appraises(a, SAMPLES[i].tee, evidence, NULL, NULL, &facts, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        assert_string_equal(err.text, TEXTS[i]);
    }
    assert_false(appraiser_new(&nothing, &none, &err));
    assert_string_equal(err.text, "no root of trust is configured: nothing could ever attest");
}

static void a_platform_without_collateral_is_refused(void **state)
{
    struct appraiser_options          o = { .tdx_root = buffer_bytes(&intel_root) };
    AUTO(appraiser) struct appraiser *a = appraiser_of(&o);
    AUTO(json) struct json_object    *evidence = tdx_document();
    struct facts                      facts = { 0 };
    struct err                        err;

    (void) state;
    assert_false(appraises(a, TEE_TDX, evidence, NULL, NULL, &facts, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_non_null(strstr(err.text, "TDX: there is no collateral for this platform: https://api.trustedservices.intel.com/"));
}

static void collateral_under_another_root_is_refused(void **state)
{
    AUTO(buffer) struct buffer        root = { 0 };
    struct appraiser_options          o    = { .bundle = buffer_bytes(&bundle_text), .tdx_policy = bytes_of_text(LENIENT_TDX) };
    AUTO(json) struct json_object    *evidence = tdx_document();
    AUTO(appraiser) struct appraiser *a     = NULL;
    struct facts                      facts = { 0 };
    struct err                        err;

    (void) state;
    buffer_append(&root, buffer_bytes(&intel_root));
    root.at[root.len - 1] ^= 1;
    o.tdx_development_root = buffer_bytes(&root);
    a                      = appraiser_of(&o);
    assert_false(appraises(a, TEE_TDX, evidence, NULL, NULL, &facts, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    if (strncmp(err.text, "TDX collateral: ", 16) != 0)
        fail_msg("%s", err.text);
}

/* No root but Intel's own is ever trusted under Intel's name, nor Intel's as one that protects nothing. */
static void a_root_is_named_as_what_it_is(void **state)
{
    AUTO(buffer) struct buffer other = own_vector("tdx/synthetic/root_ca.pem"), pem = own_vector("tdx/intel_v4/root_ca.pem");
    struct appraiser_options   wrong = { .amd = true, .tdx_root = buffer_bytes(&other) }, right = { .tdx_root = buffer_bytes(&pem) };
    struct appraiser          *a     = NULL;
    struct err                 err;

    (void) state;
    assert_false(appraiser_new(&wrong, &a, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "tdx_root is not Intel's SGX Root CA (SHA-256 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3): "
                                  "a root of tests is trusted as tdx_development_root only");
    wrong = (struct appraiser_options){ .tdx_development_root = buffer_bytes(&intel_root) };
    assert_false(appraiser_new(&wrong, &a, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "tdx_development_root is Intel's own root: it belongs into tdx_root");
    assert_true(appraiser_new(&right, &a, &err)); /* PEM as well */
    appraiser_free(a);
}

/* ---- a TPM ---- */

static struct json_object *tpm_document(const struct tpm_guest *g)
{
    AUTO(buffer) struct buffer text = { 0 };
    uint8_t                    digest[RCAR_DIGEST_LEN];
    struct json_object        *out = NULL;
    struct err                 err;

    assert_true(rcar_report_data("", NONCE, &tee_key, digest, &err));
    tpm_guest_evidence(g, digest, &text);
    if (!json_read(buffer_bytes(&text), 1 << 16, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static struct buffer ak_der(const struct tpm_guest *g)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct buffer              der  = { 0 };
    struct err                 err;

    tpm_guest_ak(g, &text);
    assert_true(base64_read(buffer_bytes(&text), BASE64_STANDARD, &der, &err));
    return der;
}

static void a_tpm_under_a_registered_key_gives_its_claims(void **state)
{
    AUTO(appraiser) struct appraiser *a     = appraiser_of_all();
    AUTO(tpm_guest) struct tpm_guest  guest = tpm_guest_new();
    AUTO(json) struct json_object    *evidence = NULL;
    AUTO(buffer) struct buffer        der   = ak_der(&guest), initdata = { 0 };
    AUTO(facts) struct facts          facts = { 0 };
    struct initdata_entry             entry = { "policy.json", "{\"containers\":[{\"image\":\"sha256:aa\"}]}" };
    struct bytes                      ak    = buffer_bytes(&der);
    uint8_t                           digest[SHA256_LEN];
    struct err                        err;

    (void) state;
    initdata_write(INITDATA_SHA256, &entry, 1, &initdata);
    sha256_of(buffer_bytes(&initdata), digest);
    tpm_guest_extend(&guest, 8, digest);
    evidence = tpm_document(&guest);
    if (!appraises(a, TEE_TPM, evidence, buffer_text(&initdata), &ak, &facts, &err))
        fail_msg("%s", err.text);
    assert_string_equal(endorser_name(facts.endorser), "operator");
    assert_int_equal(facts.measurement_len, 0);
    assert_int_equal(facts.initdata_len, SHA256_LEN);
    assert_memory_equal(facts.initdata, guest.pcr[8], SHA256_LEN);
    assert_string_equal(json_object_get_string(json_object_object_get(facts.claims, "pcr11")),
                        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    assert_true(json_object_object_get_ex(facts.initdata_claims, "policy.json", NULL));
}

static void refuses_initdata_that_is_not_in_pcr_8(void **state)
{
    AUTO(appraiser) struct appraiser *a        = appraiser_of_all();
    AUTO(tpm_guest) struct tpm_guest  guest    = tpm_guest_new();
    AUTO(json) struct json_object    *evidence = tpm_document(&guest);
    AUTO(buffer) struct buffer        der      = ak_der(&guest);
    struct bytes                      ak       = buffer_bytes(&der);
    struct facts                      facts    = { 0 };
    struct err                        err;

    (void) state;
    assert_false(appraises(a, TEE_TPM, evidence, "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n", &ak, &facts, &err));
    assert_string_equal(err.text, "initdata: its digest is not the one in PCR 8");
    assert_null(facts.claims);
}

static void a_tpm_that_nobody_vouches_for_is_taken_for_tests_only_and_says_so(void **state)
{
    struct appraiser_options          any      = { .tpm_any_key = true }, registered = { .tpm = true };
    AUTO(appraiser) struct appraiser *tests    = appraiser_of(&any);
    AUTO(appraiser) struct appraiser *strict   = appraiser_of(&registered);
    AUTO(tpm_guest) struct tpm_guest  guest    = tpm_guest_new();
    AUTO(json) struct json_object    *evidence = tpm_document(&guest);
    AUTO(facts) struct facts          facts    = { 0 };
    struct err                        err;

    (void) state;
    assert_false(appraises(strict, TEE_TPM, evidence, NULL, NULL, &facts, &err));
    assert_non_null(strstr(err.text, "tpm-ak-untrusted"));
    assert_true(appraises(tests, TEE_TPM, evidence, NULL, NULL, &facts, &err));
    assert_string_equal(endorser_name(facts.endorser), "nobody");
}

int main(void)
{
    vectors_required("tdx/real/intel_sgx_root_ca.der");

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genuine_evidence_of_each_kind_is_refused_only_for_its_binding),
        cmocka_unit_test(nothing_is_trusted_that_was_not_configured),
        cmocka_unit_test(a_platform_without_collateral_is_refused),
        cmocka_unit_test(collateral_under_another_root_is_refused),
        cmocka_unit_test(a_root_is_named_as_what_it_is),
        cmocka_unit_test(a_tpm_under_a_registered_key_gives_its_claims),
        cmocka_unit_test(refuses_initdata_that_is_not_in_pcr_8),
        cmocka_unit_test(a_tpm_that_nobody_vouches_for_is_taken_for_tests_only_and_says_so),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
