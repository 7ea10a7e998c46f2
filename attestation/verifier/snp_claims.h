/* SEV-SNP results as the claims that CoCo's policies expect, and every other signed field beside them. [evidence-formats.md 2.4] */
#pragma once

#include "attestation/verifier/snp.h"
#include "base/json.h"

/*
 * What a genuine report says: Trustee's names (measurement, reported_tcb_snp, policy_debug_allowed, ...), report_data
 * and init_data, then the rest of the report and what was certified. Byte fields are hex.
 * NULL when `result` is not authentic: what nobody vouches for is no claim. The caller releases it.
 */
struct json_object *snp_claims(const struct snp_result *result);

/* "committed" or "provisional" firmware; NULL when the report is not authentic. */
const char *snp_status(const struct snp_result *result);
