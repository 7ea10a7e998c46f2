#include "keys/broker/ear_memory.h"

#include <string.h>

#include "keys/broker/ear.h"

struct kept {
    uint8_t    digest[SHA256_LEN];
    uint64_t   used; /* when, in turns of `ear_memory`; 0: empty */
    struct ear ear;
};

struct ear_memory {
    uint64_t    turn;
    struct kept kept[EARS_MAX];
};

struct ear_memory *ear_memory_new(void)
{
    struct ear_memory *memory = calloc(1, sizeof *memory);

    if (!memory)
        abort();
    return memory;
}

void ear_memory_free(struct ear_memory *memory)
{
    for (size_t i = 0; memory && i < EARS_MAX; i++)
        ear_free(&memory->kept[i].ear);
    free(memory);
}

bool ear_memory_find(struct ear_memory *memory, const uint8_t digest[static SHA256_LEN], struct ear *out)
{
    for (size_t i = 0; memory && i < EARS_MAX; i++) {
        struct kept *k = &memory->kept[i];

        if (k->used == 0 || memcmp(k->digest, digest, SHA256_LEN) != 0)
            continue;
        k->used = ++memory->turn;
        ear_copy(&k->ear, out);
        return true;
    }
    return false;
}

void ear_memory_add(struct ear_memory *memory, const uint8_t digest[static SHA256_LEN], size_t token_len, const struct ear *ear)
{
    struct kept *oldest;

    if (!memory || token_len > EAR_TOKEN_MAX)
        return;
    oldest = &memory->kept[0];
    for (size_t i = 1; i < EARS_MAX; i++) {
        if (memory->kept[i].used < oldest->used)
            oldest = &memory->kept[i];
    }
    ear_free(&oldest->ear);
    ear_copy(ear, &oldest->ear);
    memcpy(oldest->digest, digest, SHA256_LEN);
    oldest->used = ++memory->turn;
}
