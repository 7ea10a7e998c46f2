/*
 * A tar archive as a sequence of entries: v7, ustar, GNU and pax forms, sparse files in all four encodings.
 * Reads one stream front to back and keeps only the current entry. Judges form, not names: see entry_path.h.
 */
#pragma once

#include "guest/image/stream.h"
#include "guest/image/tar_pax.h"

enum tar_kind { TAR_FILE, TAR_HARD_LINK, TAR_SYMBOLIC_LINK, TAR_CHARACTER, TAR_BLOCK, TAR_FOLDER, TAR_FIFO };

struct tar_entry {
    enum tar_kind            kind;
    const char              *name; /* as it stands in the archive; no zero byte inside, 1 to TAR_PATH_MAX bytes */
    const char              *link; /* of links, else "" */
    uint32_t                 mode; /* 12 bits */
    uint32_t                 uid, gid;
    int64_t                  mtime;
    uint32_t                 mtime_ns;
    uint32_t                 major, minor;
    uint64_t                 size;    /* of the file, holes included */
    uint64_t                 stored;  /* bytes of content in the archive; `size` unless there are holes */
    const struct tar_extent *extents; /* of a sparse file: ascending, apart, within `size`; their lengths sum to `stored` */
    size_t                   n_extents;
    bool                     is_sparse;
    const struct tar_xattr  *xattrs;
    size_t                   n_xattrs;
};

struct tar {
    struct stream from;
    struct bytes  ahead;        /* rest of the current piece */
    uint64_t      offset;       /* in the archive, for messages */
    uint64_t      content_left; /* of the current entry */
    uint64_t      padding_left;
    bool          is_ended;

    struct buffer      name, link, extended; /* back the current entry */
    struct pax         pax;
    struct tar_extent *extents; /* of the forms "old GNU" and 1.0 */
    size_t             n_extents;
};

struct tar tar_over(struct stream from);
void       tar_free(struct tar *tar);
static inline void auto_tar(struct tar *tar) { tar_free(tar); }

/*
 * Steps to the next entry, over what is left of the current one.
 *
 *   out       valid until the next call; its views belong to `tar`
 *   is_end    set instead of `out` at the end; the stream has then been read to its last byte
 *
 * Fails as the stream does; MALFORMED with the offset; LIMIT; UNSUPPORTED for kinds that are no files.
 */
FALLIBLE tar_next(struct tar *tar, struct tar_entry *out, bool *is_end, struct err *err);

/* The next piece of the current entry's stored content, borrowed until the next call; empty at its end. */
FALLIBLE tar_content(struct tar *tar, struct bytes *piece, struct err *err);
