#include "attestation/verifier/envelope.h"

#include <string.h>

#include "attestation/verifier/event_claims.h"
#include "attestation/verifier/hcl.h"
#include "attestation/verifier/snp_claims.h"
#include "attestation/verifier/tdx_claims.h"
#include "base/text.h"

enum { INIT_DATA_PCR = 8, TRUNCATED_NONCE_LEN = 32, FIELD_LEN_MAX = 64 };

void envelope_result_free(struct envelope_result *result)
{
    snp_result_free(&result->snp);
    tpm_key_free(&result->ak);
}

/* `value`, cut or with zeros behind it, as wide as a TEE's field. */
static struct bytes fitted(struct bytes value, size_t len, uint8_t field[static FIELD_LEN_MAX])
{
    memset(field, 0, FIELD_LEN_MAX);
    if (value.len > 0)
        memcpy(field, value.at, value.len < len ? value.len : len);
    return (struct bytes){ field, len };
}

/* ---- what binds initdata ---- */

/* The value of PCR 8 that the quote vouches for. */
static struct bytes init_data_pcr(const struct tpm_result *r)
{
    for (size_t i = 0; r->has_pcrs && i < r->quote.n_selections; i++)
        if (r->quote.selection[i].hash == TPM_SHA256 && (r->quote.selection[i].pcrs >> INIT_DATA_PCR & 1))
            return tpm_pcrs_get(&r->pcrs, TPM_SHA256, INIT_DATA_PCR);
    return (struct bytes){ 0 };
}

static struct bytes init_data_of(const struct envelope_result *r)
{
    switch (r->kind) {
    case ENVELOPE_SNP:
        return r->snp.report.host_data;
    case ENVELOPE_TDX:
        return r->tdx.quote.body.mrconfigid;
    case ENVELOPE_AZ_SNP_VTPM:
    case ENVELOPE_AZ_TDX_VTPM:
    case ENVELOPE_TPM:
        return init_data_pcr(&r->tpm);
    case N_ENVELOPE_KINDS:
        break;
    }
    return (struct bytes){ 0 };
}

/* A PCR holds the digest extended once into zeros; only SHA-256's 32 bytes can be extended into that bank. */
static bool holds_init_data(const struct envelope_result *r, struct bytes digest)
{
    struct bytes field                = init_data_of(r);
    uint8_t      wanted[FIELD_LEN_MAX] = { 0 };

    if (field.len == 0 || digest.len == 0)
        return false;
    if (r->kind == ENVELOPE_SNP || r->kind == ENVELOPE_TDX)
        return bytes_equal(field, fitted(digest, field.len, wanted));
    if (digest.len != ENVELOPE_PCR_LEN)
        return false;
    tpm_hash_of(tpm_hash_by_id(TPM_SHA256), (struct bytes){ (const uint8_t[ENVELOPE_PCR_LEN]){ 0 }, ENVELOPE_PCR_LEN },
                digest, wanted);
    return bytes_equal(field, (struct bytes){ wanted, ENVELOPE_PCR_LEN });
}

struct bytes envelope_init_data(const struct envelope_result *result)
{
    return result->verdict.accepted ? init_data_of(result) : (struct bytes){ 0 };
}

bool envelope_binds_init_data(const struct envelope_result *result, struct bytes digest)
{
    return result->verdict.accepted && holds_init_data(result, digest);
}

static void init_data_check(const struct envelope_question *q, const struct envelope_result *r, struct appraisal *a)
{
    if (q->has_init_data)
        check(a, holds_init_data(r, q->init_data), REASON_INIT_DATA, "%s: the field for initdata holds its digest",
              envelope_kind_name(r->kind));
}

/* ---- hardware evidence ---- */

static bool is_configured(bool has_all, const char *what, const struct envelope_question *q, struct verdict *v)
{
    struct appraisal a = appraisal_start(v, q->listener);

    return check(&a, has_all, REASON_NOT_CONFIGURED, "%s: trust and policy are configured", what);
}

