/*
 * A disk on which the host puts other disks while the guest runs: images and volumes of containers that nobody knew of
 * when it started. No device comes or goes after the start. The first block is a directory; what it says is the host's
 * word: the guest judges each disk by its root hash or its key.
 */
#pragma once

#include "base/bytes.h"

#define SHELF_SERIAL   "cloister-shelf"
#define SHELF_SLOT_LEN (1ULL << 44) /* 16 TiB: no disk is larger */
#define SHELF_LEN      ((SHELF_SLOTS + 1) * SHELF_SLOT_LEN)

enum { SHELF_SLOTS = 31, SHELF_DIRECTORY_LEN = 4096, SHELF_NAME_MAX = 20 /* as serials of virtio-blk */, SHELF_SECTOR = 512 };

/* What lies in a slot. */
struct shelf_row {
    char     name[SHELF_NAME_MAX + 1]; /* of a-z 0-9 -; "": the slot is free */
    uint64_t len;                      /* bytes, whole sectors */
};

struct shelf_directory {
    struct shelf_row rows[SHELF_SLOTS];
};

/* Where slot `i` begins on the shelf, in bytes. */
static inline uint64_t shelf_slot_at(size_t i)
{
    return (i + 1) * SHELF_SLOT_LEN;
}

void shelf_directory_write(const struct shelf_directory *directory, uint8_t out[static SHELF_DIRECTORY_LEN]);

/*
 * Reads the shelf's first block. `out` is written only on success.
 *
 * Fails MALFORMED for anything that shelf_directory_write does not write, and for two rows of one name.
 */
FALLIBLE shelf_directory_read(struct bytes block, struct shelf_directory *out, struct err *err);

/* The slot of that name, or SHELF_SLOTS. */
size_t shelf_find(const struct shelf_directory *directory, const char *name);
