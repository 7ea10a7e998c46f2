/* The last layer: a genuine report against what the relying party accepts. [snp.md 3 G] */
#pragma once

#include "attestation/verifier/snp_chain.h"
#include "attestation/verifier/snp_policy.h"

/* Makes every check, also after one has failed: `a` keeps the first failure, its listener hears of all. */
void snp_appraise(const struct snp_report *report, const struct snp_chain *chain, const struct snp_policy *policy,
                  struct appraisal *a);