/* `report_data` is compared when the hardware signs what was asked for; Azure's signs the vTPM's claims. */
static bool snp_check(struct bytes report, const struct snp_certificates *certificates, bool is_direct,
                      const struct envelope_question *q, struct envelope_result *out)
{
    uint8_t           data[FIELD_LEN_MAX];
    struct bytes      expected = fitted(q->report_data, SNP_REPORT_DATA_LEN, data);
    struct snp_policy policy;

    if (!is_configured(q->snp.trust && q->snp.policy, "SNP", q, &out->verdict))
        return false;
    policy             = *q->snp.policy;
    policy.report_data = is_direct ? (struct field_rule){ .kind = FIELD_LISTED, .at = &expected, .n = 1 }
                                   : (struct field_rule){ .kind = FIELD_ANY };
    if (q->has_init_data && is_direct)
        policy.host_data.kind = FIELD_ANY; /* init_data_check compares it */

    const struct snp_request request = { .report = report, .certificates = certificates, .trust = q->snp.trust,
                                         .crls = q->snp.crls, .n_crls = q->snp.n_crls, .policy = &policy, .now = q->now,
                                         .listener = q->listener };

    if (q->snp.chain)
        (void) snp_verify_with_chain(&request, q->snp.chain, &out->snp); /* the verdict says it */
    else
        (void) snp_verify(&request, &out->snp);
    out->verdict = out->snp.verdict;
    return out->verdict.accepted;
}

static bool tdx_check(const struct evidence_envelope *e, const struct envelope_question *q, struct envelope_result *out)
{
    const struct tdx_question question = { q->tdx.policy, q->now, q->listener, e->has_event_log,
                                           buffer_bytes(&e->event_log) };

    if (!is_configured(q->tdx.collateral && q->tdx.platform && q->tdx.policy, "TDX", q, &out->verdict))
        return false;
    (void) tdx_verify_cached(buffer_bytes(&e->td_quote), q->tdx.collateral, q->tdx.platform, &question, &out->tdx);
    out->verdict = out->tdx.verdict;
    return out->verdict.accepted;
}

/* Goes on after hardware evidence was accepted: its warnings stay. */
static struct appraisal appraisal_after(struct verdict *v, const struct verdict_listener *listener)
{
    struct verdict   before = *v;
    struct appraisal a      = appraisal_start(v, listener);

    v->n_warnings = before.n_warnings;
    memcpy(v->warnings, before.warnings, sizeof before.warnings);
    return a;
}

/* ---- the vTPM behind it ---- */

static void pcrs_of(const struct tpm_envelope *t, struct tpm_pcrs *out)
{
    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++)
        (void) tpm_pcrs_set(out, TPM_SHA256, pcr, BYTES_OF(t->pcr[pcr])); /* a known bank and its length */
}

static void tpm_check(const struct evidence_envelope *e, struct bytes nonce, const struct envelope_question *q,
                      struct envelope_result *out, struct appraisal *a)
{
    struct tpm_pcrs           pcrs     = { 0 };
    const struct tpm_evidence evidence = { .quote = buffer_bytes(&e->tpm.message),
                                           .signature = buffer_bytes(&e->tpm.signature), .pcrs = &pcrs };
    const struct tpm_question question = { q->tpm.policy, true, nonce, q->listener };

    pcrs_of(&e->tpm, &pcrs);
    tpm_appraise(&evidence, &out->ak, &question, &out->tpm, a);
    if (!a->failed)
        check(a, out->tpm.has_pcrs /* and so is_genuine */, REASON_INTERNAL, "every stage was reached");
}

/* The hardware signs the claims, the claims name the key, the key signs the PCRs and what was asked for. */
static void azure_check(const struct evidence_envelope *e, struct bytes hardware_report_data, const struct td_body *td,
                        const struct envelope_question *q, struct envelope_result *out, struct appraisal *a)
{
    const struct hcl_question hcl = { buffer_bytes(&e->hcl_report), hardware_report_data, td,
                                      e->version >= ENVELOPE_USER_DATA_FROM, q->report_data };

    if (!check(a, q->tpm.policy, REASON_NOT_CONFIGURED, "TPM: policy is configured") || !hcl_check(&hcl, &out->ak, a))
        return;
    tpm_check(e, q->report_data, q, out, a);
}

/* ---- one function per kind ---- */

