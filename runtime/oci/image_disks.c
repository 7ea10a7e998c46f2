#include "runtime/oci/image_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "keys/ocicrypt/layer_type.h"

enum { HEX_LEN = 16 }; /* of the layer's digest: with "img-" it fills the serial */

void image_disks_free(struct image_disks *disks)
{
    for (size_t i = 0; i < disks->n; i++)
        auto_fd(&disks->at[i].fd);
    disks->n = 0;
}

static bool is_mounted(const struct descriptor *layer)
{
    const struct layer_type *type;
    struct err               ignored; /* of another type */

    return layer_type_find(layer->media_type, &type, &ignored) && type->packing == LAYER_EROFS;
}

/* NO_FD when none of them has it; likewise for one that is short: the guest judges what it is lent. */
static FALLIBLE blob_open(const char *const directories[static IMAGE_STORES], const struct digest_text *digest, const char *algorithm, int *out,
                          struct err *err)
{
    char path[LAYOUT_PATH_MAX + 192];

    *out = NO_FD;
    for (size_t i = 0; i < IMAGE_STORES && *out < 0; i++) {
        if (!directories[i])
            continue;
        (void) snprintf(path, sizeof path, "%s/blobs/%s/%s", directories[i], algorithm, digest_hex(digest)); /* a cut path is none */
        *out = open(path, O_RDONLY | O_CLOEXEC);
        if (*out < 0 && errno != ENOENT)
            return err_os(err, "open %.160s", path);
    }
    return true;
}

static bool is_coming(const char *const directories[static IMAGE_STORES], const struct digest_text *digest)
{
    char path[LAYOUT_PATH_MAX + 192];
    bool is_found = false;

    for (size_t i = 0; i < IMAGE_STORES && !is_found; i++) {
        if (!directories[i])
            continue;
        (void) snprintf(path, sizeof path, "%s/incoming/%s", directories[i], digest_hex(digest)); /* a cut path is none */
        is_found = access(path, F_OK) == 0;
    }
    return is_found;
}

static FALLIBLE disk_add(const char *const directories[static IMAGE_STORES], const struct descriptor *layer, struct image_disks *disks, struct err *err)
{
    struct digest_text digest = digest_text(&layer->digest);
    AUTO(fd) int       fd     = NO_FD;

    if (!blob_open(directories, &digest, digest_algorithm_name(layer->digest.algorithm), &fd, err))
        return false;
    disks->n_missing += fd < 0;
    disks->n_coming += fd < 0 && is_coming(directories, &digest);
    if (fd < 0)
        return true;
    if (disks->n == IMAGE_DISKS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d layers that are mounted", IMAGE_DISKS_MAX);
    (void) snprintf(disks->at[disks->n].serial, IMAGE_DISK_SERIAL_LEN + 1, "img-%.*s", HEX_LEN, digest_hex(&digest)); /* fits */
    disks->at[disks->n++].fd = TAKE_FD(fd);
    return true;
}

static FALLIBLE find_manifest(const char *const directories[static IMAGE_STORES], const char *digest, struct buffer *text, struct err *err)
{
    (void) fail_with(err, ERR_NOT_FOUND, "no place for image %.80s", digest); /* false is what it returns */
    for (size_t i = 0; i < IMAGE_STORES; i++) {
        if (!directories[i])
            continue;
        if (layout_read_blob(directories[i], digest, OCI_DOCUMENT_MAX, text, err))
            return true;
        if (err->kind != ERR_NOT_FOUND)
            return false;
    }
    return false;
}

FALLIBLE image_disks_open(const char *const directories[static IMAGE_STORES], const char *digest, struct image_disks *out, struct err *err)
{
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(manifest) struct manifest manifest = { 0 };
    struct json_object            *document = NULL;

    if (!find_manifest(directories, digest, &text, err) || !oci_document_read(buffer_bytes(&text), &document, err) ||
        !manifest_read_take(document, &manifest, err))
        return false;
    for (size_t i = 0; i < manifest.n_layers; i++)
        if (is_mounted(&manifest.layers[i]) && !disk_add(directories, &manifest.layers[i], out, err))
            return false;
    return true;
}
