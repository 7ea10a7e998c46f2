/*
 * One digest over all that is in a directory: what a receipt says of a volume, and what its owner computes over the same files
 * elsewhere. SHA-256 over one record for each entry below the directory, in the order of their paths as bytes ('/' before
 * every other byte: a directory, then what is in it):
 *
 *   TYPE MODE SIZE CONTENT PATH, a space between, a zero byte behind
 *
 * TYPE     f, d or l: files, directories, symbolic links; anything else is refused
 * MODE     permission bits, four octal digits; of a link 0777
 * SIZE     in bytes, decimal; of a directory 0
 * CONTENT  SHA-256, hex, of a file's bytes or of a link's target; of a directory "-"
 * PATH     from the directory on, without "./"
 *
 * Owners, times, attributes and links between files are left out: they say where a volume was, not what came out.
 */
#pragma once

#include "base/ossl.h"

enum { TREE_ENTRIES_MAX = 1 << 20, TREE_DEPTH_MAX = 64, TREE_PATH_MAX = 4096 };

struct tree_digest {
    uint8_t  sha256[SHA256_LEN];
    uint64_t entries; /* of every type */
    uint64_t bytes;   /* of files */
};

/* Follows no link. Fails LIMIT, UNSUPPORTED for a device, a pipe or a socket, OS. */
FALLIBLE tree_digest_of(int directory_fd, struct tree_digest *out, struct err *err);
