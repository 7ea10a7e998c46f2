/* Genuine evidence of all five kinds in every version, from JSON to claims; then the same with exactly one defect. */
#include "tests/harness/test.h"

#include <string.h>

#include "attestation/verifier/envelope.h"
#include "attestation/verifier/instant.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

enum { N_FILES = 6 };

/* Everything that a relying party configures, for all kinds at once. */
struct relying_party {
    struct snp_trust      *snp_trust;
    struct snp_policy      snp_policy;
    struct buffer          file[N_FILES];
    struct tdx_collateral *collateral;
    struct tdx_platform   *platform;
    struct tdx_policy      tdx_policy;
    struct tpm_policy      tpm_policy;
};

static struct relying_party rp;

static int configure(void **state)
{
    static const char *const names[N_FILES] = { "tcb_info.json", "qe_identity.json", "tcb_info_issuer_chain.pem", NULL,
                                                "root_ca_crl.der", "pck_crl.der" };
    const struct snp_root   *roots;
    size_t                   n;
    struct verdict           v;
    struct appraisal         a = appraisal_start(&v, NULL);
    struct err               err;

    (void) state;
    roots = snp_amd_roots(&n);
    assert_true(snp_trust_new(roots, n, &rp.snp_trust, NULL, &err));
    rp.snp_policy                     = snp_policy_bare();
    rp.snp_policy.products[SNP_MILAN] = true;
    for (size_t i = 0; i < N_FILES; i++) {
        char path[128] = "tdx/real/intel_sgx_root_ca.der";

        if (names[i])
            (void) snprintf(path, sizeof path, "tdx/real/collateral/00806f_2025-10/%s", names[i]); /* short names */
        rp.file[i] = shared_vector(path);
    }
    const struct tdx_files files = { buffer_bytes(&rp.file[0]), buffer_bytes(&rp.file[1]), buffer_bytes(&rp.file[2]),
                                     buffer_bytes(&rp.file[3]), buffer_bytes(&rp.file[4]), buffer_bytes(&rp.file[5]) };

    rp.collateral = tdx_collateral_new(&files, &a);
    assert_non_null(rp.collateral);
    tdx_policy_default(&rp.tdx_policy);
    assert_true(tdx_policy_read(bytes_of_text("{\"tcb_status\":[\"OutOfDate\"],\"allow_sept_ve\":true,\"advisories\":"
                                              "[\"INTEL-SA-00837\",\"INTEL-SA-00960\",\"INTEL-SA-00982\",\"INTEL-SA-00986\"]}"),
                                &rp.tdx_policy, &err));
    return 0;
}

static int release(void **state)
{
    (void) state;
    snp_trust_free(rp.snp_trust);
    tdx_platform_free(rp.platform);
    tdx_collateral_free(rp.collateral);
    tdx_policy_free(&rp.tdx_policy);
    tpm_policy_free(&rp.tpm_policy);
    for (size_t i = 0; i < N_FILES; i++)
        buffer_free(&rp.file[i]);
    return 0;
}

static struct envelope_question question(struct bytes report_data)
{
    struct envelope_question q = { .report_data = report_data };

