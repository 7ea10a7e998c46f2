/* What binds a TPM's key to something trusted: hardware evidence (Azure), an EK certificate, credential activation. */
#include "tests/harness/test.h"
#include "attestation/verifier/credential.h"
#include "attestation/verifier/ek_certificate.h"
#include "attestation/verifier/hcl.h"
#include "attestation/verifier/instant.h"
#include "attestation/verifier/tdx.h"
#include "base/json.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

static struct buffer collateral(const char *name)
{
    char path[128];

    (void) snprintf(path, sizeof path, "tdx/real/collateral/00806f_2025-10/%s", name); /* short names */
    return shared_vector(path);
}

/* Verifies the TD quote of Azure's guest, whose platform is out of date and lets the host inject #VE. */
static void azure_quote_verify(const struct buffer *quote, struct tdx_result *out)
{
    struct buffer f[6] = { collateral("tcb_info.json"), collateral("qe_identity.json"),
                           collateral("tcb_info_issuer_chain.pem"), shared_vector("tdx/real/intel_sgx_root_ca.der"),
                           collateral("root_ca_crl.der"), collateral("pck_crl.der") };
    struct tdx_files    files = { buffer_bytes(&f[0]), buffer_bytes(&f[1]), buffer_bytes(&f[2]), buffer_bytes(&f[3]),
                                  buffer_bytes(&f[4]), buffer_bytes(&f[5]) };
    AUTO(tdx_policy) struct tdx_policy policy;
    struct tdx_question                q = { .policy = &policy };
    struct err                         err;

    tdx_policy_default(&policy);
    assert_true(tdx_policy_read(bytes_of_text("{\"tcb_status\":[\"OutOfDate\"],\"allow_sept_ve\":true,\"advisories\":"
                                              "[\"INTEL-SA-00837\",\"INTEL-SA-00960\",\"INTEL-SA-00982\",\"INTEL-SA-00986\"]}"),
                                &policy, &err));
    assert_true(instant_of_text(bytes_of_text("2025-11-01T00:00:00Z"), &q.now));
    if (!tdx_verify(buffer_bytes(quote), &files, &q, out))
        fail_msg("%s: %s", reason_code(out->verdict.reason), out->verdict.detail);
    for (size_t i = 0; i < 6; i++)
        buffer_free(&f[i]);
}

static void pcrs_read(const char *path, struct tpm_pcrs *out)
{
    AUTO(buffer) struct buffer     text = shared_vector(path);
    AUTO(json) struct json_object *list = NULL;
    struct err                     err;

    assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &list, &err));
    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++) {
        uint8_t value[SHA256_LEN];

        assert_true(hex_read_exact(json_object_get_string(json_object_array_get_idx(list, pcr)), value, 32, &err));
        assert_true(tpm_pcrs_set(out, TPM_SHA256, pcr, BYTES_OF(value)));
    }
}

/* Intel's root, TD quote, claims, key, TPM quote, PCRs: every link of the chain. */
static void azure_tdx_evidence_holds_from_root_to_pcrs(void **state)
{
    AUTO(buffer) struct buffer   quote     = shared_vector("tdx/real/quotes/azure_00806f_v4.bin");
    AUTO(buffer) struct buffer   report    = shared_vector("tpm/azure/tdx_a.hcl_report.bin");
    AUTO(buffer) struct buffer   message   = shared_vector("tpm/azure/tdx_a.quote.msg");
    AUTO(buffer) struct buffer   signature = shared_vector("tpm/azure/tdx_a.quote.sig");
    AUTO(tpm_policy) struct tpm_policy policy = { 0 };
    AUTO(tpm_key) struct tpm_key ak           = { 0 };
    struct tpm_pcrs              pcrs         = { 0 };
    struct tdx_result            td;
    struct tpm_result            tpm = { 0 };
    struct verdict               v;
    struct appraisal             a = appraisal_start(&v, NULL);
    struct err                   err;

    (void) state;
    azure_quote_verify(&quote, &td);
    pcrs_read("tpm/azure/tdx_a.pcrs_sha256.json", &pcrs);
    assert_true(tpm_policy_read(bytes_of_text("{\"selection\":{\"sha256\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,"
                                              "18,19,20,21,22,23]}}"), &policy, &err));

    struct hcl_question hcl = { buffer_bytes(&report), td.quote.body.report_data, &td.quote.body, false, { 0 } };
    struct tpm_question q   = { &policy, true, bytes_of_text("challenge"), NULL };
    struct tpm_evidence e   = { buffer_bytes(&message), buffer_bytes(&signature), { 0 }, false, &pcrs };

    if (!hcl_check(&hcl, &ak, &a))
        fail_msg("%s", v.detail);
    tpm_appraise(&e, &ak, &q, &tpm, &a);
    assert_true(appraisal_finish(&a));
    assert_int_equal(v.n_warnings, 0);
    assert_true(tpm.has_pcrs);
}

