/*
 * The tokens read last, as they were read: to verify and parse one again is half of what a release costs. A token is known
 * by the digest of all its characters; its times, and everything that policies and the store have to say, are asked anew
 * at every use.
 */
#pragma once

#include "base/auto.h"
#include "base/ossl.h"

enum { EARS_MAX = 128, EAR_TOKEN_MAX = 16 << 10 }; /* beyond so many the one used longest ago goes; longer tokens are not kept */

struct ear;
struct ear_memory;

struct ear_memory *ear_memory_new(void); /* for one key; another key wants another memory */
void               ear_memory_free(struct ear_memory *memory);
DEFINE_AUTO(ear_memory, struct ear_memory *, ear_memory_free)

/*
 * Whether the token of this SHA-256 is known.
 *
 *   memory    may be NULL: it knows nothing
 *   out       yours, AUTO(ear); written only when it is
 */
bool ear_memory_find(struct ear_memory *memory, const uint8_t digest[static SHA256_LEN], struct ear *out);

/* Keeps a copy of what a token whose signature holds says. */
void ear_memory_add(struct ear_memory *memory, const uint8_t digest[static SHA256_LEN], size_t token_len, const struct ear *ear);
