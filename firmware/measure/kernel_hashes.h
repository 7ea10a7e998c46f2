/* The digests that bind kernel, initrd and command line to a launch, made from the files. [QEMU kernel-hashes] */
#pragma once

#include "firmware/image/hash_table.h"
#include "firmware/measure/launch_digest.h"

/* `append` is the command line text, NULL for none; its digest covers the terminating zero, as QEMU has it. */
void kernel_hashes_of(struct bytes kernel, struct bytes initrd, const char *append, struct kernel_hashes *out);

/* A page of zeros with the table at `offset`; false when it would not fit. */
bool kernel_hashes_page(const struct kernel_hashes *hashes, size_t offset, uint8_t page[static LAUNCH_PAGE_LEN]);

/*
 * Writes the table into a firmware image in memory, at the place that a stage0 image names for it: for platforms
 * on which QEMU does not hand hashes to the firmware. Fails as footer_read() does, and NOT_FOUND for an image that
 * names no such place: it would start any kernel.
 */
FALLIBLE kernel_hashes_patch(const struct kernel_hashes *hashes, uint8_t *image, size_t len, struct err *err);
