#include "attestation/verifier/tdx.h"

#include <string.h>

/* QE identity: [tdx.md 2.6 step 8]; masks select the bits that identify. */
static bool masked_equal(struct bytes found, const uint8_t *mask, const uint8_t *wanted)
{
    uint8_t differs = 0;

    for (size_t i = 0; i < found.len; i++)
        differs |= (uint8_t) ((found.at[i] ^ wanted[i]) & mask[i]);
    return differs == 0;
}

static bool qe_identity_check(const struct sgx_report *qe, const struct qe_identity *wanted, struct appraisal *a)
{
    return check(a, bytes_equal(qe->mrsigner, BYTES_OF(wanted->mrsigner)), REASON_TDX_QE_IDENTITY_MISMATCH,
                 "QE report: MRSIGNER is the identity's") &&
           check(a, qe->isv_prod_id == wanted->isv_prod_id, REASON_TDX_QE_IDENTITY_MISMATCH,
                 "QE report: product %u, the identity's is %u", qe->isv_prod_id, wanted->isv_prod_id) &&
           check(a, masked_equal(qe->misc_select, wanted->misc_select_mask, wanted->misc_select),
                 REASON_TDX_QE_IDENTITY_MISMATCH, "QE report: MISCSELECT is the identity's") &&
           check(a, masked_equal(qe->attributes, wanted->attributes_mask, wanted->attributes),
                 REASON_TDX_QE_IDENTITY_MISMATCH, "QE report: attributes are the identity's, debugging off");
}

/* The QE report's data is SHA-256(attestation key, authentication data) and 32 zero bytes. */
static bool key_binding_check(const struct tdx_quote *quote, struct appraisal *a)
{
    AUTO(md_ctx) EVP_MD_CTX *hash       = EVP_MD_CTX_new();
    uint8_t                  wanted[64] = { 0 };
    bool                     hashed     = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                  EVP_DigestUpdate(hash, quote->attestation_key.at, quote->attestation_key.len) == 1 &&
                  EVP_DigestUpdate(hash, quote->qe_auth.at, quote->qe_auth.len) == 1 &&
                  EVP_DigestFinal_ex(hash, wanted, NULL) == 1;

    return check(a, hashed && bytes_equal(quote->qe_report.report_data, BYTES_OF(wanted)),
                 REASON_TDX_BAD_QE_REPORT_DATA, "QE report: its data is the hash of the attestation key, then zeros");
}

static bool signatures_check(const struct tdx_quote *quote, const struct tdx_collateral *c,
                             const struct tdx_platform *p, struct appraisal *a)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    struct err           err = { 0 };

    if (!check(a, p256_signed(p->leaf_key, quote->qe_report.whole, quote->qe_report_signature),
               REASON_TDX_BAD_QE_REPORT_SIGNATURE, "QE report: signed by the PCK key") ||
        !key_binding_check(quote, a) || !qe_identity_check(&quote->qe_report, &c->qe_identity, a))
        return false;

    bool made = p256_key_of(quote->attestation_key, c->root_key, &key, &err);

    return check(a, made, REASON_TDX_BAD_ATTESTATION_KEY, "attestation key: %s", made ? "a point of P-256" : err.text) &&
           check(a, p256_signed(key, quote->signed_part, quote->signature), REASON_TDX_BAD_QUOTE_SIGNATURE,
                 "quote: signed by the attestation key");
}

static bool module_check(const struct td_body *body, const struct tcb_info *info, struct appraisal *a)
{
    const struct tdx_module *module = tdx_module_find(info, body->tee_tcb_svn);

    return check(a, module, REASON_TDX_TDX_MODULE_MISMATCH, "tcbInfo knows TDX module version %u",
                 body->tee_tcb_svn.at[1]) &&
           check(a, bytes_equal(body->mrsignerseam, BYTES_OF(module->mrsigner)), REASON_TDX_TDX_MODULE_MISMATCH,
                 "MRSIGNERSEAM is the TDX module's signer") &&
           check(a, masked_equal(body->seam_attributes, module->mask, module->attributes) &&
                        bytes_are_zero(body->seam_attributes),
                 REASON_TDX_TDX_MODULE_MISMATCH, "SEAMATTRIBUTES are zero and the TDX module's");
}

