#include "firmware/image/hash_table.h"

#include <string.h>

enum { TABLE_LEN = 168, ENTRY_LEN = 50 };

static const uint8_t TABLE_GUID[16] = { /* 9438d606-4f22-4cc9-b479-a793d411fd21 */
    0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 };
static const uint8_t CMDLINE_GUID[16] = { /* 97d02dd8-bd20-4c94-aa78-e7714d36ab2a */
    0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a };
static const uint8_t INITRD_GUID[16] = { /* 44baf731-3a2f-4bd7-9af1-41e29169781d */
    0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d };
static const uint8_t KERNEL_GUID[16] = { /* 4de79437-abd2-427f-b835-d5b172d2045b */
    0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b };

static void put_entry(struct writer *w, const uint8_t guid[static 16], const uint8_t digest[static 32])
{
    put(w, (struct bytes){ guid, 16 });
    put_u16le(w, ENTRY_LEN);
    put(w, (struct bytes){ digest, 32 });
}

void hash_table_write(const struct kernel_hashes *hashes, uint8_t table[static KERNEL_HASHES_LEN])
{
    struct writer w = writer_over(table, KERNEL_HASHES_LEN);

    put(&w, BYTES_OF(TABLE_GUID));
    put_u16le(&w, TABLE_LEN);
    put_entry(&w, CMDLINE_GUID, hashes->cmdline);
    put_entry(&w, INITRD_GUID, hashes->initrd);
    put_entry(&w, KERNEL_GUID, hashes->kernel);
    put_zeros(&w, KERNEL_HASHES_LEN - TABLE_LEN);
}

static FALLIBLE take_entry(struct reader *r, const uint8_t guid[static 16], uint8_t digest[static 32],
                           struct err *err)
{
    struct bytes name  = take(r, 16);
    uint16_t     len   = take_u16le(r);
    struct bytes found = take(r, 32);

    if (!reader_ok(r, err))
        return false;
    if (!bytes_equal(name, (struct bytes){ guid, 16 }))
        return fail_with(err, ERR_MALFORMED, "not this entry at its place");
    if (len != ENTRY_LEN)
        return fail_with(err, ERR_MALFORMED, "an entry of %u bytes", len);
    if (bytes_are_zero(found))
        return fail_with(err, ERR_MALFORMED, "a digest of zeros");
    memcpy(digest, found.at, found.len);
    return true;
}

FALLIBLE hash_table_read(struct bytes page, struct kernel_hashes *out, struct err *err)
{
    struct kernel_hashes hashes = { .kernel = { 0 } };
    struct reader        r      = reader_over(page);
    struct bytes         guid   = take(&r, 16);
    uint16_t             len    = take_u16le(&r);

    if (!reader_ok(&r, err))
        return context(err, "hash table");
    if (bytes_are_zero(guid) && len == 0)
        return fail_with(err, ERR_NOT_FOUND, "hash table: nobody wrote one");
    if (!bytes_equal(guid, BYTES_OF(TABLE_GUID)))
        return fail_with(err, ERR_MALFORMED, "hash table: it does not begin with its GUID");
    if (len != TABLE_LEN)
        return fail_with(err, ERR_MALFORMED, "hash table: %u bytes, not %d", len, TABLE_LEN);
    if (!take_entry(&r, CMDLINE_GUID, hashes.cmdline, err))
        return context(err, "hash table: command line");
    if (!take_entry(&r, INITRD_GUID, hashes.initrd, err))
        return context(err, "hash table: initrd");
    if (!take_entry(&r, KERNEL_GUID, hashes.kernel, err))
        return context(err, "hash table: kernel");

    struct bytes padding = take(&r, KERNEL_HASHES_LEN - TABLE_LEN);

    if (!reader_ok(&r, err) || !bytes_are_zero(padding))
        return fail_with(err, ERR_MALFORMED, "hash table: bytes behind its end");
    *out = hashes;
    return true;
}
