#include "guest/init/integrity.h"

#include <string.h>

enum { PAGE_SECTORS = 8 };

FALLIBLE integrity_superblock_read(struct bytes superblock, uint64_t disk_sectors, uint64_t *out, struct err *err)
{
    struct reader r     = reader_over(superblock);
    struct bytes  magic = take(&r, 8);

    (void) take(&r, 8); /* version, interleaving, tag size, journal sections */
    uint64_t provided = take_u64le(&r);
    if (!reader_ok(&r, err))
        return context(err, "superblock");
    if (memcmp(magic.at, "integrt", 8) != 0)
        return fail_with(err, ERR_MALFORMED, "superblock: no dm-integrity");
    provided -= provided % PAGE_SECTORS;
    if (provided == 0 || provided >= disk_sectors)
        return fail_with(err, ERR_MALFORMED, "superblock: %llu sectors of %llu", (unsigned long long) provided,
                         (unsigned long long) disk_sectors);
    *out = provided;
    return true;
}