static void snp_appraise_envelope(const struct evidence_envelope *e, const struct envelope_question *q,
                                  struct envelope_result *out)
{
    const struct snp_evidence    *s            = &e->snp;
    struct bytes                  vek          = buffer_bytes(&s->vek);
    const struct snp_certificates certificates = { .vcek = s->is_vlek ? (struct bytes){ 0 } : vek,
                                                   .vlek = s->is_vlek ? vek : (struct bytes){ 0 },
                                                   .ask  = buffer_bytes(&s->ask),
                                                   .ark  = buffer_bytes(&s->ark),
                                                   .crl  = buffer_bytes(&s->crl) };

    if (!snp_check(BYTES_OF(s->report), &certificates, true, q, out))
        return;

    struct appraisal a = appraisal_after(&out->verdict, q->listener);

    init_data_check(q, out, &a);
    (void) appraisal_finish(&a); /* the verdict says it */
}

static void tdx_appraise_envelope(const struct evidence_envelope *e, const struct envelope_question *q,
                                  struct envelope_result *out)
{
    uint8_t data[FIELD_LEN_MAX];

    if (!tdx_check(e, q, out))
        return;

    struct appraisal a = appraisal_after(&out->verdict, q->listener);

    check(&a, bytes_equal(out->tdx.quote.body.report_data, fitted(q->report_data, ENVELOPE_REPORT_DATA_LEN, data)),
          REASON_TDX_POLICY_REPORT_DATA, "REPORTDATA is the expected %zu bytes", q->report_data.len);
    init_data_check(q, out, &a);
    (void) appraisal_finish(&a);
}

static void az_snp_appraise(const struct evidence_envelope *e, const struct envelope_question *q, struct envelope_result *out)
{
    const struct snp_certificates certificates = { .vcek = buffer_bytes(&e->snp.vek) };
    struct hcl_report             hcl          = { 0 };
    struct err                    err          = { 0 };
    struct appraisal              a            = appraisal_start(&out->verdict, q->listener);
    bool                          read         = hcl_report_parse(buffer_bytes(&e->hcl_report), &hcl, &err);

    if (!check(&a, read, REASON_TPM_HCL_FORMAT, "HCL report: %s", read ? "well formed" : err.text) ||
        !check(&a, hcl.kind == HCL_SNP, REASON_TPM_HCL_FORMAT, "HCL report: holds an SNP report") ||
        !snp_check(hcl.hardware, &certificates, false, q, out))
        return;
    a = appraisal_after(&out->verdict, q->listener);
    azure_check(e, out->snp.report.report_data, NULL, q, out, &a);
    init_data_check(q, out, &a);
    (void) appraisal_finish(&a);
}

static void az_tdx_appraise(const struct evidence_envelope *e, const struct envelope_question *q, struct envelope_result *out)
{
    if (!tdx_check(e, q, out))
        return;

    struct appraisal a = appraisal_after(&out->verdict, q->listener);

    azure_check(e, out->tdx.quote.body.report_data, &out->tdx.quote.body, q, out, &a);
    init_data_check(q, out, &a);
    (void) appraisal_finish(&a);
}

/* Attesters have sent the digest alone, with zeros up to 64 bytes, and cut to 32: one of these, in full. */
static struct bytes plain_nonce(struct bytes message, struct bytes report_data, uint8_t padded[static FIELD_LEN_MAX])
{
    struct tpm_quote quote = { 0 };
    struct err       err; /* what cannot be read is refused later, with its reason */
    size_t           len = tpm_quote_parse(message, &quote, &err) ? quote.extra_data.len : 0;

    if (len == ENVELOPE_REPORT_DATA_LEN || (len == TRUNCATED_NONCE_LEN && report_data.len > TRUNCATED_NONCE_LEN))
        return fitted(report_data, len, padded);
    return report_data;
}

/* Whoever holds the key can say anything: it must be one that the relying party knows. */
static bool ak_is_trusted(struct bytes ak, const struct envelope_question *q)
{
    for (size_t i = 0; i < q->tpm.n_trusted_aks; i++)
        if (bytes_equal(ak, q->tpm.trusted_aks[i]))
            return true;
    return q->tpm.any_ak;
}

static void tpm_appraise_envelope(const struct evidence_envelope *e, const struct envelope_question *q,
                                  struct envelope_result *out)
{
    struct appraisal a = appraisal_start(&out->verdict, q->listener);
    struct err       err = { 0 };
    uint8_t          padded[FIELD_LEN_MAX];

