#include <string.h>

#include "keys/broker/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No text that a peer makes up is a nonce of ours. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secret key;
    struct challenge     challenge;
    char                 id[64] = "", nonce[128] = "";
    size_t               n = size < 32 ? size : 32;
    struct err           err;

    if (!key.held && (!secret_heap_open(&err) || !secret_random(CHALLENGE_KEY_LEN, &key, &err)))
        __builtin_trap();
    memcpy(id, data, n);
    memcpy(nonce, data + n, size - n < sizeof nonce ? size - n : sizeof nonce - 1);
    if (challenge_check(&key, id, nonce, 0, &challenge, &err))
        __builtin_trap();
    return 0;
}
