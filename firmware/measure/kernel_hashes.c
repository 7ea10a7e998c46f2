#include "firmware/measure/kernel_hashes.h"

#include <assert.h>
#include <string.h>

#include "base/ossl.h"
#include "firmware/image/footer.h"

enum { TABLE_LEN = 168, ENTRY_LEN = 50 };

static const uint8_t TABLE_GUID[16] = { /* 9438d606-4f22-4cc9-b479-a793d411fd21 */
    0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 };
static const uint8_t CMDLINE_GUID[16] = { /* 97d02dd8-bd20-4c94-aa78-e7714d36ab2a */
    0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a };
static const uint8_t INITRD_GUID[16] = { /* 44baf731-3a2f-4bd7-9af1-41e29169781d */
    0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d };
static const uint8_t KERNEL_GUID[16] = { /* 4de79437-abd2-427f-b835-d5b172d2045b */
    0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b };

void kernel_hashes_of(struct bytes kernel, struct bytes initrd, const char *append, struct kernel_hashes *out)
{
    const char *cmdline = append ? append : "";

    sha256_of((struct bytes){ (const uint8_t *) cmdline, strlen(cmdline) + 1 }, out->cmdline);
    sha256_of(initrd, out->initrd);
    sha256_of(kernel, out->kernel);
}

static void put_entry(struct writer *w, const uint8_t guid[static 16], const uint8_t digest[static 32])
{
    put(w, (struct bytes){ guid, 16 });
    put_u16le(w, ENTRY_LEN);
    put(w, (struct bytes){ digest, 32 });
}

void kernel_hashes_write(const struct kernel_hashes *hashes, uint8_t table[static KERNEL_HASHES_LEN])
{
    struct writer w = writer_over(table, KERNEL_HASHES_LEN);

    put(&w, BYTES_OF(TABLE_GUID));
    put_u16le(&w, TABLE_LEN);
    put_entry(&w, CMDLINE_GUID, hashes->cmdline);
    put_entry(&w, INITRD_GUID, hashes->initrd);
    put_entry(&w, KERNEL_GUID, hashes->kernel);
    assert(!w.failed && w.len == TABLE_LEN);
    put_zeros(&w, KERNEL_HASHES_LEN - TABLE_LEN);
}

bool kernel_hashes_page(const struct kernel_hashes *hashes, size_t offset, uint8_t page[static LAUNCH_PAGE_LEN])
{
    if (offset > LAUNCH_PAGE_LEN - KERNEL_HASHES_LEN)
        return false;
    memset(page, 0, LAUNCH_PAGE_LEN);
    kernel_hashes_write(hashes, page + offset);
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
    kernel_hashes_write(hashes, image + (len - place.len));
    return true;
}
