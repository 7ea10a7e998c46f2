/* Extended headers: "LENGTH name=value\n" records. [POSIX pax, pax extended header; GNU tar, sparse formats] */
#pragma once

#include "base/auto.h"
#include "guest/image/limits.h"
#include "guest/image/tar_header.h"

struct tar_xattr {
    struct bytes name; /* "user.x", "security.capability", ... */
    struct bytes value;
};

/* What the records said; views borrow from the text that was read. A member without `has_` keeps the header's. */
struct pax {
    bool              has_path, has_link, has_size, has_uid, has_gid, has_mtime;
    struct bytes      path, link; /* never with a zero byte in them */
    uint64_t          size;
    uint32_t          uid, gid;
    int64_t           mtime;
    uint32_t          mtime_ns;
    struct tar_xattr  xattrs[TAR_XATTRS_MAX];
    size_t            n_xattrs;

    bool               is_sparse;        /* any GNU.sparse record */
    uint64_t           sparse_major;     /* 1: the map stands before the content */
    bool               has_real_size;
    uint64_t           real_size;
    struct bytes       sparse_name;      /* empty: none */
    struct tar_extent *extents;          /* owned: of the forms 0.0 and 0.1 */
    size_t             n_extents;
    bool               is_extent_open;   /* an offset is waiting for its length */
};

void pax_free(struct pax *pax);
static inline void auto_pax(struct pax *pax) { pax_free(pax); }

enum pax_scope { PAX_ONE_FILE, PAX_GLOBAL };

/*
 * Reads the records into `out`, which is in its zero state before. Records that we have no use for are skipped.
 * Fails MALFORMED, LIMIT; UNSUPPORTED for a global record that would change what a file is.
 */
FALLIBLE pax_read(struct bytes text, enum pax_scope scope, struct pax *out, struct err *err);

/* A decimal number without sign, as the records and the sparse maps have them. */
FALLIBLE pax_number(struct bytes text, uint64_t most, uint64_t *out, struct err *err);
