/*
 * The layers of an image applied to a tree, bottom first, by the rules by which the guest unpacks them (guest/image/rootfs.h):
 * what comes out is what the guest would have. Contents go to a file, one after the other.
 */
#pragma once

#include "guest/image/image.h"
#include "guest/image/tar.h"
#include "runtime/erofs/erofs_tree.h"

struct erofs_layers {
    struct erofs_tree tree;
    int               content_fd; /* owned: contents of files, at their `stored_at` */
    uint64_t          content_len;
    uint64_t          bytes_max, bytes;
    uint32_t          depth_max;
    unsigned          layer;
};

/* `folder` is where contents wait, in a nameless file. `out` is yours, AUTO(erofs_layers). */
FALLIBLE erofs_layers_open(const char *folder, const struct image_budget *budget, struct erofs_layers *out, struct err *err);
void     erofs_layers_free(struct erofs_layers *layers);
static inline void auto_erofs_layers(struct erofs_layers *layers) { erofs_layers_free(layers); }

#define NO_EROFS_LAYERS ((struct erofs_layers){ .content_fd = NO_FD })

/* Applies the next layer, read to its end. Fails with the entry's name in front, as rootfs_apply. */
FALLIBLE erofs_layers_add(struct erofs_layers *layers, struct stream tar, struct err *err);