    assert_true(instant_of_text(bytes_of_text("2025-11-01T00:00:00Z"), &q.now));
    q.snp.trust      = rp.snp_trust;
    q.snp.policy     = &rp.snp_policy;
    q.tdx.collateral = rp.collateral;
    q.tdx.platform   = &rp.platform;
    q.tdx.policy     = &rp.tdx_policy;
    q.tpm.policy     = &rp.tpm_policy;
    return q;
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

/* TDX evidence is a quote in base64: made here of a quote that hardware signed. */
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

/* What each sample was asked to bind: a word, or what its quote or report says (hex). */
static const struct sample {
    enum envelope_kind kind;
    int                guest; /* two samples of one guest share its keys */
    const char        *path, *word, *hex;
} samples[] = {
    { ENVELOPE_SNP, 1, "coco/snp/evidence-genoa-v3-ascoco.json", NULL, NULL },
    { ENVELOPE_TDX, 5, NULL, NULL, NULL },
    { ENVELOPE_AZ_SNP_VTPM, 2, "coco/az-snp-vtpm/evidence-v0.json", "challenge", NULL },
    { ENVELOPE_AZ_SNP_VTPM, 2, "coco/az-snp-vtpm/evidence-v1.json", "challenge", NULL },
    { ENVELOPE_AZ_SNP_VTPM, 3, "coco/az-snp-vtpm/evidence-v2.json", NULL, "982f5c6e45df0ed3f10b6f60b02f" },
    { ENVELOPE_AZ_SNP_VTPM, 4, "coco/az-snp-vtpm/evidence-genoa.json", NULL, "0218488bae25d2509232bf676f1a66a30d7372ad" },
    { ENVELOPE_AZ_TDX_VTPM, 5, "coco/az-tdx-vtpm/evidence-v0.json", "challenge", NULL },
    { ENVELOPE_AZ_TDX_VTPM, 5, "coco/az-tdx-vtpm/evidence-v1.json", "challenge", NULL },
    { ENVELOPE_TPM, 6, "coco/tpm/tpm_evidence.json", NULL,
      "a04182b506878d4f29b91ee606a71a0d3361ccf1b22db20c98adcaa537bea393ef0e41a18b3569ab678f1497fbc5c120" },
};

enum { N_SAMPLES = sizeof samples / sizeof *samples };

static struct json_object *sample_document(const struct sample *s) { return s->path ? document(s->path) : tdx_document(); }

static void read_or_fail(enum envelope_kind kind, struct json_object *from, struct evidence_envelope *out)
{
    struct err err;

    if (!evidence_envelope_read(kind, from, out, &err))
        fail_msg("%s", err.text);
}

/* The bytes that the sample's guest was given; where only a beginning is written down above, the rest is its quote's. */
static void asked_for(const struct sample *s, const struct evidence_envelope *e, struct buffer *out)
{
    struct tpm_quote           tpm;
    struct tdx_quote           td;
    AUTO(buffer) struct buffer start = { 0 };
    struct err                 err;

    if (s->word) {
        buffer_append_text(out, s->word);
    } else if (s->kind == ENVELOPE_SNP) {
        buffer_append(out, (struct bytes){ e->snp.report + 0x50, 64 });
    } else if (s->kind == ENVELOPE_TDX) {
        assert_true(tdx_quote_parse(buffer_bytes(&e->td_quote), &td, &err));
        buffer_append(out, td.body.report_data);
    } else {
        assert_true(hex_read(bytes_of_text(s->hex), &start, &err));
        assert_true(tpm_quote_parse(buffer_bytes(&e->tpm.message), &tpm, &err));
        assert_memory_equal(tpm.extra_data.at, start.at, start.len);
        buffer_append(out, (struct bytes){ tpm.extra_data.at, s->kind == ENVELOPE_TPM ? start.len : tpm.extra_data.len });
    }
}

static const char *claimed(struct json_object *claims, const char *name)
{
    const char *out = NULL;
    struct err  err;

    if (!json_get_text(claims, name, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

/* Accepts, or fails the test with the reason. */
static struct json_object *claims_of(const struct evidence_envelope *e, const struct envelope_question *q)
{
    AUTO(envelope_result) struct envelope_result r = { 0 };

    if (!envelope_verify(e, q, &r))
        fail_msg("%s: %s: %s", envelope_kind_name(e->kind), reason_code(r.verdict.reason), r.verdict.detail);
    return envelope_claims(&r);
}

static void every_sample_is_accepted_with_claims(void **state)
{
    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        AUTO(json) struct json_object                   *from = sample_document(&samples[i]);
        AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
        AUTO(buffer) struct buffer                       asked = { 0 };
        struct json_object                              *tpm = NULL;

        read_or_fail(samples[i].kind, from, &e);
        asked_for(&samples[i], &e, &asked);
        struct envelope_question q    = question(buffer_bytes(&asked));
        struct bytes             ak[] = { buffer_bytes(&e.ak_public) };

        q.tpm.trusted_aks   = ak;
        q.tpm.n_trusted_aks = e.ak_public.len > 0;
        AUTO(json) struct json_object *claims = claims_of(&e, &q);

        assert_true(strlen(claimed(claims, "report_data")) >= 2 * asked.len);
        assert_true(strlen(claimed(claims, "init_data")) >= 64);
        if (samples[i].kind == ENVELOPE_SNP || samples[i].kind == ENVELOPE_AZ_SNP_VTPM)
            assert_int_equal(strlen(claimed(claims, "measurement")), 96);
        if (samples[i].kind == ENVELOPE_TDX || samples[i].kind == ENVELOPE_AZ_TDX_VTPM)
            assert_string_equal(claimed(claims, "tcb_status"), "OutOfDate");
        if (samples[i].kind == ENVELOPE_TPM)
            assert_int_equal(strlen(claimed(claims, "pcr11")), 64);
        if (samples[i].kind == ENVELOPE_AZ_SNP_VTPM || samples[i].kind == ENVELOPE_AZ_TDX_VTPM) {
            assert_true(json_object_object_get_ex(claims, "tpm", &tpm));
            assert_int_equal(json_object_object_length(tpm), TPM_PCRS);
            assert_string_equal(claimed(tpm, "pcr08"), claimed(claims, "init_data"));
        }
    }
}

static void what_is_written_reads_as_the_same(void **state)
{
    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        AUTO(json) struct json_object                   *from = sample_document(&samples[i]), *again = NULL;
        AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
        AUTO(buffer) struct buffer                       json = { 0 };
        struct err                                       err;

        read_or_fail(samples[i].kind, from, &e);
        if (!evidence_envelope_write(&e, &json, &err))
            fail_msg("%s", err.text);
        assert_true(json_read(buffer_bytes(&json), json.len, &again, &err));
        if (samples[i].kind == ENVELOPE_SNP) { /* an older sender, whose reports had no such members */
            struct json_object *report = json_object_object_get(again, "attestation_report");

            json_object_object_del(report, "launch_mit_vector");
            json_object_object_del(report, "current_mit_vector");
        }
        if (!json_object_equal(from, again))
            fail_msg("%s %zu: %s", envelope_kind_name(samples[i].kind), i, buffer_text(&json));
    }
}

/* ---- one defect each ---- */

static enum verdict_reason refusal(const struct evidence_envelope *e, const struct envelope_question *q)
{
    AUTO(envelope_result) struct envelope_result r = { 0 };

    assert_false(envelope_verify(e, q, &r));
    assert_null(envelope_claims(&r));
    assert_int_equal(envelope_init_data(&r).len, 0);
    assert_false(envelope_binds_init_data(&r, BYTES_OF("x")));
    assert_false(r.verdict.accepted);
    return r.verdict.reason;
}

static void assert_refused(const struct evidence_envelope *e, const struct envelope_question *q, enum verdict_reason reason)
{
    enum verdict_reason found = refusal(e, q);

    if (found != reason)
        fail_msg("%s: %s, not %s", envelope_kind_name(e->kind), reason_code(found), reason_code(reason));
}

static void other_report_data_is_refused(void **state)
{
    static const enum verdict_reason wanted[N_ENVELOPE_KINDS] = {
        [ENVELOPE_SNP] = REASON_SNP_REPORT_DATA, [ENVELOPE_TDX] = REASON_TDX_POLICY_REPORT_DATA,
        [ENVELOPE_AZ_SNP_VTPM] = REASON_TPM_NONCE, [ENVELOPE_AZ_TDX_VTPM] = REASON_TPM_NONCE,
        [ENVELOPE_TPM] = REASON_TPM_NONCE,
    };

    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        AUTO(json) struct json_object                   *from = sample_document(&samples[i]);
        AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
        AUTO(buffer) struct buffer                       asked = { 0 };

        read_or_fail(samples[i].kind, from, &e);
        asked_for(&samples[i], &e, &asked);
        asked.at[asked.len - 1] ^= 1;
        struct envelope_question q = question(buffer_bytes(&asked));
        bool user_data_first = samples[i].kind == ENVELOPE_AZ_SNP_VTPM && e.version >= ENVELOPE_USER_DATA_FROM;

        q.tpm.any_ak = true;
        assert_refused(&e, &q, user_data_first ? REASON_TPM_HCL_USER_DATA : wanted[samples[i].kind]);
        asked.at[asked.len - 1] ^= 1;
        q.report_data.len--; /* a beginning is not enough where the last byte is not zero */
        if (asked.at[asked.len - 1] != 0)
            assert_refused(&e, &q, user_data_first ? REASON_TPM_HCL_USER_DATA : wanted[samples[i].kind]);
    }
}

static void report_data_must_be_expected(void **state)
{
    AUTO(json) struct json_object                   *from = sample_document(&samples[0]);
    AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
    uint8_t                                          long_one[65] = { 0 };
    struct envelope_question                         q = question((struct bytes){ 0 });

    (void) state;
    read_or_fail(ENVELOPE_SNP, from, &e);
    assert_refused(&e, &q, REASON_INTERNAL);
    q.report_data = BYTES_OF(long_one);
    assert_refused(&e, &q, REASON_INTERNAL);
}

static void nothing_is_trusted_unless_configured(void **state)
{
    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        AUTO(json) struct json_object                   *from = sample_document(&samples[i]);
        AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
        AUTO(buffer) struct buffer                       asked = { 0 };

        read_or_fail(samples[i].kind, from, &e);
        asked_for(&samples[i], &e, &asked);
        struct envelope_question q = { .report_data = buffer_bytes(&asked) };

        q.tpm.any_ak = true;
        assert_refused(&e, &q, REASON_NOT_CONFIGURED);
        q            = question(buffer_bytes(&asked));
        q.tpm.policy = NULL;
        q.tpm.any_ak = true;
        if (samples[i].kind >= ENVELOPE_AZ_SNP_VTPM)
            assert_refused(&e, &q, REASON_NOT_CONFIGURED);
    }
}

