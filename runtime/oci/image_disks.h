/* Which blobs of an image a guest mounts, and so wants as disks. */
#pragma once

#include "runtime/oci/layout.h"

enum { IMAGE_DISKS_MAX = 4, IMAGE_DISK_SERIAL_LEN = 20 };

struct image_disks {
    struct { int fd; char serial[IMAGE_DISK_SERIAL_LEN + 1]; } at[IMAGE_DISKS_MAX]; /* descriptors are owned */
    size_t n;
};

void image_disks_free(struct image_disks *disks);
static inline void auto_image_disks(struct image_disks *disks) { image_disks_free(disks); }

/*
 * Opens the layers of blocks that the image `digest` of the layout has; none for an image that is unpacked. A blob that the layout lacks
 * is left out: the guest says so. Fails NOT_FOUND, MALFORMED, LIMIT, UNTRUSTED, OS.
 */
FALLIBLE image_disks_open(const char *directory, const char *digest, struct image_disks *out, struct err *err);
