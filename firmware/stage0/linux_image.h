/* A bzImage as the boot protocol describes it, and the page of parameters it is entered with. [LINUX-BOOT 2.15] */
#pragma once

#include "firmware/stage0/memory_map.h"

enum { LINUX_PARAMS_LEN = 4096, LINUX_ENTRY_64 = 0x200 };

struct linux_image {
    struct bytes header;      /* of the setup part, from 0x1f1 */
    uint32_t     setup_len;   /* the part that is loaded starts here in the file */
    uint32_t     init_size;   /* memory it needs from where it is loaded */
    uint32_t     alignment;   /* it moves itself up to a multiple of this */
    uint32_t     initrd_max;  /* highest address of an initrd's byte */
    uint32_t     cmdline_max; /* characters, without the zero */
};

/*
 * Reads the header of a kernel file whose digest has been checked.
 *
 *   out    written only on success; borrows from `file`
 *
 * Fails MALFORMED, and UNSUPPORTED for a kernel without a 64-bit entry or that cannot be moved.
 */
FALLIBLE linux_image_read(struct bytes file, struct linux_image *out, struct err *err);

/* Tables of EFI, as guest-physical addresses; system_table 0: the machine has none. */
struct linux_efi {
    uint64_t system_table, map;
    uint32_t map_len, descriptor_len;
};

/* All are guest-physical addresses below 4 GiB. */
struct linux_start {
    uint32_t         cmdline, initrd, initrd_len;
    uint64_t         rsdp;       /* 0: none */
    uint64_t         setup_data; /* 0: none */
    struct linux_efi efi;
};

/* Fills `params`. Fails LIMIT when the map has more ranges than the page can take. */
FALLIBLE linux_params_write(const struct linux_image *image, const struct linux_start *start,
                            const struct memory_map *map, uint8_t params[static LINUX_PARAMS_LEN], struct err *err);
