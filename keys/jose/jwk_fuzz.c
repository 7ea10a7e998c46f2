#include "keys/jose/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted has a canonical text, and that text reads as the same key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *value = NULL;
    AUTO(json) struct json_object *again = NULL;
    AUTO(jwk) struct jwk           jwk   = { 0 };
    AUTO(jwk) struct jwk           back  = { 0 };
    struct err                     err;

    if (!json_read((struct bytes){ data, size }, JWK_TEXT_MAX, &value, &err) || !jwk_read(value, &jwk, &err))
        return 0;
    if (!json_read(buffer_bytes(&jwk.canonical), JWK_TEXT_MAX, &again, &err) || !jwk_read(again, &back, &err) ||
        EVP_PKEY_eq(jwk.key, back.key) != 1 || !bytes_equal(buffer_bytes(&jwk.canonical), buffer_bytes(&back.canonical)))
        __builtin_trap();
    return 0;
}
