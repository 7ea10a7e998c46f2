#include "attestation/verifier/snp.h"

#include "attestation/verifier/instant.h"
#include "attestation/verifier/p384.h"
#include "attestation/verifier/snp_appraise.h"

void snp_result_free(struct snp_result *result)
{
    snp_chain_free(TAKE(result->chain));
    snp_crl_free(TAKE(result->own_crl));
}

/* [snp.md 3 A] */
static FALLIBLE report_read(struct bytes raw, struct snp_report *out, struct appraisal *a)
{
#define DEFECT_ROW(name, code, layer, meaning) [DEFECT_##name] = REASON_##name,
    static const enum verdict_reason of_defect[N_SNP_REPORT_DEFECTS] = { SNP_REPORT_DEFECTS(DEFECT_ROW) };
#undef DEFECT_ROW
    enum snp_report_defect defect = N_SNP_REPORT_DEFECTS;
    struct err             err;

    if (!snp_report_parse(raw, out, &defect, &err))
        return check(a, false, of_defect[defect], "%s", err.text);
    check(a, true, REASON_SNP_LENGTH, "report of version %u, %d bytes, every reserved field zero", out->version,
          SNP_REPORT_LEN);
    return check(a, out->signing_key != SNP_UNSIGNED && !out->mask_chip_key, REASON_SNP_NOT_SIGNED,
                 "SIGNING_KEY %d, MASK_CHIP_KEY %d", (int) out->signing_key, out->mask_chip_key);
}

static const struct snp_crl *crl_choose(const struct snp_request *request, const struct snp_chain *chain)
{
    const struct snp_crl *best = NULL;

    for (size_t i = 0; i < request->n_crls; i++)
        if (snp_crl_is_of(request->crls[i], chain) &&
            (!best || snp_crl_number(request->crls[i]) > snp_crl_number(best)))
            best = request->crls[i];
    return best;
}

/* A refusal where the policy requires a fresh list, else a warning. */
static bool fresh(struct appraisal *a, enum crl_rule rule, bool holds, enum verdict_reason reason, const char *what,
                  int64_t at)
{
    char text[INSTANT_TEXT_LEN + 1];

    if (holds && !a->listener)
        return true;
    instant_write(at, text);
    if (holds || rule == CRL_REQUIRED)
        return check(a, holds, reason, "CRL: %s %s", what, text);
    check_warns(a, reason, "CRL: %s %s", what, text);
    return true;
}

/* [snp.md 2.4, 3 D] */
static FALLIBLE revocation_check(const struct snp_request *request, const struct snp_chain *chain,
                                 const struct snp_crl *crl, struct appraisal *a)
{
    const struct snp_policy *policy = request->policy;
    uint64_t                 least  = policy->least_crl_number[snp_chain_product(chain)];

    if (policy->crl == CRL_OFF) {
        check_warns(a, REASON_SNP_CRL_MISSING, "CRL: policy has revocation lists switched off");
        return true;
    }
    if (!crl && policy->crl == CRL_WARNED) {
        check_warns(a, REASON_SNP_CRL_MISSING, "CRL: no list of this root");
        return true;
    }
    return check(a, crl != NULL, REASON_SNP_CRL_MISSING, "CRL: a list of this root") &&
           fresh(a, policy->crl, request->now >= snp_crl_this_update(crl), REASON_SNP_CRL_NOT_YET, "issued at",
                 snp_crl_this_update(crl)) &&
           fresh(a, policy->crl, request->now < snp_crl_next_update(crl), REASON_SNP_CRL_EXPIRED, "to be renewed before",
                 snp_crl_next_update(crl)) &&
           check(a, snp_crl_number(crl) >= least, REASON_SNP_CRL_ROLLED_BACK, "CRL: number %llu, wanted at least %llu",
                 (unsigned long long) snp_crl_number(crl), (unsigned long long) least) &&
           check(a, !snp_crl_lists(crl, snp_chain_intermediate(chain)->serial), REASON_SNP_REVOKED,
                 "CRL: does not list the serial of the %s", snp_chain_is_vlek(chain) ? "ASVK" : "ASK") &&
           check(a, !snp_crl_lists(crl, snp_chain_vek(chain)->serial), REASON_SNP_REVOKED,
                 "CRL: does not list the serial of the VEK") &&
           check(a, !snp_crl_lists(crl, snp_chain_root(chain)->serial), REASON_SNP_REVOKED,
                 "CRL: does not list the serial of the ARK");
}

/* Over the raw bytes. [snp.md 1.3, 3 E] */
static FALLIBLE signature_check(const struct snp_report *report, const struct snp_chain *chain, struct appraisal *a)
{
    uint8_t digest[SHA384_LEN], r[P384_INTEGER_LEN], s[P384_INTEGER_LEN];
    bool    says_vlek = report->signing_key == SNP_SIGNED_BY_VLEK;

    if (!check(a, says_vlek == snp_chain_is_vlek(chain), REASON_SNP_SIGNER_MISMATCH,
               "report says signed by a %s, certificate is of a %s", says_vlek ? "VLEK" : "VCEK",
               snp_chain_is_vlek(chain) ? "VLEK" : "VCEK") ||
        !check(a, p384_integer_read(report->signature_r, r) && p384_integer_read(report->signature_s, s),
               REASON_SNP_SIGNATURE_RANGE, "r and s: 48 bytes, from 1 to below the order of P-384"))
        return false;
    sha384_of(report->signed_part, digest);
    return check(a, p384_signed(snp_chain_key(chain), digest, r, s), REASON_SNP_SIGNATURE,
                 "ECDSA P-384 signature over the first %d bytes", SNP_REPORT_SIGNED_LEN);
}

