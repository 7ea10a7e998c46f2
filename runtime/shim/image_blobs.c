#include "runtime/shim/image_blobs.h"

#include <string.h>

#include "runtime/oci/layout.h"

enum { MANIFEST_MAX = 4 << 20 };

void image_blobs_free(struct image_blobs *blobs)
{
    free(blobs->digests);
    *blobs = (struct image_blobs){ 0 };
}

bool image_blobs_hold(const struct image_blobs *blobs, const char *digest)
{
    for (size_t i = 0; i < blobs->n; i++)
        if (strcmp(blobs->digests[i], digest) == 0)
            return true;
    return false;
}

static FALLIBLE add(struct image_blobs *blobs, const char *digest, struct err *err)
{
    if (image_blobs_hold(blobs, digest) || strlen(digest) >= IMAGE_BLOBS_DIGEST)
        return true; /* a longer one has no file here */
    if (blobs->n == IMAGE_BLOBS_MAX)
        return fail_with(err, ERR_LIMIT, "pull: over %d blobs in one pod", IMAGE_BLOBS_MAX);
    void *grown = realloc(blobs->digests, (blobs->n + 1) * sizeof *blobs->digests);
    if (!grown)
        abort();
    blobs->digests = grown;
    memcpy(blobs->digests[blobs->n++], digest, strlen(digest) + 1);
    return true;
}

static FALLIBLE add_named(struct image_blobs *blobs, struct bytes text, struct err *err)
{
    AUTO(manifest) struct manifest manifest = { 0 };
    struct json_object            *document = NULL;
    struct digest_text             name;

    if (!oci_document_read(text, &document, err) || !manifest_read_take(document, &manifest, err))
        return context(err, "pull");
    name         = digest_text(&manifest.config.digest);
    bool is_good = add(blobs, name.at, err);
    for (size_t i = 0; is_good && i < manifest.n_layers; i++) {
        name    = digest_text(&manifest.layers[i].digest);
        is_good = add(blobs, name.at, err);
    }
    return is_good;
}

FALLIBLE image_blobs_add(struct image_blobs *blobs, const char *const directories[static IMAGE_STORES], const char *digest,
                         struct err *err)
{
    if (!add(blobs, digest, err))
        return false;
    for (size_t i = 0; i < IMAGE_STORES; i++) {
        AUTO(buffer) struct buffer text = { 0 };

        if (!directories[i])
            continue;
        if (layout_read_blob(directories[i], digest, MANIFEST_MAX, &text, err))
            return add_named(blobs, buffer_bytes(&text), err);
        if (err->kind != ERR_NOT_FOUND)
            return context(err, "pull");
    }
    return true;
}