    out->ak_public = buffer_bytes(&e->ak_public);
    if (check(&a, q->tpm.policy, REASON_NOT_CONFIGURED, "TPM: policy is configured")) {
        bool read = tpm_key_read(out->ak_public, &out->ak, &err);

        if (check(&a, read, REASON_TPM_AK_FORMAT, "attestation key: %s", read ? "RSA or ECC" : err.text) &&
            check(&a, ak_is_trusted(out->ak_public, q), REASON_TPM_AK_UNTRUSTED, "attestation key: one that is trusted"))
            tpm_check(e, plain_nonce(buffer_bytes(&e->tpm.message), q->report_data, padded), q, out, &a);
    }
    if (!a.failed)
        init_data_check(q, out, &a);
    (void) appraisal_finish(&a);
}

bool envelope_verify(const struct evidence_envelope *envelope, const struct envelope_question *q,
                     struct envelope_result *out)
{
    static void (*const appraise[N_ENVELOPE_KINDS])(const struct evidence_envelope *e, const struct envelope_question *q,
                                                    struct envelope_result *out) = {
        [ENVELOPE_SNP]         = snp_appraise_envelope,
        [ENVELOPE_TDX]         = tdx_appraise_envelope,
        [ENVELOPE_AZ_SNP_VTPM] = az_snp_appraise,
        [ENVELOPE_AZ_TDX_VTPM] = az_tdx_appraise,
        [ENVELOPE_TPM]         = tpm_appraise_envelope,
    };

    *out      = (struct envelope_result){ .kind = envelope->kind };
    struct appraisal a = appraisal_start(&out->verdict, q->listener);

    if (check(&a, envelope->kind < N_ENVELOPE_KINDS && q->report_data.len > 0 &&
                      q->report_data.len <= ENVELOPE_REPORT_DATA_LEN,
              REASON_INTERNAL, "question: 1 to %d bytes of report data are expected", ENVELOPE_REPORT_DATA_LEN))
        appraise[envelope->kind](envelope, q, out);
    return out->verdict.accepted;
}

/* ---- claims ---- */

static void add_pcr_claims(struct json_object *to, const struct tpm_result *r)
{
    AUTO(json) struct json_object *all = tpm_claims(r);
    struct json_object            *tpm = json_object_new_object();

    json_object_object_foreach(all, name, value)
    {
        if (strncmp(name, "pcr", 3) == 0 && strlen(name) == sizeof "pcr00" - 1) /* not pcrs, not pcr_digest */
            json_add(tpm, name, json_object_get(value));
    }
    json_add(to, "tpm", tpm);
}

/* In Azure's evidence the vTPM's quote carries what was asked for, and its PCR 8 the initdata. */
static struct json_object *azure_claims(struct json_object *claims_take, const struct envelope_result *r)
{
    json_add_hex(claims_take, "hardware_report_data",
                 r->kind == ENVELOPE_AZ_SNP_VTPM ? r->snp.report.report_data : r->tdx.quote.body.report_data);
    json_add_hex(claims_take, "report_data", r->tpm.quote.extra_data);
    json_add_hex(claims_take, "init_data", init_data_pcr(&r->tpm));
    add_pcr_claims(claims_take, &r->tpm);
    return claims_take;
}

static struct json_object *plain_tpm_claims(const struct envelope_result *r)
{
    struct json_object        *claims = tpm_claims(&r->tpm);
    AUTO(buffer) struct buffer ak     = { 0 };

    base64_append(&ak, r->ak_public, BASE64_STANDARD);
    json_add_text(claims, "ak_public", buffer_text(&ak));
    json_add_hex(claims, "init_data", init_data_pcr(&r->tpm));
    return claims;
}

struct json_object *envelope_claims(const struct envelope_result *result)
{
    if (!result->verdict.accepted)
        return NULL;
    switch (result->kind) {
    case ENVELOPE_SNP:
        return snp_claims(&result->snp);
    case ENVELOPE_TDX:
        return tdx_claims(&result->tdx);
    case ENVELOPE_AZ_SNP_VTPM:
        return azure_claims(snp_claims(&result->snp), result);
    case ENVELOPE_AZ_TDX_VTPM:
        return azure_claims(tdx_claims(&result->tdx), result);
    case ENVELOPE_TPM:
        return plain_tpm_claims(result);
    case N_ENVELOPE_KINDS:
        break;
    }
    return NULL;
}
