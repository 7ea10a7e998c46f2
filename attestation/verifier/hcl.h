/* Ties an Azure guest's vTPM to its hardware evidence: report, claims, key. [tpm.md 6.1] */
#pragma once

#include "attestation/evidence/hcl_report.h"
#include "attestation/evidence/tdx_quote.h"
#include "attestation/verifier/tpm.h"

struct hcl_question {
    struct bytes          report;      /* the HCL report */
    struct bytes          report_data; /* 64 bytes: of the SNP report or TD quote, which the caller has verified */
    const struct td_body *td;          /* of that quote; NULL for SNP, where HCL carries the report itself */
    bool                  has_user_data;
    struct bytes          user_data;   /* must be the claims' user data, zeros behind a shorter value */
};

/*
 * Checks that the hardware evidence vouches for the claims, and takes the attestation key from them.
 *
 *   ak    zeroed before; yours, release with AUTO(tpm_key). The paravisor vouches for its attributes.
 *
 * Every check is told to `a`; returns whether all held. What the claims say of the VM is as trustworthy as the
 * paravisor's own measurement, which policy on the hardware evidence decides.
 */
bool hcl_check(const struct hcl_question *q, struct tpm_key *ak, struct appraisal *a);
