/*
 * The one way to tell Linux that memory is not accepted yet: it looks for a list among EFI's configuration tables. So the
 * tables of an EFI that is gone: no services, a memory map, and that list. [LINUX drivers/firmware/efi/unaccepted_memory.c,
 * arch/x86/boot/compressed/mem.c; UEFI 2.10 4.3, 7.2]
 */
#pragma once

#include "firmware/stage0/linux_image.h"

enum { EFI_TABLES_ROOM = 0x10000, EFI_UNIT = 2 << 20 };

/*
 * Writes them.
 *
 *   room       EFI_TABLES_ROOM bytes at `gpa`, in memory that the kernel takes for no other use
 *   map        all memory
 *   pending    RAM of it that is not accepted yet, in whole units of EFI_UNIT
 *   out        where the kernel finds them
 *
 * Fails LIMIT for too many ranges, BUG for a pending range that is not of whole units.
 */
FALLIBLE efi_tables_write(uint8_t *room, uint64_t gpa, const struct memory_map *map, const struct memory_map *pending,
                          struct linux_efi *out, struct err *err);
