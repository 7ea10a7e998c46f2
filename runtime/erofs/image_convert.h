/*
 * Makes of an image's layers one that is mounted instead of unpacked: an EROFS file system with its hash tree.
 * [keys/ocicrypt/block_layer.h; docs/decisions/lazy-images.md]
 */
#pragma once

#include "keys/ocicrypt/block_layer.h"
#include "runtime/oci/layout.h"

struct image_convert_outcome {
    struct digest_text manifest;
    size_t             n_layers; /* of the source */
    uint64_t           bytes;    /* of the layer that was made */
    uint64_t           n_files;
};

/*
 * The same source gives the same bytes. Its layers must be plain: encryption comes after conversion.
 *
 * Fails CONFIG for layers that are encrypted or converted already, UNTRUSTED for bytes that are not what a digest or diff_id
 * says, MALFORMED, LIMIT, UNSUPPORTED, NOT_FOUND, OS. On failure the index of `to` is as it was.
 */
FALLIBLE image_convert(const struct layout_reference *from, const struct layout_reference *to,
                       struct image_convert_outcome *out, struct err *err);