static FALLIBLE chip_check(const struct snp_request *request, const struct snp_report *report,
                           const struct snp_chain *chain, struct appraisal *a)
{
    struct bytes  hwid      = snp_chain_vek(chain)->vek.hwid;
    struct reader r         = reader_over(report->chip_id);
    bool          is_masked = bytes_are_zero(report->chip_id);
    struct bytes  head;

    if (snp_chain_is_vlek(chain))
        return check(a, is_masked, REASON_SNP_CHIP_BINDING, "CHIP_ID is zero in a report signed by a VLEK");
    if (is_masked)
        return check(a, request->policy->masked_chip_id_allowed, REASON_SNP_CHIP_MASKED,
                     "CHIP_ID is masked, and policy says %s", request->policy->masked_chip_id_allowed ? "yes" : "no");
    head = take(&r, hwid.len);
    return check(a, bytes_equal(head, hwid) && bytes_are_zero(r.left), REASON_SNP_CHIP_BINDING,
                 "CHIP_ID is the certificate's HWID of %zu bytes", hwid.len);
}

/* [snp.md 3 F] */
static FALLIBLE binding_check(const struct snp_request *request, const struct snp_report *report,
                              const struct snp_chain *chain, struct appraisal *a)
{
    const struct snp_tcb *spl = &snp_chain_vek(chain)->vek.tcb, *tcb = &report->reported_tcb;

    return check(a, snp_tcb_equal(spl, tcb), REASON_SNP_TCB_BINDING,
                 "certificate's SPLs fmc %u bl %u tee %u snp %u ucode %u, REPORTED_TCB %u %u %u %u %u", spl->fmc,
                 spl->bootloader, spl->tee, spl->snp, spl->microcode, tcb->fmc, tcb->bootloader, tcb->tee, tcb->snp,
                 tcb->microcode) &&
           chip_check(request, report, chain, a);
}

/* CPUID, or for version 2 the form of CHIP_ID, against the root that the chain ended in. [snp.md 1.4, 3 B] */
static FALLIBLE product_check(const struct snp_report *report, const struct snp_chain *chain, struct appraisal *a)
{
    enum snp_product product = snp_chain_product(chain);
    bool             unnamed = !report->has_cpuid && report->product == SNP_PRODUCT_UNKNOWN;

    return check(a, unnamed || report->product == product || report->product == SNP_PRODUCT_UNKNOWN,
                 REASON_SNP_PRODUCT_BINDING, "report is of %s, chain is of %s",
                 unnamed ? "Milan or Genoa" : snp_product_name(report->product), snp_product_name(product)) &&
           check(a, !unnamed || product != SNP_TURIN, REASON_SNP_PRODUCT_BINDING,
                 "version 2 report without Turin's form of CHIP_ID, chain is of %s", snp_product_name(product));
}

/* Everything below the chain. */
static bool judge(const struct snp_request *request, const struct snp_chain *chain, struct snp_result *out,
                  struct appraisal *a)
{
    const struct snp_report *report = &out->report;

    out->used = chain;
    if (!snp_chain_valid_at(chain, request->now, request->policy->not_before_skew_s, a) ||
        !product_check(report, chain, a) || !revocation_check(request, chain, out->crl, a) ||
        !signature_check(report, chain, a) || !binding_check(request, report, chain, a))
        return false;
    out->is_authentic = true;
    snp_appraise(report, chain, request->policy, a);
    return appraisal_finish(a);
}

static FALLIBLE product_known(const struct snp_report *report, struct appraisal *a)
{
    return check(a, !report->has_cpuid || report->product != SNP_PRODUCT_UNKNOWN, REASON_SNP_PRODUCT_UNKNOWN,
                 "CPUID family %#x, model %#x: %s", report->cpuid_family, report->cpuid_model,
                 snp_product_name(report->product));
}

bool snp_verify(const struct snp_request *request, struct snp_result *out)
{
    *out = (struct snp_result){ 0 };

    struct appraisal               a     = appraisal_start(&out->verdict, request->listener);
    const struct snp_certificates *given = request->certificates;

    if (!report_read(request->report, &out->report, &a) || !product_known(&out->report, &a))
        return false;

    struct bytes vek = out->report.signing_key == SNP_SIGNED_BY_VLEK ? given->vlek : given->vcek;

    if (!snp_chain_new(request->trust, vek, given, &out->chain, &a))
        return false;
    out->crl = crl_choose(request, out->chain);
    if (!out->crl && given->crl.len > 0 && request->policy->crl != CRL_OFF) {
        if (!snp_crl_new(request->trust, given->crl, &out->own_crl, &a))
            return false;
        if (snp_crl_is_of(out->own_crl, out->chain))
            out->crl = out->own_crl;
        else if (request->policy->crl == CRL_REQUIRED)
            return check(&a, false, REASON_SNP_CRL_ISSUER, "CRL: the list sent is of another root");
    }
    return judge(request, out->chain, out, &a);
}

bool snp_verify_with_chain(const struct snp_request *request, const struct snp_chain *chain, struct snp_result *out)
{
    *out = (struct snp_result){ 0 };

    struct appraisal a = appraisal_start(&out->verdict, request->listener);

    if (!report_read(request->report, &out->report, &a) || !product_known(&out->report, &a))
        return false;
    out->crl = crl_choose(request, chain);
    return judge(request, chain, out, &a);
}
