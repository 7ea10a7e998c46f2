#include "guest/init/integrity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t   sectors = 0;
    struct err err;

    if (integrity_superblock_read((struct bytes){ data, size }, 1 << 20, &sectors, &err) &&
        (sectors == 0 || sectors >= 1 << 20 || sectors % 8 != 0))
        __builtin_trap(); /* whole pages, and fewer than the disk has */
    return 0;
}
