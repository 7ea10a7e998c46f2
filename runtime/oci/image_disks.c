#include "runtime/oci/image_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "keys/ocicrypt/block_layer.h"

enum { HEX_LEN = 16 }; /* of the layer's digest: with "img-" it fills the serial */

void image_disks_free(struct image_disks *disks)
{
    for (size_t i = 0; i < disks->n; i++)
        auto_fd(&disks->at[i].fd);
    disks->n = 0;
}

static bool is_mounted(const struct descriptor *layer)
{
    return strcmp(layer->media_type, BLOCK_LAYER_TYPE) == 0 || strcmp(layer->media_type, BLOCK_LAYER_TYPE "+encrypted") == 0;
}

static FALLIBLE disk_add(const char *directory, const struct descriptor *layer, struct image_disks *disks, struct err *err)
{
    struct digest_text digest = digest_text(&layer->digest);
    char               path[LAYOUT_PATH_MAX + 192];
    AUTO(fd) int       fd = NO_FD;

    (void) snprintf(path, sizeof path, "%s/blobs/%s/%s", directory, digest_algorithm_name(layer->digest.algorithm),
                    digest_hex(&digest)); /* fits */
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) /* likewise for one that is short: the guest judges what it is lent */
        return errno == ENOENT || err_os(err, "open %.160s", path);
    if (disks->n == IMAGE_DISKS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d layers that are mounted", IMAGE_DISKS_MAX);
    (void) snprintf(disks->at[disks->n].serial, IMAGE_DISK_SERIAL_LEN + 1, "img-%.*s", HEX_LEN, digest_hex(&digest)); /* fits */
    disks->at[disks->n++].fd = TAKE_FD(fd);
    return true;
}

FALLIBLE image_disks_open(const char *directory, const char *digest, struct image_disks *out, struct err *err)
{
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(manifest) struct manifest manifest = { 0 };
    struct json_object            *document = NULL;

    if (!layout_read_blob(directory, digest, OCI_DOCUMENT_MAX, &text, err) ||
        !oci_document_read(buffer_bytes(&text), &document, err) || !manifest_read_take(document, &manifest, err))
        return false;
    for (size_t i = 0; i < manifest.n_layers; i++)
        if (is_mounted(&manifest.layers[i]) && !disk_add(directory, &manifest.layers[i], out, err))
            return false;
    return true;
}
