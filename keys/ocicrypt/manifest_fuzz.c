#include "keys/ocicrypt/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(manifest) struct manifest       manifest = { 0 };
    AUTO(image_index) struct image_index index    = { 0 };
    struct json_object                  *document = NULL;
    const struct descriptor             *chosen   = NULL;
    enum oci_kind                        kind     = OCI_MANIFEST;
    struct err                           err;

    if (!oci_document_read((struct bytes){ data, size }, &document, &err))
        return 0;
    bool has_kind = oci_kind_of(document, &kind, &err);

    if (manifest_read_take(json_object_get(document), &manifest, &err) &&
        (!has_kind || kind != OCI_MANIFEST || manifest.n_layers == 0 || manifest.n_layers > OCI_LAYERS_MAX))
        __builtin_trap(); /* one document, two readings */
    if (image_index_read_take(document, &index, &err) &&
        (!has_kind || kind != OCI_INDEX || manifest.document ||
         (image_index_choose(&index, "linux", "amd64", &chosen, &err) && !chosen)))
        __builtin_trap();
    return 0;
}
