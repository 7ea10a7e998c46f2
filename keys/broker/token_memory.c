#include "keys/broker/token_memory.h"

#include <string.h>

enum { SLOTS = 16384 }; /* half a MiB; a digest that finds its slot taken takes it over */

struct token_memory {
    uint8_t digests[SLOTS][SHA256_LEN]; /* all zero: empty; no token hashes to that */
};

struct token_memory *token_memory_new(void)
{
    struct token_memory *memory = calloc(1, sizeof *memory);

    if (!memory)
        abort();
    return memory;
}

void token_memory_free(struct token_memory *memory) { free(memory); }

static size_t slot_of(const uint8_t *digest) { return ((size_t) digest[0] << 8 | digest[1]) % SLOTS; }

bool token_memory_holds(const struct token_memory *memory, const uint8_t digest[static SHA256_LEN])
{
    return memory && memcmp(memory->digests[slot_of(digest)], digest, SHA256_LEN) == 0;
}

void token_memory_add(struct token_memory *memory, const uint8_t digest[static SHA256_LEN])
{
    if (memory)
        memcpy(memory->digests[slot_of(digest)], digest, SHA256_LEN);
}
