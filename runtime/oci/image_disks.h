/* Which blobs of an image a guest mounts, and so wants as disks. */
#pragma once

#include "runtime/oci/layout.h"

enum { IMAGE_DISKS_MAX = 4, IMAGE_DISK_SERIAL_LEN = 20, IMAGE_STORES = 3 };

struct image_disks {
    struct { int fd; char serial[IMAGE_DISK_SERIAL_LEN + 1]; } at[IMAGE_DISKS_MAX]; /* descriptors are owned */
    size_t n, n_missing, n_coming; /* of layers whose blob is nowhere; of these: that one of the stores is fetching */
};

void image_disks_free(struct image_disks *disks);
static inline void auto_image_disks(struct image_disks *disks) { image_disks_free(disks); }

/*
 * Opens the layers of blocks that the image `digest` has; none for an image that is unpacked. A blob that no place has is
 * left out: the guest says so.
 *
 *   directories   layouts, or stores of blobs in that form, in the order in which they are looked at; NULL: none. What is on its
 *                 way into one has a file below incoming/ (runtime/snapshotter/blob_cache.h)
 *   out           yours, AUTO(image_disks), also on failure
 *
 * Fails NOT_FOUND without a manifest, MALFORMED, LIMIT, UNTRUSTED, OS.
 */
FALLIBLE image_disks_open(const char *const directories[static IMAGE_STORES], const char *digest, struct image_disks *out, struct err *err);
