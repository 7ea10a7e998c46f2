/*
 * A tree written as an EROFS file system: not compressed, blocks of 4096 bytes, the same bytes for the same tree.
 * [Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst]
 */
#pragma once

#include "runtime/erofs/erofs_tree.h"

enum { EROFS_BLOCK_LEN = 4096 };

struct erofs_image {
    struct erofs_tree *tree;       /* borrowed; its nodes' `place` is used */
    int                content_fd; /* borrowed: contents of files */
    bool (*put)(void *owner, struct bytes piece, struct err *err); /* takes what is written, in order, whole blocks */
    void  *owner;
};

/* Fails LIMIT for what the format cannot hold, OS, or as `put`. */
FALLIBLE erofs_image_write(const struct erofs_image *image, struct err *err);
