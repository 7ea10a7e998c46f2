#include "firmware/stage0/directory.h"

#include <string.h>

FALLIBLE directory_find(struct bytes entries, const char *name, bool *present, struct directory_file *out,
                        struct err *err)
{
    struct reader r      = reader_over(entries);
    struct bytes  wanted = { (const uint8_t *) name, strlen(name) + 1 };

    *present = false;
    if (entries.len > DIRECTORY_FILES_MAX * DIRECTORY_ENTRY_LEN)
        return fail_with(err, ERR_LIMIT, "fw_cfg: over %d files", DIRECTORY_FILES_MAX);
    while (r.left.len > 0) {
        uint32_t     len   = take_u32be(&r);
        uint16_t     key   = take_u16be(&r);
        uint16_t     spare = take_u16be(&r);
        struct bytes text  = take(&r, DIRECTORY_NAME_LEN);

        (void) spare; /* reserved: QEMU writes zero, newer ones may not */
        if (!reader_ok(&r, err))
            return context(err, "fw_cfg: directory");
        if (text.at[DIRECTORY_NAME_LEN - 1] != 0)
            return fail_with(err, ERR_MALFORMED, "fw_cfg: a file name without an end");
        if (wanted.len > text.len || memcmp(text.at, wanted.at, wanted.len) != 0)
            continue;
        if (*present)
            return fail_with(err, ERR_MALFORMED, "fw_cfg: %s is listed twice", name);
        *present = true;
        *out     = (struct directory_file){ len, key };
    }
    return true;
}