static void a_key_that_nothing_vouches_for_is_refused(void **state)
{
    AUTO(json) struct json_object                   *from = sample_document(&samples[N_SAMPLES - 1]);
    AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
    AUTO(buffer) struct buffer                       asked = { 0 };

    (void) state;
    read_or_fail(ENVELOPE_TPM, from, &e);
    asked_for(&samples[N_SAMPLES - 1], &e, &asked);
    struct envelope_question q      = question(buffer_bytes(&asked));
    struct bytes             other[] = { buffer_bytes(&e.tpm.message) };

    assert_refused(&e, &q, REASON_TPM_AK_UNTRUSTED);
    q.tpm.trusted_aks   = other;
    q.tpm.n_trusted_aks = 1;
    assert_refused(&e, &q, REASON_TPM_AK_UNTRUSTED);
    e.ak_public.at[0] ^= 1;
    q.tpm.any_ak = true;
    assert_refused(&e, &q, REASON_TPM_AK_FORMAT);
}

/* Initdata is where the kind has it, and nowhere else. */
static void other_initdata_is_refused(void **state)
{
    uint8_t digest[48] = { 1 }, zero[48] = { 0 };

    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        AUTO(json) struct json_object                   *from = sample_document(&samples[i]);
        AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
        AUTO(buffer) struct buffer                       asked = { 0 };

        read_or_fail(samples[i].kind, from, &e);
        asked_for(&samples[i], &e, &asked);
        struct envelope_question q = question(buffer_bytes(&asked));

        q.tpm.any_ak    = true;
        q.has_init_data = true;
        for (size_t len = 0; len <= 48; len += 16) { /* also lengths that no TEE can hold */
            q.init_data = (struct bytes){ digest, len };
            assert_refused(&e, &q, REASON_INIT_DATA);
        }
        q.init_data = BYTES_OF(zero); /* HOST_DATA and MRCONFIGID of these samples are zero: that is what they bind */
        if (samples[i].kind == ENVELOPE_SNP || samples[i].kind == ENVELOPE_TDX)
            json_object_put(claims_of(&e, &q));
        else
            assert_refused(&e, &q, REASON_INIT_DATA);
    }
}

