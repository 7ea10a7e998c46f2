#include "guest/image/tar_header.h"

#include <string.h>

/* Base 256, big-endian two's complement behind a marker bit. [GNU tar, basic format] */
static FALLIBLE base256_read(struct bytes field, int64_t *out)
{
    bool     is_negative = field.at[0] & 0x40;
    uint64_t flip        = is_negative ? 0xff : 0;
    uint64_t value       = 0;

    for (size_t i = 0; i < field.len; i++) {
        uint64_t byte = field.at[i] ^ flip;

        if (i == 0)
            byte &= 0x7f;
        if (value >> 55 != 0)
            return false;
        value = value << 8 | byte;
    }
    *out = is_negative ? -1 - (int64_t) value : (int64_t) value;
    return true;
}

static FALLIBLE octal_read(struct bytes field, int64_t *out)
{
    int64_t value = 0;
    size_t  i     = 0;

    while (i < field.len && field.at[i] == ' ')
        i++;
    for (; i < field.len && field.at[i] >= '0' && field.at[i] <= '7'; i++)
        value = value << 3 | (field.at[i] - '0'); /* at most 12 digits: 36 bits */
    for (; i < field.len; i++)
        if (field.at[i] != ' ' && field.at[i] != 0)
            return false;
    *out = value;
    return true;
}

static FALLIBLE number_read(struct bytes field, const char *name, int64_t least, int64_t most, int64_t *out,
                            struct err *err)
{
    bool is_number = field.at[0] & 0x80 ? base256_read(field, out) : octal_read(field, out);

    if (!is_number || *out < least || *out > most)
        return fail_with(err, ERR_MALFORMED, "tar header: field \"%s\" is no number in range", name);
    return true;
}

static FALLIBLE unsigned_read(struct bytes field, const char *name, uint32_t *out, struct err *err)
{
    int64_t value = 0;

    if (!number_read(field, name, 0, UINT32_MAX, &value, err))
        return false;
    *out = (uint32_t) value;
    return true;
}

/* Over signed or unsigned bytes: old writers differ. The field itself counts as spaces. */
static FALLIBLE checksum_check(struct bytes block, struct bytes field, struct err *err)
{
    int64_t wanted = 0, as_unsigned = 0, as_signed = 0;

    for (size_t i = 0; i < block.len; i++) {
        bool    is_field = block.at + i >= field.at && block.at + i < field.at + field.len;
        uint8_t byte     = is_field ? ' ' : block.at[i];

        as_unsigned += byte;
        as_signed += (int8_t) byte;
    }
    if (!number_read(field, "checksum", 0, INT64_MAX, &wanted, err))
        return false;
    if (wanted != as_unsigned && wanted != as_signed)
        return fail_with(err, ERR_MALFORMED, "tar header: wrong checksum");
    return true;
}

static size_t text_len(struct bytes field)
{
    const uint8_t *zero = memchr(field.at, 0, field.len);

    return zero ? (size_t) (zero - field.at) : field.len;
}

static void name_join(struct tar_header *h, struct bytes prefix, struct bytes name)
{
    size_t at = 0;

    if (text_len(prefix) > 0) {
        at = text_len(prefix);
        memcpy(h->name, prefix.at, at);
        h->name[at++] = '/';
    }
    memcpy(h->name + at, name.at, text_len(name));
}

static FALLIBLE extents_read(struct reader *r, size_t n_most, struct tar_extent *out, size_t *n, struct err *err)
{
    *n = 0;
    for (size_t i = 0; i < n_most; i++) {
        struct bytes offset = take(r, 12), len = take(r, 12);
        int64_t      at = 0, for_len = 0;

        if (!reader_ok(r, err))
            return false;
        if (offset.at[0] == 0)
            continue; /* unused: the rest are too */
        if (!number_read(offset, "sparse offset", 0, INT64_MAX, &at, err) ||
            !number_read(len, "sparse length", 0, INT64_MAX, &for_len, err))
            return false;
        out[(*n)++] = (struct tar_extent){ (uint64_t) at, (uint64_t) for_len };
    }
    return true;
}

static FALLIBLE old_sparse_read(struct bytes block, struct tar_header *h, struct err *err)
{
    struct reader r    = reader_over(block);
    int64_t       real = 0;

    (void) take(&r, 386); /* up to the sparse fields */
    if (!extents_read(&r, TAR_SPARSE_IN_HEADER, h->extents, &h->n_extents, err))
        return false;
    h->has_more_extents   = take_u8(&r) != 0;
    struct bytes realsize = take(&r, 12);

    if (!reader_ok(&r, err) || !number_read(realsize, "real size", 0, INT64_MAX, &real, err))
        return false;
    h->real_size = (uint64_t) real;
    return true;
}

FALLIBLE tar_header_read(struct bytes block, struct tar_header *out, struct err *err)
{
    struct tar_header h    = { 0 };
    struct reader     r    = reader_over(block);
    int64_t           size = 0;

    struct bytes name     = take(&r, 100);
    struct bytes mode     = take(&r, 8);
    struct bytes uid      = take(&r, 8);
    struct bytes gid      = take(&r, 8);
    struct bytes length   = take(&r, 12);
    struct bytes mtime    = take(&r, 12);
    struct bytes checksum = take(&r, 8);
    h.type                = (char) take_u8(&r);
    struct bytes link     = take(&r, 100);
    struct bytes magic    = take(&r, 8);
    (void) take(&r, 64); /* user and group by name: the numbers count */
    struct bytes major  = take(&r, 8);
    struct bytes minor  = take(&r, 8);
    struct bytes prefix = take(&r, 155);
    (void) take(&r, 12); /* unused */
    if (!reader_done(&r, err))
        return context(err, "tar header");

    if (!checksum_check(block, checksum, err) || !unsigned_read(mode, "mode", &h.mode, err) ||
        !unsigned_read(uid, "uid", &h.uid, err) || !unsigned_read(gid, "gid", &h.gid, err) ||
        !number_read(length, "size", 0, INT64_MAX, &size, err) ||
        !number_read(mtime, "mtime", INT64_MIN, INT64_MAX, &h.mtime, err))
        return false;
    bool is_device = h.type == '3' || h.type == '4';

    if (is_device && (!unsigned_read(major, "major", &h.major, err) || !unsigned_read(minor, "minor", &h.minor, err)))
        return false;
    h.mode &= 07777;
    h.size = (uint64_t) size;
    if (h.type == 0)
        h.type = '0';
    if (!bytes_equal(magic, (struct bytes){ (const uint8_t *) "ustar\0" "00", 8 }))
        prefix = (struct bytes){ prefix.at, 0 }; /* v7 and GNU have other things there */
    name_join(&h, prefix, name);
    memcpy(h.link, link.at, text_len(link));
    if (h.type == 'S' && !old_sparse_read(block, &h, err))
        return false;
    *out = h;
    return true;
}

FALLIBLE tar_sparse_block_read(struct bytes block, struct tar_extent out[static TAR_SPARSE_IN_BLOCK], size_t *n,
                               bool *has_more, struct err *err)
{
    struct reader r = reader_over(block);

    if (!extents_read(&r, TAR_SPARSE_IN_BLOCK, out, n, err))
        return false;
    *has_more = take_u8(&r) != 0;
    return reader_ok(&r, err);
}
