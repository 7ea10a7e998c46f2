#include "guest/volume/luks2_header.h"

#include <string.h>

#include "base/ossl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A checksum that does not hold would end every attempt: it is set right, so that what lies behind it is read. */
static void mend(uint8_t *copy, size_t len)
{
    struct reader r = reader_over((struct bytes){ copy, len });
    uint8_t       digest[SHA256_LEN];

    (void) take(&r, 8);
    uint64_t said = take_u64be(&r);
    if (r.failed || said < 512 || said > len)
        return;
    memset(copy + 448, 0, 64);
    sha256_of((struct bytes){ copy, (size_t) said }, digest);
    memcpy(copy + 448, digest, sizeof digest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { DISK = 1 << 30 };
    AUTO(buffer) struct buffer copy   = { 0 };
    struct luks2_header        header = { 0 };
    struct err                 err;

    buffer_append(&copy, (struct bytes){ data, size });
    if (size >= 4096)
        mend(copy.at, copy.len);
    if (!luks2_header_read(buffer_bytes(&copy), DISK, &header, &err))
        return 0;
    if (header.n_keyslots == 0 || header.n_keyslots > LUKS2_KEYSLOTS_MAX || header.segment_offset >= DISK ||
        (header.sector_len != 512 && header.sector_len != 4096))
        __builtin_trap();
    for (size_t i = 0; i < header.n_keyslots; i++)
        if (header.keyslots[i].area_offset + header.keyslots[i].area_len > header.segment_offset ||
            header.keyslots[i].kdf.iterations > LUKS2_ITERATIONS_MAX)
            __builtin_trap(); /* nothing is read outside of where it may lie */
    return 0;
}
