/* Disks that the host lends, known by their serial: the order in which it plugs them in says nothing. */
#pragma once

#include <sys/types.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/err.h"

enum { DISK_NAME_MAX = 8, DISK_SERIAL_MAX = 20 /* virtio-blk's */ };

/* Finds the disk of that serial below `blocks` ("/sys/block"); `name` is "" when there is none. Fails MALFORMED for two, OS. */
FALLIBLE disk_find(const char *blocks, const char *serial, char name[static DISK_NAME_MAX], struct err *err);

/* Whether there is a disk whose serial begins so. */
bool disk_with_prefix(const char *blocks, const char *prefix);

struct disk {
    int      fd;
    dev_t    device;
    uint64_t len; /* bytes */
};
static inline void auto_disk(struct disk *disk) { auto_fd(&disk->fd); }

/* Opens /dev/`name`. Fails OS, MALFORMED for what is no block device. */
FALLIBLE disk_open(const char *name, bool read_only, struct disk *out, struct err *err);
