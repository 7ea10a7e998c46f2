#include "keys/ocicrypt/layer_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(layer_private) struct layer_private private = { .nonce = { 0 } };
    AUTO(secret) struct secret               json    = { 0 };
    AUTO(buffer) struct buffer               text    = { 0 };
    struct layer_public                      public, again;
    struct err                               err;

    if (layer_public_read((struct bytes){ data, size }, &public, &err)) {
        layer_public_write(&public, &text);
        if (!layer_public_read(buffer_bytes(&text), &again, &err) ||
            !bytes_equal(BYTES_OF(public.hmac), BYTES_OF(again.hmac)))
            __builtin_trap();
    }
    if (size > 0 && secret_copy((struct bytes){ data, size }, &json, &err) &&
        layer_private_read(&json, &private, &err) && private.key.len != ENC_KEY_LEN)
        __builtin_trap();
    return 0;
}
