/* What the evidence of a receipt is judged with: roots and policies that `cloister job verify` was given as files. */
#pragma once

#include "attestation/verifier/envelope.h"
#include "base/options.h"

enum { JOB_TRUST_AKS_MAX = 16 };

struct job_roots { /* paths; NULL: not given */
    const char        *ca, *crl, *root_product; /* SNP */
    const char        *root_ca, *collateral;    /* TDX */
    struct option_list aks;                     /* TPM */
    const char        *policy, *measurement;    /* of the TEE that the receipt is of */
};

/* The zero state trusts nothing. */
struct job_trust {
    int64_t                     now; /* for the caller to set */
    struct buffer               ark; /* borrowed by `snp` */
    struct snp_trust           *snp;
    struct snp_crl             *crl;
    struct snp_policy           snp_policy;
    struct snp_policy_document *snp_document; /* NULL, or what snp_policy borrows from */
    uint8_t                     measurement[48];
    struct bytes                measurement_wanted;
    struct tdx_collateral      *tdx;
    struct tdx_platform        *platform;
    struct tdx_policy           tdx_policy;
    struct tpm_policy           tpm_policy;
    struct buffer               ak[JOB_TRUST_AKS_MAX]; /* SubjectPublicKeyInfo, DER */
    struct bytes                aks[JOB_TRUST_AKS_MAX];
    size_t                      n_aks;
};
void job_trust_free(struct job_trust *trust);
static inline void auto_job_trust(struct job_trust *trust) { job_trust_free(trust); }

/*
 * Loads what evidence like this one needs, and no other.
 *
 *   a      hears of roots, lists and collateral that do not hold: look at a->failed
 *   out    zero but for `now`; does not move after this
 *
 * Fails CONFIG for what was not given or does not belong to this TEE; as the readers of those files do.
 */
FALLIBLE job_trust_load(const struct job_roots *given, const struct evidence_envelope *envelope, struct job_trust *out,
                        struct appraisal *a, struct err *err);
void     job_trust_ask(struct job_trust *trust, struct envelope_question *q);

/* The status of the platform's TCB, as `cloister verify` prints it; NULL when the TEE has none. */
const char *job_trust_status(const struct envelope_result *accepted);
