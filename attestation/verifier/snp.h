/*
 * Appraises AMD SEV-SNP reports: from bytes, certificates, trust roots, revocation lists, policy and time to a
 * verdict. Pure: reads no clock, file or network. docs/attestation.md lists every check in order.
 */
#pragma once

#include "attestation/evidence/snp_certificates.h"
#include "attestation/verifier/snp_chain.h"
#include "attestation/verifier/snp_crl.h"
#include "attestation/verifier/snp_policy.h"
#include "attestation/verifier/verdict.h"

/* A report and all that it is judged with. Everything is borrowed for the call. */
struct snp_request {
    struct bytes                   report;
    const struct snp_certificates *certificates; /* hints: what the evidence brought, or a cache, or the KDS */
    const struct snp_trust        *trust;        /* outlives the result */
    const struct snp_crl *const   *crls;         /* those of other roots are passed over */
    size_t                         n_crls;
    const struct snp_policy       *policy;
    int64_t                        now;          /* seconds since 1970, UTC: every validity is judged here */
    const struct verdict_listener *listener;     /* or NULL */
};

/* What a verification leaves behind. Release with AUTO(snp_result). */
struct snp_result {
    struct verdict    verdict;
    bool              is_authentic; /* parse to binding held: the report's fields are facts, accepted or not */
    struct snp_report report;       /* filled once parsed; borrows from the request's report */
    const struct snp_chain *used;   /* the chain that was judged with */
    struct snp_chain *chain;        /* the same, when this call made it; worth keeping: TAKE it for snp_verify_with_chain */
    const struct snp_crl *crl;      /* the list that was used; NULL when none */
    struct snp_crl   *own_crl;      /* made from the evidence's own list, when that was used */
};

void snp_result_free(struct snp_result *result);
static inline void auto_snp_result(struct snp_result *result) { snp_result_free(result); }

/*
 * Verifies from the bytes up. Returns out->verdict.accepted.
 * A list among `certificates` is used when `crls` has none of this root.
 */
bool snp_verify(const struct snp_request *request, struct snp_result *out);

/*
 * The same with a chain that was verified before: `certificates` and `trust` are not looked at; validity and
 * revocation are judged anew. Allocates nothing. `chain` outlives the
 * result; out->chain stays NULL.
 */
bool snp_verify_with_chain(const struct snp_request *request, const struct snp_chain *chain, struct snp_result *out);