static void status_check(const struct tdx_policy *policy, const struct tdx_tcb *tcb, struct appraisal *a)
{
    const struct advisories *advisories = &tcb->launch.advisories;

    check(a, tcb->status != TCB_REVOKED && policy->status[tcb->status], REASON_TDX_TCB_STATUS,
          "TCB status %s (platform %s, module %s, QE %s) is accepted", tcb_status_name(tcb->status),
          tcb_status_name(tcb->platform), tcb_status_name(tcb->module), tcb_status_name(tcb->qe));
    for (size_t i = 0; tcb->status != TCB_UP_TO_DATE && i < advisories->n; i++)
        check(a, advisories_have(&policy->advisories, advisories->id[i]), REASON_TDX_TCB_ADVISORY,
              "advisory %s is tolerated", advisories->id[i]);
}

/* Collateral that is genuine and still valid may be from before a recovery that policy knows of. */
static void evaluation_check(const struct tdx_policy *policy, const struct tdx_result *r, struct appraisal *a)
{
    uint32_t lower = r->tcb_evaluation_number < r->qe_evaluation_number ? r->tcb_evaluation_number
                                                                        : r->qe_evaluation_number;

    check(a, lower >= policy->minimum_evaluation_number, REASON_TDX_TCB_EVALUATION_NUMBER,
          "evaluation number %u is at least %u", lower, policy->minimum_evaluation_number);
    check(a, policy->allow_mixed_evaluation_numbers || r->tcb_evaluation_number == r->qe_evaluation_number,
          REASON_TDX_TCB_EVALUATION_NUMBER, "evaluation numbers of tcbInfo (%u) and enclaveIdentity (%u) are equal",
          r->tcb_evaluation_number, r->qe_evaluation_number);
}

static void dates_collect(const struct tdx_collateral *c, const struct tdx_platform *p, struct tdx_result *out)
{
    const int64_t issued[]  = { c->tcb_info.issued, c->qe_identity.issued, c->root_crl.this_update,
                                c->pck_crl.this_update, c->root.not_before, c->signer.not_before, p->ca.not_before,
                                p->leaf.not_before };
    const int64_t expires[] = { c->tcb_info.next_update, c->qe_identity.next_update, c->root_crl.next_update,
                                c->pck_crl.next_update, c->root.not_after, c->signer.not_after, p->ca.not_after,
                                p->leaf.not_after };

    out->earliest_issue      = issued[0];
    out->latest_issue        = issued[0];
    out->earliest_expiration = expires[0];
    for (size_t i = 1; i < sizeof issued / sizeof issued[0]; i++) {
        out->earliest_issue      = issued[i] < out->earliest_issue ? issued[i] : out->earliest_issue;
        out->latest_issue        = issued[i] > out->latest_issue ? issued[i] : out->latest_issue;
        out->earliest_expiration = expires[i] < out->earliest_expiration ? expires[i] : out->earliest_expiration;
    }
}

static uint64_t last_64_bits(struct bytes number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < number.len; i++)
        value = value << 8 | number.at[i];
    return value;
}

/* Register 0 of a log is MRTD; 1 to 4 are the RTMRs, each of which the log must explain to the last event. */
static void log_check(const struct tdx_question *q, struct tdx_result *out, struct appraisal *a)
{
    struct event_replay replay = { 0 };
    struct err          err    = { 0 };
    bool                read   = event_log_parse(q->event_log, EVENT_LOG_CCEL, &out->log, &err) &&
                event_log_replay(&out->log, TPM_SHA384, &replay, &err);
    bool                all    = read;

    check(a, read, REASON_TDX_EVENT_LOG_FORMAT, "event log: %s", read ? "well formed" : err.text);
    for (unsigned i = 0; read && i < TDX_RTMRS; i++)
        all &= check(a, bytes_equal(out->quote.body.rtmr[i], (struct bytes){ replay.value[i + 1], SHA384_LEN }),
                     REASON_TDX_EVENT_LOG_REPLAY, "event log: replays to RTMR%u", i);
    if (read)
        all &= check(a, q->policy->allow_extra_separators || !event_replay_has_extra_separators(&out->log, &replay),
                     REASON_TDX_EVENT_LOG_SEPARATOR, "event log: at most one separator in each register");
    out->has_log = all;
}

