#include "firmware/measure/kernel_hashes.h"

#include <string.h>

#include "base/ossl.h"
#include "firmware/image/footer.h"

void kernel_hashes_of(struct bytes kernel, struct bytes initrd, const char *append, struct kernel_hashes *out)
{
    const char *cmdline = append ? append : "";

    sha256_of((struct bytes){ (const uint8_t *) cmdline, strlen(cmdline) + 1 }, out->cmdline);
    sha256_of(initrd, out->initrd);
    sha256_of(kernel, out->kernel);
}

bool kernel_hashes_page(const struct kernel_hashes *hashes, size_t offset, uint8_t page[static LAUNCH_PAGE_LEN])
{
    if (offset > LAUNCH_PAGE_LEN - KERNEL_HASHES_LEN)
        return false;
    memset(page, 0, LAUNCH_PAGE_LEN);
    hash_table_write(hashes, page + offset);
    return true;
}

FALLIBLE kernel_hashes_patch(const struct kernel_hashes *hashes, uint8_t *image, size_t len, struct err *err)
{
    struct footer footer  = { .n = 0 };
    struct bytes  place   = { 0 };
    bool          present = false;

    if (!footer_read((struct bytes){ image, len }, &footer, err))
        return false;
    if (!footer_follow(&footer, GUID_STAGE0_HASHES, (struct bytes){ image, len }, &present, &place, err))
        return context(err, "firmware image: place of the hashes");
    if (!present)
        return fail_with(err, ERR_NOT_FOUND, "firmware image: it names no place for kernel hashes, so it would "
                         "start any kernel: use stage0");
    if (place.len < KERNEL_HASHES_LEN)
        return fail_with(err, ERR_MALFORMED, "firmware image: %zu bytes for the hash table", place.len);
    hash_table_write(hashes, image + (len - place.len));
    return true;
}
