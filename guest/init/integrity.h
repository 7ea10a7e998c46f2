/* What the kernel's dm-integrity keeps at the start of a disk. [Linux, Documentation/admin-guide/device-mapper/dm-integrity.rst] */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum { INTEGRITY_SUPERBLOCK_LEN = 512 };

/* Reads how many sectors of 512 bytes an integrity device provides, off its superblock, in whole pages. Fails MALFORMED. */
FALLIBLE integrity_superblock_read(struct bytes superblock, uint64_t disk_sectors, uint64_t *out, struct err *err);
