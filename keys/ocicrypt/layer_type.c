#include "keys/ocicrypt/layer_type.h"

#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "keys/ocicrypt/block_layer.h"

#define OCI    "application/vnd.oci.image.layer.v1.tar"
#define NONDIST "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define DOCKER "application/vnd.docker.image.rootfs.diff.tar"
#define FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"

#define PAIR(prefix, suffix, packing)                                                   \
    { prefix suffix, packing, false, prefix suffix "+encrypted", NULL },                \
    { prefix suffix "+encrypted", packing, true, NULL, prefix suffix }

/* Docker's types have no encrypted form of their own: they become the OCI one. */
#define ONE_WAY(name, becomes, packing) { name, packing, false, becomes "+encrypted", NULL }

static const struct layer_type types[] = {
    PAIR(OCI, "", LAYER_TAR),
    PAIR(OCI, "+gzip", LAYER_TAR_GZIP),
    PAIR(OCI, "+zstd", LAYER_TAR_ZSTD),
    PAIR(NONDIST, "", LAYER_TAR),
    PAIR(NONDIST, "+gzip", LAYER_TAR_GZIP),
    PAIR(NONDIST, "+zstd", LAYER_TAR_ZSTD),
    PAIR(BLOCK_LAYER_TYPE, "", LAYER_EROFS),
    PAIR(BLOCK_LAYER_TYPE_0, "", LAYER_EROFS),
    ONE_WAY(DOCKER, OCI, LAYER_TAR),
    ONE_WAY(DOCKER ".gzip", OCI "+gzip", LAYER_TAR_GZIP),
    ONE_WAY(DOCKER ".zstd", OCI "+zstd", LAYER_TAR_ZSTD),
    ONE_WAY(FOREIGN, NONDIST, LAYER_TAR),
    ONE_WAY(FOREIGN ".gzip", NONDIST "+gzip", LAYER_TAR_GZIP),
};

FALLIBLE layer_type_find(const char *media_type, const struct layer_type **out, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, media_type) == 0) {
            *out = &types[i];
            return true;
        }
    printable_append(&shown, bytes_of_text(media_type), 100);
    return fail_with(err, ERR_UNSUPPORTED, "media type \"%s\" is not a layer that we unpack", buffer_text(&shown));
}
