/* SHA-384, in the plainest way: stage0 hashes only a few bytes with it, for TDX's measurement registers. [FIPS 180-4] */
#pragma once

#include "base/bytes.h"

enum { SHA384_DIGEST_LEN = 48 };

void sha384(struct bytes message, uint8_t out[static SHA384_DIGEST_LEN]);
