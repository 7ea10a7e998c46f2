#include "guest/signature/cosign.h"

static void layers_add(struct bytes manifest)
{
    AUTO(signatures) struct signatures signatures = { .n = 0 };
    AUTO(manifest) struct manifest     read       = { 0 };
    struct json_object                *document;
    struct err                         err;

    if (!oci_document_read(manifest, &document, &err) || !artifact_read_take(document, &read, &err))
        return;
    for (size_t i = 0; i < read.n_layers; i++)
        if (!cosign_layer_add(&read.layers[i], manifest, &signatures, &err))
            return;
    if (signatures.n > SIGNATURES_MAX)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes         all = { data, size };
    AUTO(pkey) EVP_PKEY *key = NULL;
    struct digest        digests[SIGNATURES_MAX];
    size_t               n, n_bundles;
    struct err           err;

    if (size > 0 && data[0] == '-') { /* a key costs OpenSSL more time than all the rest: it is no document */
        if (cosign_key_read(all, &key, &err) && !key)
            __builtin_trap();
        return 0;
    }
    layers_add(all);
    if (cosign_referrers_read(all, digests, &n, &n_bundles, &err) && n > SIGNATURES_MAX)
        __builtin_trap();
    return 0;
}
