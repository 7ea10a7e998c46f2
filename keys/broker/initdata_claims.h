/* What initdata says, as attestation policies read it. [evidence-formats 7.1] */
#pragma once

#include "keys/api/initdata.h"

/*
 * Its entries as texts, but: aa.toml and cdh.toml become JSON where they parse; policy.rego becomes
 * "agent_policy_claims" where it ends in policy data, as CoCo's generator writes it. Yours, AUTO(json).
 */
struct json_object *initdata_claims(const struct initdata *initdata);
