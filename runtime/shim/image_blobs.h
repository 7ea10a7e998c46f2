/*
 * Which blobs a pod's guest may read from the node's stores: its images' manifests and what these name, and no others'.
 * Guests check what they get; this keeps a guest from reading its neighbours' images by digest.
 */
#pragma once

#include "runtime/oci/image_disks.h"

enum { IMAGE_BLOBS_MAX = 8192, IMAGE_BLOBS_DIGEST = 7 + 64 + 1 };

struct image_blobs {
    char (*digests)[IMAGE_BLOBS_DIGEST]; /* owned */
    size_t n;
};

void image_blobs_free(struct image_blobs *blobs);
static inline void auto_image_blobs(struct image_blobs *blobs) { image_blobs_free(blobs); }

bool image_blobs_hold(const struct image_blobs *blobs, const char *digest);

/*
 * Adds a manifest and what it names. One that is in no directory is added alone: the guest may find it elsewhere.
 *
 *   directories   each with blobs/sha256/… below it; NULL: none
 *
 * Fails LIMIT; MALFORMED, UNTRUSTED for a manifest that is none.
 */
FALLIBLE image_blobs_add(struct image_blobs *blobs, const char *const directories[static IMAGE_STORES], const char *digest,
                         struct err *err);