static void all_four_reports_are_bound_and_name_their_key(void **state)
{
    static const struct { const char *name; size_t report_data; bool is_tdx; } rows[] = {
        { "snp_a", 32 + 0x50, false }, { "snp_b", 32 + 0x50, false }, { "tdx_a", 32 + 128, true }, { "tdx_b", 32 + 128, true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[128], pem[128];

        (void) snprintf(path, sizeof path, "tpm/azure/%s.hcl_report.bin", rows[i].name); /* short names */
        (void) snprintf(pem, sizeof pem, "tpm/azure/%s.ak_pub.pem", rows[i].name);
        AUTO(buffer) struct buffer   report = shared_vector(path);
        AUTO(buffer) struct buffer   text   = shared_vector(pem);
        AUTO(tpm_key) struct tpm_key ak = { 0 }, wanted = { 0 };
        struct hcl_report            parsed;
        struct td_report             t;
        struct td_body               td = { 0 };
        struct verdict               v;
        struct appraisal             a = appraisal_start(&v, NULL);
        struct err                   err;

        assert_true(hcl_report_parse(buffer_bytes(&report), &parsed, &err));
        if (rows[i].is_tdx) { /* where no quote is at hand, the TDREPORT says what it would be */
            assert_true(td_report_parse(parsed.hardware, &t, &err));
            td.mrtd = t.mrtd;
            memcpy(td.rtmr, t.rtmr, sizeof t.rtmr);
        }
        struct hcl_question q = { buffer_bytes(&report), { report.at + rows[i].report_data, 64 },
                                  rows[i].is_tdx ? &td : NULL, false, { 0 } };

        if (!hcl_check(&q, &ak, &a))
            fail_msg("%s: %s", rows[i].name, v.detail);
        assert_true(tpm_key_read(buffer_bytes(&text), &wanted, &err));
        assert_int_equal(EVP_PKEY_eq(ak.key, wanted.key), 1);
    }
}

/* Each bit of header, hardware report data and claims that a host could touch. */
static void no_changed_report_is_bound(void **state)
{
    AUTO(buffer) struct buffer report        = shared_vector("tpm/azure/snp_a.hcl_report.bin");
    uint8_t                    verified[64];
    size_t                     n_refused = 0;

    (void) state;
    memcpy(verified, report.at + 32 + 0x50, sizeof verified);
    for (size_t at = 1216; at < report.len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            AUTO(tpm_key) struct tpm_key ak = { 0 };
            struct verdict               v;
            struct appraisal             a = appraisal_start(&v, NULL);
            struct hcl_question          q = { buffer_bytes(&report), BYTES_OF(verified), NULL, false, { 0 } };

            report.at[at] ^= (uint8_t) (1U << bit);
            if (hcl_check(&q, &ak, &a))
                fail_msg("offset %zu bit %u", at, bit);
            assert_true(v.reason == REASON_TPM_HCL_FORMAT || v.reason == REASON_TPM_HCL_BINDING);
            report.at[at] ^= (uint8_t) (1U << bit);
            n_refused++;
        }
    assert_true(n_refused > 10000);
}

static void user_data_must_be_the_expected_one(void **state)
{
    AUTO(buffer) struct buffer report = shared_vector("tpm/azure/snp_b.hcl_report.bin"); /* an old one, without */
    AUTO(buffer) struct buffer with   = shared_vector("tpm/azure/snp_a.hcl_report.bin");

    (void) state;
    for (int i = 0; i < 3; i++) {
        struct buffer               *from = i == 0 ? &report : &with;
        AUTO(tpm_key) struct tpm_key ak   = { 0 };
        struct verdict               v;
        struct appraisal             a = appraisal_start(&v, NULL);
        struct hcl_question          q = { buffer_bytes(from), { from->at + 32 + 0x50, 64 }, NULL, true,
                                           i == 2 ? (struct bytes){ 0 } : bytes_of_text("x") };

        assert_int_equal(hcl_check(&q, &ak, &a), i == 2); /* zeros are what snp_a has */
        assert_true(i == 2 || v.reason == REASON_TPM_HCL_USER_DATA);
    }
}

static bool ek_checked(const char *certificate, const char *ek_path, const char *roots_path, const char *at,
                       struct verdict *v)
{
    AUTO(buffer) struct buffer der = shared_vector(certificate), text = shared_vector(ek_path),
                               roots  = shared_vector(roots_path), issuer = shared_vector("tpm/swtpm/localca_issuer.pem");
    struct appraisal   a = appraisal_start(v, NULL);
    struct tpm_public  ek;
    struct err         err;
    struct ek_question q = { buffer_bytes(&der), buffer_bytes(&issuer), buffer_bytes(&roots), &ek, 0 };

    assert_true(tpm_public_parse(buffer_bytes(&text), &ek, &err));
    assert_true(instant_of_text(bytes_of_text(at), &q.now));
    return ek_certificate_check(&q, &a);
}

static void ek_certificates_lead_to_their_root_and_key(void **state)
{
    static const char *const rsa = "tpm/swtpm/nv_01c00002_ek_rsa_cert.der", *const root = "tpm/swtpm/localca_root.pem";
    struct verdict           v;

    (void) state;
    if (!ek_checked(rsa, "tpm/swtpm/ek_rsa.tpm2b_public", root, "2026-12-01T00:00:00Z", &v))
        fail_msg("%s", v.detail);
    if (!ek_checked("tpm/swtpm/nv_01c00016_ek_ecc_p384_cert.der", "tpm/swtpm/ek_ecc_p384_81010016.tpm2b_public", root,
                    "2026-12-01T00:00:00Z", &v))
        fail_msg("%s", v.detail);
    assert_false(ek_checked(rsa, "tpm/swtpm/ek_ecc.tpm2b_public", root, "2026-12-01T00:00:00Z", &v));
    assert_int_equal(v.reason, REASON_TPM_EK_KEY);
    assert_false(ek_checked(rsa, "tpm/swtpm/ek_rsa.tpm2b_public", "tdx/real/intel_sgx_root_ca.pem", "2026-12-01T00:00:00Z", &v));
    assert_int_equal(v.reason, REASON_TPM_EK_CHAIN);
    assert_false(ek_checked(rsa, "tpm/swtpm/ek_rsa.tpm2b_public", root, "2001-01-01T00:00:00Z", &v));
    assert_int_equal(v.reason, REASON_TPM_EK_CHAIN);
    assert_false(ek_checked("tpm/swtpm/nv_01c08000_platform_cert.der", "tpm/swtpm/ek_rsa.tpm2b_public", root,
                            "2026-12-01T00:00:00Z", &v));
}

static struct secret secret_of_hex(const char *hex)
{
    AUTO(buffer) struct buffer raw = { 0 };
    struct secret              out = { 0 };
    struct err                 err;

    assert_true(hex_read(bytes_of_text(hex), &raw, &err) && secret_copy(buffer_bytes(&raw), &out, &err));
    return out;
}

/* Seeds and results that a real TPM has activated. */
static void credentials_equal_the_known_answers(void **state)
{
    AUTO(buffer) struct buffer     text    = shared_vector("tpm/swtpm/makecredential_kat.json");
    AUTO(json) struct json_object *answers = NULL;
    struct err                     err;
    size_t                         n = 0;

    (void) state;
    assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &answers, &err));
    json_object_object_foreach(answers, name, row) {
        AUTO(buffer) struct buffer wanted = { 0 }, ak_name = { 0 }, made = { 0 };
        const char                *seed = NULL, *secret = NULL, *object = NULL, *named = NULL;

        if (!json_get_text(row, "seed", &seed, &err))
            continue;
        assert_true(json_get_text(row, "secret", &secret, &err) && json_get_text(row, "idObject", &object, &err) &&
                    json_get_text(row, "akName", &named, &err));
        AUTO(secret) struct secret s = secret_of_hex(seed), c = secret_of_hex(secret);

        assert_true(hex_read(bytes_of_text(object), &wanted, &err) && hex_read(bytes_of_text(named), &ak_name, &err));
        assert_true(credential_seal(tpm_hash_by_id(TPM_SHA256), 128, &s, buffer_bytes(&ak_name), &c, &made, &err));
        if (!bytes_equal(buffer_bytes(&made), buffer_bytes(&wanted)))
            fail_msg("%s differs", name);
        n++;
    }
    assert_int_equal(n, 4);
}

