#include "firmware/image/footer.h"

#include <string.h>

enum { TRAILER_LEN = 18 }; /* u16 length, GUID: closes every entry and the table itself */

const uint8_t GUID_FOOTER[GUID_LEN] = { /* 96b582de-1fb2-45f7-baea-a366c55a082d */
    0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
const uint8_t GUID_SEV_METADATA[GUID_LEN] = { /* dc886566-984a-4798-a75e-5585a7bf67cc */
    0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc };
const uint8_t GUID_SEV_HASH_TABLE[GUID_LEN] = { /* 7255371f-3a3b-4b04-927b-1da6efa8d454 */
    0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54 };
const uint8_t GUID_SEV_ES_RESET[GUID_LEN] = { /* 00f771de-1a7e-4fcb-890e-68c77e2fb44e */
    0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e };
const uint8_t GUID_TDX_METADATA[GUID_LEN] = { /* e47a6535-984a-4798-865e-4685a7bf8ec2 */
    0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2 };
const uint8_t GUID_STAGE0_HASHES[GUID_LEN] = { /* 5b6c7f0e-9f0c-4c0a-8f6c-2a6e6f1d3b52 */
    0x0e, 0x7f, 0x6c, 0x5b, 0x0c, 0x9f, 0x0a, 0x4c, 0x8f, 0x6c, 0x2a, 0x6e, 0x6f, 0x1d, 0x3b, 0x52 };

/* Takes the entry that ends `table` off it. */
static FALLIBLE take_last_entry(struct bytes *table, struct footer_entry *out, struct err *err)
{
    if (table->len < TRAILER_LEN)
        return fail_with(err, ERR_MALFORMED, "%zu stray bytes at the start of the table", table->len);

    struct reader r    = reader_over((struct bytes){ table->at + table->len - TRAILER_LEN, TRAILER_LEN });
    size_t        len  = take_u16le(&r);
    struct bytes  guid = take(&r, GUID_LEN);

    if (!reader_done(&r, err))
        return false;
    if (len < TRAILER_LEN || len > table->len)
        return fail_with(err, ERR_MALFORMED, "an entry of %zu bytes in %zu", len, table->len);
    table->len -= len;
    *out = (struct footer_entry){ guid, { table->at + table->len, len - TRAILER_LEN } };
    return true;
}

/* `table` is all of the file before the gap; the footer's own entry tells how much of it is the table. */
static FALLIBLE find_table(struct bytes file, struct bytes *out, struct err *err)
{
    struct reader r    = reader_over((struct bytes){ file.at + file.len - TRAILER_LEN, TRAILER_LEN });
    size_t        len  = take_u16le(&r);
    struct bytes  guid = take(&r, GUID_LEN);

    if (!reader_done(&r, err))
        return false;
    if (!bytes_equal(guid, (struct bytes){ GUID_FOOTER, GUID_LEN }))
        return fail_with(err, ERR_NOT_FOUND, "no GUID table at the end of the image");
    if (len < TRAILER_LEN || len > file.len)
        return fail_with(err, ERR_MALFORMED, "a table of %zu bytes in an image of %zu", len,
                         file.len + FOOTER_GAP);
    *out = (struct bytes){ file.at + file.len - len, len - TRAILER_LEN };
    return true;
}

static const struct footer_entry *entry_of(const struct footer *footer, struct bytes guid)
{
    for (size_t i = 0; i < footer->n; i++)
        if (bytes_equal(footer->at[i].guid, guid))
            return &footer->at[i];
    return NULL;
}

FALLIBLE footer_read(struct bytes image, struct footer *out, struct err *err)
{
    struct footer footer = { .n = 0 };
    struct bytes  table  = { 0 };

    if (image.len < FOOTER_GAP + TRAILER_LEN)
        return fail_with(err, ERR_MALFORMED, "firmware image: %zu bytes are too short for a GUID table", image.len);
    if (image.len > FIRMWARE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "firmware image: %zu bytes, at most %d", image.len, FIRMWARE_LEN_MAX);
    if (!find_table((struct bytes){ image.at, image.len - FOOTER_GAP }, &table, err))
        return context(err, "firmware image");
    while (table.len > 0) {
        struct footer_entry entry = { 0 };

        if (!take_last_entry(&table, &entry, err))
            return context(err, "firmware image: GUID table");
        if (entry_of(&footer, entry.guid))
            return fail_with(err, ERR_MALFORMED, "firmware image: GUID table: an entry occurs twice");
        if (footer.n == FOOTER_ENTRIES_MAX)
            return fail_with(err, ERR_LIMIT, "firmware image: GUID table: over %d entries", FOOTER_ENTRIES_MAX);
        footer.at[footer.n++] = entry;
    }
    *out = footer;
    return true;
}

bool footer_find(const struct footer *footer, const uint8_t guid[static GUID_LEN], struct bytes *out)
{
    const struct footer_entry *entry = entry_of(footer, (struct bytes){ guid, GUID_LEN });

    if (!entry)
        return false;
    *out = entry->content;
    return true;
}

FALLIBLE footer_follow(const struct footer *footer, const uint8_t guid[static GUID_LEN], struct bytes image,
                       bool *present, struct bytes *out, struct err *err)
{
    struct bytes content = { 0 };

    *present = footer_find(footer, guid, &content);
    if (!*present)
        return true;

    struct reader r        = reader_over(content);
    size_t        from_end = take_u32le(&r);

    if (!reader_done(&r, err))
        return false;
    if (from_end == 0 || from_end > image.len)
        return fail_with(err, ERR_MALFORMED, "it starts %zu bytes before the end of an image of %zu", from_end,
                         image.len);
    *out = (struct bytes){ image.at + image.len - from_end, from_end };
    return true;
}