/* Parts of one genuine guest do not go together with those of another. */
static void spliced_evidence_is_refused(void **state)
{
    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++)
        for (size_t k = 0; k < N_SAMPLES; k++) {
            AUTO(json) struct json_object                   *from = sample_document(&samples[i]), *other = NULL;
            AUTO(evidence_envelope) struct evidence_envelope e = { 0 }, from_other = { 0 };
            AUTO(buffer) struct buffer                       asked = { 0 };

            if (samples[i].kind < ENVELOPE_AZ_SNP_VTPM || samples[k].kind < ENVELOPE_AZ_SNP_VTPM ||
                samples[i].guest == samples[k].guest)
                continue;
            other = sample_document(&samples[k]);
            read_or_fail(samples[i].kind, from, &e);
            read_or_fail(samples[k].kind, other, &from_other);
            asked_for(&samples[k], &from_other, &asked);
            struct envelope_question q    = question(buffer_bytes(&asked));
            struct tpm_envelope      kept = e.tpm;

            q.tpm.any_ak = true;
            e.tpm        = from_other.tpm; /* the other's quote, PCRs and nonce under this one's key */
            enum verdict_reason found = refusal(&e, &q);

            if (found != REASON_TPM_SIGNATURE && found != REASON_TPM_HCL_USER_DATA && found != REASON_TPM_SIGNATURE_FORMAT)
                fail_msg("%zu with the quote of %zu: %s", i, k, reason_code(found));
            e.tpm = kept;
        }
}

