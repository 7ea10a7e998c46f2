/* The list of files that QEMU offers through fw_cfg. [QEMU fw_cfg] */
#pragma once

#include "base/bytes.h"

enum { DIRECTORY_FILES_MAX = 256, DIRECTORY_NAME_LEN = 56, DIRECTORY_ENTRY_LEN = 64 };

struct directory_file {
    uint32_t len;
    uint16_t key;
};

/*
 * Finds `name` in `entries`: the bytes behind the directory's count, 64 for each file.
 *
 *   out    written only when the file is there
 *
 * Success with `*present == false` when there is no such file. Fails MALFORMED for a name without an end and for a
 * file that is listed twice, LIMIT for too many files.
 */
FALLIBLE directory_find(struct bytes entries, const char *name, bool *present, struct directory_file *out,
                        struct err *err);
