#include "keys/api/sealed_secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing is signed by a key that was made a moment ago; what is read of the unsigned form names one resource. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY                          *key;
    AUTO(sealed_secret) struct sealed_secret  secret = { 0 };
    struct bytes                              text   = { data, size };
    char                                      kid[SEALED_URI_MAX + 1];
    struct err                                err;

    if (!key)
        key = EVP_EC_gen("P-256");
    if (sealed_secret_signer(text, kid, &err) && !sealed_secret_is(text))
        __builtin_trap();
    if (sealed_secret_read(text, key, &secret, &err))
        __builtin_trap();
    if (sealed_secret_read(text, NULL, &secret, &err) && (!secret.resource[0] || kid[0]))
        __builtin_trap();
    return 0;
}
