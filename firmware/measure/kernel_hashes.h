/*
 * The table through which QEMU binds kernel, initrd and command line to an SEV launch: three SHA-256 digests,
 * each under its GUID. The guest firmware reads it from a measured page. [QEMU kernel-hashes]
 */
#pragma once

#include "firmware/measure/launch_digest.h"

enum { KERNEL_HASHES_LEN = 176 }; /* 168 bytes of table, padded to 16 */

struct kernel_hashes { uint8_t cmdline[32], initrd[32], kernel[32]; };

/* `append` is the command line text, NULL for none; its digest covers the terminating zero, as QEMU has it. */
void kernel_hashes_of(struct bytes kernel, struct bytes initrd, const char *append, struct kernel_hashes *out);

/* The table itself: what the launcher writes into an image at the place that kernel_hashes_patch() finds. */
void kernel_hashes_write(const struct kernel_hashes *hashes, uint8_t table[static KERNEL_HASHES_LEN]);

/* A page of zeros with the table at `offset`; false when it would not fit. */
bool kernel_hashes_page(const struct kernel_hashes *hashes, size_t offset, uint8_t page[static LAUNCH_PAGE_LEN]);

/*
 * Writes the table into a firmware image in memory, at the place that a stage0 image names for it: for platforms
 * on which QEMU does not hand hashes to the firmware. Fails as footer_read() does, and NOT_FOUND for an image that
 * names no such place: it would start any kernel.
 */
FALLIBLE kernel_hashes_patch(const struct kernel_hashes *hashes, uint8_t *image, size_t len, struct err *err);
