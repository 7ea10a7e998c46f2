#include <string.h>

#include "keys/ocicrypt/layer_key.h"

static bool give_key(void *owner, const char *kid, struct secret *out, struct err *err)
{
    (void) owner;
    if (strncmp(kid, "kbs:///", 7) != 0)
        __builtin_trap(); /* the broker is asked in the one form only */
    return secret_copy(bytes_of_text("0123456789abcdef0123456789abcdef"), out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(manifest) struct manifest   manifest = { 0 };
    AUTO(layer_key) struct layer_key key      = { .public = { { 0 } } };
    struct json_object              *document = NULL;
    struct err                       err;

    if (!oci_document_read((struct bytes){ data, size }, &document, &err) ||
        !manifest_read_take(document, &manifest, &err))
        return 0;
    if (layer_key_open(&manifest.layers[0], give_key, NULL, &key, &err) && key.private.key.len != ENC_KEY_LEN)
        __builtin_trap();
    return 0;
}
