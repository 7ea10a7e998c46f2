/*
 * Appraises Intel TDX quotes. Pure: quote, collateral, trust root, policy and time come in, a verdict goes out.
 * Order of checks: [TDX-DCAP 4.1.2; tdx.md 2.6], listed in docs/attestation.md.
 */
#pragma once

#include "attestation/evidence/event_log.h"
#include "attestation/verifier/tdx_collateral.h"
#include "attestation/verifier/tdx_policy.h"
#include "attestation/verifier/tdx_tcb.h"

struct tdx_result {
    struct verdict       verdict;
    bool                 is_genuine; /* every signature, chain, list and time held: what follows may be believed */
    struct tdx_quote     quote;      /* borrows from the quote */
    struct pck_extension pck;
    bool                 has_tcb; /* levels were found */
    struct tdx_tcb       tcb;
    bool                 has_log; /* an event log that replays to all four RTMRs */
    struct event_log     log;     /* borrows from the question's */
    uint32_t             tcb_evaluation_number, qe_evaluation_number;
    uint64_t             root_crl_number, pck_crl_number; /* their last 64 bits */
    int64_t              earliest_issue, latest_issue, earliest_expiration; /* over documents, lists, certificates */
};

/* What an appraisal is told besides the evidence. */
struct tdx_question {
    const struct tdx_policy       *policy;
    int64_t                        now; /* seconds since 1970, UTC */
    const struct verdict_listener *listener; /* or NULL */
    bool                           has_event_log;
    struct bytes                   event_log; /* CCEL, as the guest has it; judged only with has_event_log */
};

/*
 * Appraises `quote` against files as they came. Returns whether it was accepted; `out` is always written.
 */
bool tdx_verify(struct bytes quote, const struct tdx_files *files, const struct tdx_question *q, struct tdx_result *out);

/*
 * The same against collateral that has been verified before.
 *
 *   platform    in and out: the last quote's platform or NULL; replaced when the quote comes from another one.
 *               Yours, release with AUTO(tdx_platform). It must have been made under the same `collateral`.
 *
 * With a platform at hand only the two signatures of quote and QE report are verified, and nothing is allocated
 * but what OpenSSL allocates for itself.
 */
bool tdx_verify_cached(struct bytes quote, const struct tdx_collateral *collateral, struct tdx_platform **platform,
                       const struct tdx_question *q, struct tdx_result *out);
