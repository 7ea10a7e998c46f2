/* Evidence of TEE "sample": a stand-in that proves nothing, for tests of clients. [evidence-formats 1] */
#pragma once

#include "keys/broker/appraise.h"

/* As appraise() does; nobody vouches for what it says. */
FALLIBLE sample_appraise(const struct rcar_attestation *attestation, const uint8_t digest[static RCAR_DIGEST_LEN],
                         struct facts *out, struct err *err);
