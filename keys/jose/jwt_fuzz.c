#include "keys/jose/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No token verifies under a key that was made a moment ago; one that can be peeked into has an object inside. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY               *ec, *ed;
    AUTO(json) struct json_object *payload = NULL;
    AUTO(json) struct json_object *peeked  = NULL;
    struct bytes                   token   = { data, size };
    struct err                     err;

    if (!ec) {
        ec = EVP_EC_gen("P-256");
        ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    if (jwt_verify(token, 1 << 16, ec, &payload, &err) || jwt_verify(token, 1 << 16, ed, &payload, &err))
        __builtin_trap();
    if (jwt_peek(token, 1 << 16, &peeked, &err)) {
        if (!json_object_is_type(peeked, json_type_object))
            __builtin_trap();
        if (jwt_check_times(peeked, 0, 0, &err) && !json_has(peeked, "exp"))
            __builtin_trap();
    }
    return 0;
}
