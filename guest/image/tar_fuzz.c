/* The archive is read twice: in one piece, and a few bytes at a time. Both must see the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "guest/image/tar.h"

enum { ENTRIES_MOST = 1000 };

struct feed {
    struct bytes left;
    size_t       piece;
};

static bool feed_next(void *owner, struct bytes *piece, struct err *err)
{
    struct feed *f = owner;
    size_t       n = f->left.len < f->piece ? f->left.len : f->piece;

    (void) err; /* memory does not fail */
    *piece  = (struct bytes){ f->left.at, n };
    f->left = (struct bytes){ f->left.at + n, f->left.len - n };
    return true;
}

static void check(const struct tar_entry *e)
{
    uint64_t end = 0, stored = 0;

    if (strlen(e->name) == 0 || e->mode > 07777 || e->mtime_ns > 999999999 || (e->kind != TAR_FILE && e->size > 0))
        __builtin_trap();
    for (size_t i = 0; i < e->n_extents; i++) {
        if (e->extents[i].offset < end || e->extents[i].offset + e->extents[i].len > e->size)
            __builtin_trap();
        end = e->extents[i].offset + e->extents[i].len;
        stored += e->extents[i].len;
    }
    if (e->is_sparse ? stored != e->stored : e->size != e->stored)
        __builtin_trap();
}

/* A checksum over all that was read; `ok` says how it ended. */
static uint64_t walk(struct bytes archive, size_t piece, bool *ok)
{
    struct feed          f      = { archive, piece };
    AUTO(tar) struct tar tar    = tar_over((struct stream){ feed_next, &f });
    uint64_t             sum    = 0;
    bool                 is_end = false;
    struct err           err;

    for (int n = 0; n < ENTRIES_MOST; n++) {
        struct tar_entry e;
        struct bytes     content = { 0 };

        *ok = tar_next(&tar, &e, &is_end, &err);
        if (!*ok || is_end)
            return sum;
        check(&e);
        sum = sum * 31 + e.size + (uint64_t) e.kind + strlen(e.name) + strlen(e.link) * 7 + e.n_xattrs;
        while (n % 2 == 0 && (*ok = tar_content(&tar, &content, &err)) && content.len > 0)
            for (size_t i = 0; i < content.len; i++)
                sum = sum * 31 + content.at[i];
        if (!*ok)
            return sum;
    }
    return sum;
}

/* A mutation hardly ever hits the checksum; so it is set right in all that looks like a header. tar_header_fuzz has wrong ones. */
static void checksums_mend(uint8_t *archive, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK_LEN <= size; at += TAR_BLOCK_LEN) {
        uint8_t *block = archive + at;
        unsigned sum   = 0;

        if (memcmp(block + 257, "ustar", 5) != 0)
            continue;
        memset(block + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK_LEN; i++)
            sum += block[i];
        (void) snprintf((char *) block + 148, 8, "%06o", sum); /* fits: at most 512 * 255 */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(heap) uint8_t *mended  = malloc(size ? size : 1);
    struct bytes        archive = { mended, size };
    bool                whole = false, pieces = false;

    if (!mended)
        abort();
    if (size > 0)
        memcpy(mended, data, size);
    checksums_mend(mended, size);
    uint64_t first = walk(archive, size, &whole);
    uint64_t again = walk(archive, 7, &pieces);

    if (whole != pieces || (whole && first != again))
        __builtin_trap();
    return 0;
}
