/*
 * Digests of tokens whose signature is known to hold, because this broker made or verified it before: looking one up is
 * a tenth of verifying it. Times and content of a token are judged at every use all the same.
 */
#pragma once

#include "base/auto.h"
#include "base/ossl.h"

struct token_memory;

struct token_memory *token_memory_new(void); /* for one key; another key wants another memory */
void                 token_memory_free(struct token_memory *memory);
DEFINE_AUTO(token_memory, struct token_memory *, token_memory_free)

/* SHA-256 of the whole token, its signature too. `memory` may be NULL: it knows nothing. */
bool token_memory_holds(const struct token_memory *memory, const uint8_t digest[static SHA256_LEN]);
void token_memory_add(struct token_memory *memory, const uint8_t digest[static SHA256_LEN]);