static void hcl_reports_of_others_are_refused(void **state)
{
    (void) state;
    for (size_t i = 0; i < N_SAMPLES; i++)
        for (size_t k = 0; k < N_SAMPLES; k++) {
            AUTO(json) struct json_object                   *from = sample_document(&samples[i]), *other = NULL;
            AUTO(evidence_envelope) struct evidence_envelope e = { 0 }, from_other = { 0 };
            AUTO(buffer) struct buffer                       asked = { 0 };

            other = sample_document(&samples[k]);
            read_or_fail(samples[i].kind, from, &e);
            read_or_fail(samples[k].kind, other, &from_other);
            if (e.hcl_report.len == 0 || from_other.hcl_report.len == 0 || samples[i].guest == samples[k].guest)
                continue;
            asked_for(&samples[i], &e, &asked);
            struct envelope_question q    = question(buffer_bytes(&asked));
            struct buffer            kept = e.hcl_report;

            e.hcl_report = from_other.hcl_report;

            enum verdict_reason found = refusal(&e, &q);

            if (found != REASON_SNP_TCB_BINDING && found != REASON_SNP_CHIP_BINDING && found != REASON_SNP_SIGNATURE &&
                found != REASON_SNP_PRODUCT_BINDING && found != REASON_TPM_HCL_FORMAT && found != REASON_TPM_HCL_BINDING)
                fail_msg("%zu with the HCL report of %zu: %s", i, k, reason_code(found));
            e.hcl_report = kept;
        }
}

/* Every value is held by the quote's digest; every bit of quote, signature and report by somebody's signature. */
static void no_changed_bit_is_accepted(void **state)
{
    static const size_t chosen[] = { 4, 7, 8 }; /* Azure SNP version 2, Azure TDX version 1, plain TPM */

    (void) state;
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        const struct sample                             *s    = &samples[chosen[i]];
        AUTO(json) struct json_object                   *from = sample_document(s);
        AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
        AUTO(buffer) struct buffer                       asked = { 0 };

        read_or_fail(s->kind, from, &e);
        asked_for(s, &e, &asked);
        struct envelope_question q = question(buffer_bytes(&asked));

        q.tpm.any_ak = true;
        for (size_t pcr = 0; pcr < TPM_PCRS; pcr++) {
            e.tpm.pcr[pcr][pcr] ^= 1;
            assert_refused(&e, &q, REASON_TPM_PCR_DIGEST);
            e.tpm.pcr[pcr][pcr] ^= 1;
        }
        for (size_t at = 0; at < e.tpm.message.len; at++) {
            e.tpm.message.at[at] ^= (uint8_t) (1U << at % 8);
            (void) refusal(&e, &q);
            e.tpm.message.at[at] ^= (uint8_t) (1U << at % 8);
        }
        for (size_t at = 0; at < e.tpm.signature.len; at += 3) {
            e.tpm.signature.at[at] ^= (uint8_t) (1U << at % 8);
            (void) refusal(&e, &q);
            e.tpm.signature.at[at] ^= (uint8_t) (1U << at % 8);
        }
        json_object_put(claims_of(&e, &q));
    }
}

static void kept_chain_gives_the_same_verdict(void **state)
{
    AUTO(json) struct json_object                   *from = sample_document(&samples[0]);
    AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
    AUTO(envelope_result) struct envelope_result     cold = { 0 }, warm = { 0 };
    AUTO(buffer) struct buffer                       asked = { 0 };

    (void) state;
    read_or_fail(ENVELOPE_SNP, from, &e);
    asked_for(&samples[0], &e, &asked);
    struct envelope_question q = question(buffer_bytes(&asked));

    assert_true(envelope_verify(&e, &q, &cold));
    q.snp.chain = cold.snp.chain;
    assert_true(envelope_verify(&e, &q, &warm));
    assert_null(warm.snp.chain);
    assert_int_equal(cold.verdict.n_warnings, warm.verdict.n_warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_accepted_with_claims),
        cmocka_unit_test(what_is_written_reads_as_the_same),
        cmocka_unit_test(kept_chain_gives_the_same_verdict),
        cmocka_unit_test(other_report_data_is_refused),
        cmocka_unit_test(report_data_must_be_expected),
        cmocka_unit_test(nothing_is_trusted_unless_configured),
        cmocka_unit_test(a_key_that_nothing_vouches_for_is_refused),
        cmocka_unit_test(other_initdata_is_refused),
        cmocka_unit_test(spliced_evidence_is_refused),
        cmocka_unit_test(hcl_reports_of_others_are_refused),
        cmocka_unit_test(no_changed_bit_is_accepted),
    };

    vectors_required("coco/tpm/tpm_evidence.json");
    return cmocka_run_group_tests(tests, configure, release);
}
