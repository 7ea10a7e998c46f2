/* Media types of layers, plain and encrypted. [OCI-IMAGE media types; OCICRYPT] */
#pragma once

#include "base/err.h"

enum layer_packing { LAYER_TAR, LAYER_TAR_GZIP, LAYER_TAR_ZSTD, LAYER_EROFS /* mounted, not unpacked: block_layer.h */ };

struct layer_type {
    const char        *name;
    enum layer_packing packing;
    bool               is_encrypted;
    const char        *encrypted; /* what it becomes when it is encrypted; NULL for one that is */
    const char        *plain;     /* ... and back; NULL for a plain one */
};

/* Fails UNSUPPORTED, with the type's name. `out` is a constant that lives as long as the program. */
FALLIBLE layer_type_find(const char *media_type, const struct layer_type **out, struct err *err);
