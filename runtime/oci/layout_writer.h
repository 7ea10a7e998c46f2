/* Writing into an OCI layout on disk: blobs first, each without a name until its digest is known; the index last. */
#pragma once

#include "runtime/oci/layout.h"

/* Makes the folders of a layout and its version file, unless they are there. */
FALLIBLE layout_make(const char *directory, struct err *err);

/* Stores `content` under its sha256; `out` gets the digest and the size, no media type. */
FALLIBLE layout_put_blob(const char *directory, struct bytes content, struct descriptor *out, struct err *err);

/* A blob that is written piece by piece. What is not kept is gone, also when this process is killed. */
struct layout_sink {
    char              temporary[LAYOUT_PATH_MAX + 64]; /* "": it has no name */
    int               fd;
    uint64_t          size;
    struct digest_run digest;
};

#define NO_LAYOUT_SINK ((struct layout_sink){ .fd = NO_FD })

FALLIBLE layout_sink_open(const char *directory, struct layout_sink *out, struct err *err);
/* The same with a name from the start, for file systems that have no files without one: a kill leaves it behind. */
FALLIBLE layout_sink_open_named(const char *directory, struct layout_sink *out, struct err *err);
FALLIBLE layout_sink_write(struct layout_sink *sink, struct bytes piece, struct err *err);
/* Gives the blob its name; `digest` and `size` of `out` are set. */
FALLIBLE layout_sink_keep(struct layout_sink *sink, const char *directory, struct descriptor *out, struct err *err);
void     layout_sink_free(struct layout_sink *sink);
static inline void auto_layout_sink(struct layout_sink *sink) { layout_sink_free(sink); }

/* Opens a blob to read; fails NOT_FOUND, and MALFORMED when its size is not the descriptor's. */
FALLIBLE layout_open_blob(const char *directory, const struct descriptor *blob, int *out_fd, struct err *err);

/* Names the manifest in index.json; an entry that has the same tag, or none when `tag` is "", is replaced. */
FALLIBLE layout_name_manifest(const char *directory, const struct descriptor *manifest, const char *tag,
                              struct err *err);
