/* A name in an archive, made fit to be opened below a root: relative, without "." and "..", split at its last step. */
#pragma once

#include "base/bytes.h"
#include "guest/image/limits.h"

enum whiteout { WHITEOUT_NONE, WHITEOUT_NAME, WHITEOUT_OPAQUE };

struct entry_path {
    char          text[TAR_PATH_MAX + 1]; /* holds the other two */
    const char   *parent;                 /* "" for the root */
    const char   *base;                   /* "" when the entry is the root itself; a whiteout's prefix is cut off */
    size_t        depth;                  /* number of steps */
    bool          has_final_slash;
    enum whiteout whiteout;
};

/*
 * Reads `name`. `out` is not to be copied: its texts point into it.
 * Fails MALFORMED for "..", LIMIT for names the kernel would not take, UNSUPPORTED for AUFS metadata.
 */
FALLIBLE entry_path_read(const char *name, struct entry_path *out, struct err *err);
