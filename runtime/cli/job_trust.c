#include "runtime/cli/job_trust.h"

#include <openssl/pem.h>
#include <string.h>

#include "attestation/verifier/snp_claims.h"
#include "attestation/verifier/snp_crl.h"
#include "attestation/verifier/tcb_status.h"
#include "base/file.h"
#include "base/ossl.h"
#include "base/text.h"
#include "runtime/cli/verify.h"
#include "runtime/cli/verify_bundle.h"

enum { FILE_LEN_MAX = 4 << 20 };

void job_trust_free(struct job_trust *trust)
{
    buffer_free(&trust->ark);
    snp_policy_document_free(trust->snp_document);
    auto_snp_crl(&trust->crl);
    auto_snp_trust(&trust->snp);
    auto_tdx_platform(&trust->platform);
    auto_tdx_collateral(&trust->tdx);
    tdx_policy_free(&trust->tdx_policy);
    tpm_policy_free(&trust->tpm_policy);
    for (size_t i = 0; i < trust->n_aks; i++)
        buffer_free(&trust->ak[i]);
}

static FALLIBLE read_option(const char *option, const char *path, struct buffer *out, struct err *err)
{
    return file_read(path, FILE_LEN_MAX, out, err) || context(err, option);
}

static FALLIBLE measurement_load(const struct job_roots *given, struct job_trust *out, struct err *err)
{
    if (!given->measurement)
        return true;
    out->measurement_wanted = BYTES_OF(out->measurement);
    return hex_read_exact(given->measurement, out->measurement, sizeof out->measurement, err) || context(err, "--measurement");
}

/* ---- SNP ---- */

/* Without a document: a guest that runs at VMPL 0, does not let itself be debugged, and has no migration agent. */
static FALLIBLE snp_policy_load(const struct job_roots *given, struct job_trust *out, struct err *err)
{
    AUTO(buffer) struct buffer text   = { 0 };
    const struct snp_policy    strict = snp_policy_strict();

    if (given->policy) {
        if (!read_option("--policy", given->policy, &text, err))
            return false;
        if (!snp_policy_read(buffer_bytes(&text), &strict, &out->snp_document, err))
            return context(err, "--policy");
        out->snp_policy = *snp_policy_of(out->snp_document);
    } else {
        out->snp_policy = snp_policy_bare();
        for (size_t i = 1; i < sizeof out->snp_policy.vmpls / sizeof *out->snp_policy.vmpls; i++)
            out->snp_policy.vmpls[i] = false;
        if (given->crl)
            out->snp_policy.crl = CRL_REQUIRED;
    }
    if (given->measurement)
        out->snp_policy.measurement = (struct field_rule){ FIELD_LISTED, &out->measurement_wanted, 1 };
    return true;
}

static FALLIBLE snp_load(const struct job_roots *given, struct job_trust *out, struct appraisal *a, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 }, list = { 0 };
    enum verdict_reason        why  = REASON_INTERNAL;
    struct err                 cause;

    if (!given->ca)
        return fail_with(err, ERR_CONFIG, "the receipt is of SNP: --ca DIR is wanted, with ark.der, the root that you trust");
    buffer_printf(&path, "%s/ark.der", given->ca);
    if (!file_read(buffer_text(&path), FILE_LEN_MAX, &out->ark, err) || (given->crl && !read_option("--crl", given->crl, &list, err)) ||
        !measurement_load(given, out, err) || !snp_policy_load(given, out, err))
        return false;
    verify_certificate_pick(&out->ark, VERIFY_LAST);
    struct bytes          ark  = buffer_bytes(&out->ark);
    const struct snp_root root = { .name = "caller", .ark = ark,
                                   .product = given->root_product ? snp_product_by_name(given->root_product) : snp_root_product(ark) };

    if (!snp_trust_new(&root, 1, &out->snp, &why, &cause))
        check(a, false, why, "%s", cause.text);
    else if (given->crl)
        (void) !snp_crl_new(out->snp, buffer_bytes(&list), &out->crl, a); /* `a` says it */
    return true;
}

/* ---- TDX ---- */

static FALLIBLE tdx_policy_load(const struct job_roots *given, struct job_trust *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    tdx_policy_default(&out->tdx_policy);
    if (given->policy && (!read_option("--policy", given->policy, &text, err)))
        return false;
    if (given->policy && !tdx_policy_read(buffer_bytes(&text), &out->tdx_policy, err))
        return context(err, "--policy");
    if (given->measurement) {
        buffer_free(&out->tdx_policy.field[TDX_FIELD_MRTD].values);
        tdx_policy_add(&out->tdx_policy, TDX_FIELD_MRTD, out->measurement_wanted);
    }
    return true;
}

