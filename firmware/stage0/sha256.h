/* SHA-256 for firmware: no library, no state. [FIPS 180-4 6.2] */
#pragma once

#include "base/bytes.h"

extern const uint32_t sha256_constants[64];

enum { SHA256_DIGEST_LEN = 32, SHA256_BLOCK_LEN = 64 };

/* How whole blocks are mixed into the eight words of state. */
typedef void sha256_blocks_fn(uint32_t state[static 8], const uint8_t *blocks, size_t n);

void sha256_blocks_plain(uint32_t state[static 8], const uint8_t *blocks, size_t n);
void sha256_blocks_bmi2(uint32_t state[static 8], const uint8_t *blocks, size_t n);   /* needs BMI1 and BMI2 */
void sha256_blocks_sha_ni(uint32_t state[static 8], const uint8_t *blocks, size_t n); /* needs SHA and SSE4.1 */

void sha256_with(sha256_blocks_fn *blocks, struct bytes message, uint8_t out[static SHA256_DIGEST_LEN]);
