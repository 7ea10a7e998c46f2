/* A CoRIM, or a COSE_Sign1 over one. */
#include "keys/broker/corim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY           *key;
    struct bytes               text    = { data, size };
    AUTO(corim) struct corim   corim   = { 0 };
    AUTO(buffer) struct buffer payload = { 0 };
    size_t                     which;
    struct err                 err;

    if (!key)
        key = EVP_EC_gen("P-256");
    if (corim_is_signed(text) && corim_open_signed(text, &key, 1, &payload, &which, &err))
        __builtin_trap(); /* under a key that was made just now */
    if (corim_read(text, 1000000, &corim, &err) &&
        (!corim.values || json_object_object_length(corim.values) == 0 || corim.expires < 0))
        __builtin_trap();
    return 0;
}