/* Everything after the signatures: all of it is told, even when one check has failed. */
static void genuine_appraise(const struct tdx_collateral *c, const struct tdx_platform *p, const struct tdx_question *q,
                             struct tdx_result *out, struct appraisal *a)
{
    const struct tdx_policy *policy = q->policy;
    const struct td_body    *body   = &out->quote.body;
    struct tdx_svns          svns   = { body->tee_tcb_svn, body->tee_tcb_svn2, out->quote.qe_report.isv_svn };
    struct err               err    = { 0 };

    out->is_genuine            = true;
    out->pck                   = p->pck;
    out->tcb_evaluation_number = c->tcb_info.evaluation_number;
    out->qe_evaluation_number  = c->qe_identity.evaluation_number;
    out->root_crl_number       = last_64_bits(c->root_crl.number);
    out->pck_crl_number        = last_64_bits(c->pck_crl.number);
    dates_collect(c, p, out);
    if (!module_check(body, &c->tcb_info, a)) {
        out->is_genuine = false;
        return;
    }
    tdx_policy_check(policy, body, &p->pck, a);
    out->has_tcb = tdx_tcb_evaluate(&c->tcb_info, &c->qe_identity, &p->pck, &svns, &out->tcb, &err);
    if (check(a, out->has_tcb, REASON_TDX_TCB_NOT_SUPPORTED, "TCB: %s", out->has_tcb ? "a level fits" : err.text))
        status_check(policy, &out->tcb, a);
    evaluation_check(policy, out, a);
    if (q->has_event_log)
        log_check(q, out, a);
}

static bool quote_read(struct bytes quote, const struct tdx_policy *policy, struct tdx_result *out, struct appraisal *a)
{
    struct err err  = { 0 };
    bool       read = tdx_quote_parse(quote, &out->quote, &err);

    return check(a, read, REASON_TDX_FORMAT, "quote: %s", read ? "well formed" : err.text) &&
           check(a, policy->allow_trailing_bytes || bytes_are_zero(out->quote.trailing), REASON_TDX_FORMAT,
                 "quote: nothing but zeros in the %zu bytes behind it", out->quote.trailing.len);
}

static void appraise(const struct tdx_collateral *c, struct tdx_platform **platform, const struct tdx_question *q,
                     struct tdx_result *out, struct appraisal *a)
{
    if (*platform && !bytes_equal(buffer_bytes(&(*platform)->text), out->quote.pck_chain)) {
        tdx_platform_free(*platform);
        *platform = NULL;
    }
    if (!*platform)
        *platform = tdx_platform_new(out->quote.pck_chain, c, a);
    if (*platform && tdx_validity_check(c, *platform, q->now, a) && signatures_check(&out->quote, c, *platform, a))
        genuine_appraise(c, *platform, q, out, a);
}

/* Acceptance needs every stage to have been reached, not only no check to have failed. */
static bool finish(const struct tdx_result *out, struct appraisal *a)
{
    if (!a->failed)
        check(a, out->has_tcb /* and so is_genuine */, REASON_INTERNAL, "every stage was reached");
    return appraisal_finish(a);
}

bool tdx_verify_cached(struct bytes quote, const struct tdx_collateral *collateral, struct tdx_platform **platform,
                       const struct tdx_question *q, struct tdx_result *out)
{
    *out               = (struct tdx_result){ 0 };
    struct appraisal a = appraisal_start(&out->verdict, q->listener);

    if (quote_read(quote, q->policy, out, &a))
        appraise(collateral, platform, q, out, &a);
    return finish(out, &a);
}

bool tdx_verify(struct bytes quote, const struct tdx_files *files, const struct tdx_question *q, struct tdx_result *out)
{
    AUTO(tdx_collateral) struct tdx_collateral *collateral = NULL;
    AUTO(tdx_platform) struct tdx_platform     *platform   = NULL;

    *out               = (struct tdx_result){ 0 };
    struct appraisal a = appraisal_start(&out->verdict, q->listener);

    if (quote_read(quote, q->policy, out, &a))
        collateral = tdx_collateral_new(files, &a);
    if (collateral)
        appraise(collateral, &platform, q, out, &a);
    return finish(out, &a);
}