static void credentials_refuse_what_cannot_be_an_endorsement_key(void **state)
{
    AUTO(buffer) struct buffer ak_text = shared_vector("tpm/swtpm/ak_rsa.tpm2b_public");
    AUTO(buffer) struct buffer object = { 0 }, wrapped = { 0 };
    AUTO(secret) struct secret secret = { 0 };
    struct tpm_public          ak;
    struct err                 err;

    (void) state;
    assert_true(tpm_public_parse(buffer_bytes(&ak_text), &ak, &err) && secret_random(32, &secret, &err));
    assert_false(credential_make(&ak, bytes_of_text("name"), &secret, &object, &wrapped, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

/* An endorsement key with one property changed; a secret of no length, or longer than the key's hash. */
static void credentials_need_a_storage_key_and_a_secret_that_fits(void **state)
{
    enum change { NOTHING, HASH, NO_DECRYPT, NO_RESTRICTED, CIPHER, MODE, BITS, BITS_256, N_CHANGES };
    AUTO(buffer) struct buffer ek_text = shared_vector("tpm/swtpm/ek_rsa.tpm2b_public");
    AUTO(secret) struct secret secret = { 0 }, wide = { 0 }, empty = { 0 };
    AUTO(buffer) struct buffer object = { 0 }, wrapped = { 0 };
    struct tpm_public          genuine;
    struct err                 err;

    (void) state;
    assert_true(tpm_public_parse(buffer_bytes(&ek_text), &genuine, &err));
    assert_true(secret_random(32, &secret, &err) && secret_random(65, &wide, &err));
    for (int change = 0; change < N_CHANGES; change++) {
        struct tpm_public ek = genuine;

        ek.name_hash = change == HASH ? 0x7777 : ek.name_hash;
        ek.attributes &= change == NO_DECRYPT ? ~(uint32_t) TPM_DECRYPT : change == NO_RESTRICTED ? ~(uint32_t) TPM_RESTRICTED
                                                                                                    : UINT32_MAX;
        ek.symmetric      = change == CIPHER ? TPM_ALG_NULL : ek.symmetric;
        ek.symmetric_mode = change == MODE ? TPM_ALG_NULL : ek.symmetric_mode;
        ek.symmetric_bits = change == BITS ? 192 : change == BITS_256 ? 256 : ek.symmetric_bits;
        bool made = credential_make(&ek, bytes_of_text("name"), &secret, &object, &wrapped, &err);

        assert_int_equal(made, change == NOTHING || change == BITS_256);
        assert_true(made || err.kind == ERR_UNSUPPORTED);
    }
    assert_false(credential_make(&genuine, bytes_of_text("name"), &wide, &object, &wrapped, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(credential_make(&genuine, bytes_of_text("name"), &empty, &object, &wrapped, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(azure_tdx_evidence_holds_from_root_to_pcrs),
        cmocka_unit_test(all_four_reports_are_bound_and_name_their_key),
        cmocka_unit_test(no_changed_report_is_bound),
        cmocka_unit_test(user_data_must_be_the_expected_one),
        cmocka_unit_test(ek_certificates_lead_to_their_root_and_key),
        cmocka_unit_test(credentials_equal_the_known_answers),
        cmocka_unit_test(credentials_refuse_what_cannot_be_an_endorsement_key),
        cmocka_unit_test(credentials_need_a_storage_key_and_a_secret_that_fits),
    };
    struct err err;

    vectors_required("tpm/swtpm/expected.json");
    if (!secret_heap_open(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
