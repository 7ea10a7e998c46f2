/*
 * For unaccepted_boot_test.py: what efi_tables_write() makes for a machine of 1 GiB of which so many MiB from 256 MiB on are
 * pending, on standard output: 32 bytes for the page of parameters, then the tables. Arguments: their address, MiB.
 */
#include <stdio.h>
#include <stdlib.h>

#include "firmware/stage0/efi_tables.h"

enum { INFO = 0x1c0, INFO_LEN = 32 };

int main(int argc, char **argv)
{
    static uint8_t         room[EFI_TABLES_ROOM], params[LINUX_PARAMS_LEN];
    const struct memory_map map     = { .n = 3, .at = { { 0, 0xa0000, MEMORY_RAM }, { 0x100000, 0x3ff80000, MEMORY_RAM },
                                                        { 0x3ff80000, 0x40000000, MEMORY_ACPI } } };
    struct memory_map       pending = { .at = { { 256 << 20, 256 << 20, MEMORY_RAM } } };
    struct linux_image      image   = { .header = { NULL, 0 } };
    struct linux_start      start   = { .cmdline = 0 };
    struct err              err;

    if (argc != 3)
        return 2;
    pending.at[0].end += strtoull(argv[2], NULL, 10) << 20;
    pending.n = pending.at[0].end > pending.at[0].start;
    image.header = (struct bytes){ room, 1 };
    if (!efi_tables_write(room, strtoull(argv[1], NULL, 16), &map, &pending, &start.efi, &err) ||
        !linux_params_write(&image, &start, &map, params, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return fwrite(params + INFO, INFO_LEN, 1, stdout) == 1 && fwrite(room, sizeof room, 1, stdout) == 1 ? 0 : 1;
}
