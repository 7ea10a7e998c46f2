#include "keys/jose/jwe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing opens with a key that no sender has seen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY           *p256, *p521;
    AUTO(secret) struct secret plain = { 0 };
    struct bytes               text  = { data, size };
    struct err                 err;

    if (!p256) {
        p256 = EVP_EC_gen("P-256");
        p521 = EVP_EC_gen("P-521");
        if (!secret_heap_open(&err))
            __builtin_trap();
    }
    if (jwe_open(text, 1 << 16, p256, &plain, &err) || jwe_open(text, 1 << 16, p521, &plain, &err))
        __builtin_trap();
    return 0;
}
