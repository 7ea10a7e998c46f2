/* TDX results as the claims that CoCo's policies expect, every register as hex of its raw bytes. [evidence-formats.md 3.3] */
#pragma once

#include "attestation/verifier/tdx.h"

/*
 * What a genuine quote says: members quote, td_attributes, tcb_status, ..., report_data and init_data.
 * NULL when `r` is not genuine: what nobody vouches for is no claim. The caller releases it.
 */
struct json_object *tdx_claims(const struct tdx_result *r);