static FALLIBLE tdx_load(const struct job_roots *given, struct bytes quote, struct job_trust *out, struct appraisal *a, struct err *err)
{
    AUTO(buffer) struct buffer root = { 0 }, tcb_info = { 0 }, qe_identity = { 0 }, issuer_chain = { 0 }, root_crl = { 0 }, pck_crl = { 0 };
    const struct verify_documents wanted = { &tcb_info, &qe_identity, &issuer_chain, &root_crl, &pck_crl };

    if (!given->root_ca || !given->collateral)
        return fail_with(err, ERR_CONFIG, "the receipt is of TDX: --root-ca FILE and --collateral FILE are wanted");
    if (!read_option("--root-ca", given->root_ca, &root, err) || !measurement_load(given, out, err) || !tdx_policy_load(given, out, err) ||
        !verify_bundle_load(given->collateral, quote, &wanted, err))
        return false;
    const struct tdx_files files = { buffer_bytes(&tcb_info), buffer_bytes(&qe_identity), buffer_bytes(&issuer_chain),
                                     buffer_bytes(&root), buffer_bytes(&root_crl), buffer_bytes(&pck_crl) };

    out->tdx = tdx_collateral_new(&files, a);
    return true;
}

/* ---- TPM ---- */

static FALLIBLE ak_load(const char *path, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (!read_option("--ak", path, &text, err))
        return false;
    if (pem_read_one(buffer_bytes(&text), "PUBLIC KEY", out, err))
        return true;
    buffer_append(out, buffer_bytes(&text)); /* DER: compared as it is */
    return true;
}

static FALLIBLE tpm_load(const struct job_roots *given, struct job_trust *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (given->aks.n == 0 || given->aks.n > JOB_TRUST_AKS_MAX)
        return fail_with(err, ERR_CONFIG, "the receipt is of a TPM: 1 to %d times --ak FILE is wanted, its attestation key", JOB_TRUST_AKS_MAX);
    if (given->measurement)
        return fail_with(err, ERR_CONFIG, "--measurement: a TPM has PCRs: name their values in --policy");
    for (; out->n_aks < given->aks.n; out->n_aks++) {
        if (!ak_load(given->aks.at[out->n_aks], &out->ak[out->n_aks], err))
            return false;
        out->aks[out->n_aks] = buffer_bytes(&out->ak[out->n_aks]);
    }
    if (given->policy && !read_option("--policy", given->policy, &text, err))
        return false;
    return !given->policy || tpm_policy_read(buffer_bytes(&text), &out->tpm_policy, err) || context(err, "--policy");
}

FALLIBLE job_trust_load(const struct job_roots *given, const struct evidence_envelope *envelope, struct job_trust *out,
                        struct appraisal *a, struct err *err)
{
    switch (envelope->kind) {
    case ENVELOPE_SNP:
        return snp_load(given, out, a, err);
    case ENVELOPE_TDX:
        return tdx_load(given, buffer_bytes(&envelope->td_quote), out, a, err);
    case ENVELOPE_TPM:
        return tpm_load(given, out, err);
    case ENVELOPE_AZ_SNP_VTPM:
    case ENVELOPE_AZ_TDX_VTPM:
    case N_ENVELOPE_KINDS:
        break;
    }
    return fail_with(err, ERR_UNSUPPORTED, "no guest makes receipts of %s", envelope_kind_name(envelope->kind));
}

void job_trust_ask(struct job_trust *trust, struct envelope_question *q)
{
    q->snp.trust         = trust->snp;
    q->snp.policy        = &trust->snp_policy;
    q->snp.crls          = (const struct snp_crl *const *) &trust->crl;
    q->snp.n_crls        = trust->crl != NULL;
    q->tdx.collateral    = trust->tdx;
    q->tdx.platform      = &trust->platform;
    q->tdx.policy        = &trust->tdx_policy;
    q->tpm.policy        = &trust->tpm_policy;
    q->tpm.trusted_aks   = trust->aks;
    q->tpm.n_trusted_aks = trust->n_aks;
}

const char *job_trust_status(const struct envelope_result *accepted)
{
    if (accepted->kind == ENVELOPE_SNP)
        return snp_status(&accepted->snp);
    return accepted->kind == ENVELOPE_TDX && accepted->tdx.has_tcb ? tcb_status_name(accepted->tdx.tcb.status) : NULL;
}
