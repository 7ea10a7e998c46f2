/*
 * An image's layer as the host lends it: a read-only disk with a file system in blocks and the hash tree behind it. Nothing
 * of it reaches the kernel's file system code but blocks that dm-verity found under a root hash which the caller
 * has from a verified manifest; encrypted ones are decrypted (dm-crypt) after that.
 */
#pragma once

#include "base/secret.h"

#define IMAGE_DISK_PREFIX "img-" /* of the serial; then the first digits of the layer's digest */
#define IMAGE_DISK_ROOT   "/run/images"

enum { IMAGE_DISK_HEX = 16, IMAGE_DISK_HASH_LEN = 32, IMAGE_DISK_BLOCK_LEN = 4096, IMAGE_DISK_PATH_MAX = 64, IMAGE_DISKS_MAX = 64 };

struct image_disk {
    char     hex[IMAGE_DISK_HEX + 1];    /* of the layer's digest */
    uint64_t n_blocks;                   /* of data */
    uint64_t n_tree_blocks;
    uint8_t  root[IMAGE_DISK_HASH_LEN];
    uint8_t  key_sha256[IMAGE_DISK_HASH_LEN]; /* tells keys apart; zeros for a layer that is not encrypted */
};

/* Where it is mounted: one root hash, one place, for as long as the guest lives. */
void image_disk_path(const struct image_disk *disk, char out[static IMAGE_DISK_PATH_MAX]);

/* What was mounted, and devices that were made ahead of it. Zero at first. */
struct image_disks {
    unsigned n_reserved;
    size_t   n_mounted;
    struct image_disk mounted[IMAGE_DISKS_MAX];
};

/* For who waits for the first order anyway: the first mount then takes less time. */
void image_disks_prepare(struct image_disks *disks);

/*
 * Whether it is mounted. Who names the root hash of another's image, and not its key, does not get to read it.
 *
 * Fails UNTRUSTED for that root hash with anything else of `disk` different; LIMIT when it is not and there are
 * IMAGE_DISKS_MAX.
 */
FALLIBLE image_disks_look(const struct image_disks *disks, const struct image_disk *disk, bool *is_mounted, struct err *err);

/*
 * Finds the disk and mounts its file system there, read-only, unless it is already.
 *
 *   key    64 bytes of AES-256-XTS; of length 0 for a layer that is not encrypted
 *
 * Fails as image_disks_look; NOT_FOUND when the host lent no such disk, UNTRUSTED when its blocks are not what the root says,
 * MALFORMED for a short disk, and for what is no file system, OS.
 */
FALLIBLE image_disk_mount(struct image_disks *disks, const struct image_disk *disk, const struct secret *key, struct err *err);

/* Whether the host has given other blocks since then. `path` is from image_disk_path. False for what is no such mount. */
bool image_disk_is_damaged(const char *path);
