/* One 512-byte tar header: v7, ustar and GNU forms. [POSIX pax, ustar interchange format; GNU tar, basic format] */
#pragma once

#include "base/bytes.h"

enum { TAR_BLOCK_LEN = 512, TAR_SPARSE_IN_HEADER = 4, TAR_SPARSE_IN_BLOCK = 21 };

struct tar_extent { uint64_t offset, len; };

struct tar_header {
    char     type; /* '0' also for the zero byte */
    char     name[155 + 1 + 100 + 1];
    char     link[100 + 1];
    uint32_t mode; /* 12 bits */
    uint32_t uid, gid;
    uint64_t size; /* bytes that follow */
    int64_t  mtime;
    uint32_t major, minor;

    /* type 'S' only: GNU's old sparse form */
    struct tar_extent extents[TAR_SPARSE_IN_HEADER];
    size_t            n_extents;
    bool              has_more_extents;
    uint64_t          real_size;
};

/* Fails MALFORMED: checksum, numbers. `block` is TAR_BLOCK_LEN bytes, not all zero. */
FALLIBLE tar_header_read(struct bytes block, struct tar_header *out, struct err *err);

/* The block of further extents behind a sparse header; appends up to TAR_SPARSE_IN_BLOCK. */
FALLIBLE tar_sparse_block_read(struct bytes block, struct tar_extent out[static TAR_SPARSE_IN_BLOCK], size_t *n,
                               bool *has_more, struct err *err);
