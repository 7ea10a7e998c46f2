/* AMD's collateral that is fetched: VCEKs of chips whose hosts gave none, and revocation lists by product. */
#pragma once

#include "attestation/evidence/snp_evidence.h"
#include "attestation/verifier/snp_crl.h"
#include "keys/broker/fetched.h"

struct amd_collateral;

/* Both outlive the result. */
struct amd_collateral *amd_collateral_new(const struct snp_trust *trust, struct fetched *fetched);
void                   amd_collateral_free(struct amd_collateral *c);
DEFINE_AUTO(amd_collateral, struct amd_collateral *, amd_collateral_free)

/*
 * Appends the VCEK that signed `report` as it was fetched, or nothing.
 *
 *   wanted, why    as of fetched_find
 */
void amd_collateral_vcek(struct amd_collateral *c, const struct snp_report *report, int64_t now, struct outside_job *wanted,
                         struct buffer *vcek, struct buffer *why);

/* The revocation list that can name this evidence's certificates, once verified under `trust`; NULL when there is none. */
const struct snp_crl *amd_collateral_crl(struct amd_collateral *c, const struct snp_evidence *evidence, int64_t now,
                                         struct outside_job *wanted, struct buffer *why);
