/*
 * The table through which QEMU binds kernel, initrd and command line to an SEV launch: three SHA-256 digests,
 * each under its GUID. Written by launcher and measurement, read by stage0. [QEMU kernel-hashes]
 */
#pragma once

#include "base/bytes.h"

enum { KERNEL_HASHES_LEN = 176 }; /* 168 bytes of table, padded to 16 */

struct kernel_hashes { uint8_t cmdline[32], initrd[32], kernel[32]; };

void hash_table_write(const struct kernel_hashes *hashes, uint8_t table[static KERNEL_HASHES_LEN]);

/*
 * Reads the table at the start of `page`: exactly QEMU's three entries in its order, none missing, none twice, none
 * zero.
 *
 *   out    written only on success
 *
 * Fails NOT_FOUND when the place is all zeros: nobody wrote hashes. MALFORMED otherwise.
 */
FALLIBLE hash_table_read(struct bytes page, struct kernel_hashes *out, struct err *err);
