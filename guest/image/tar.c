#include "guest/image/tar.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

struct tar tar_over(struct stream from)
{
    return (struct tar){ .from = from };
}

void tar_free(struct tar *tar)
{
    buffer_free(&tar->name);
    buffer_free(&tar->link);
    buffer_free(&tar->extended);
    pax_free(&tar->pax);
    free(tar->extents);
    *tar = (struct tar){ 0 };
}

/* The next bytes, at most `most`; empty only at the end of the stream. */
static FALLIBLE piece_take(struct tar *tar, uint64_t most, struct bytes *out, struct err *err)
{
    if (tar->ahead.len == 0 && !tar->from.next(tar->from.owner, &tar->ahead, err))
        return false;
    size_t len = tar->ahead.len < most ? tar->ahead.len : (size_t) most;

    *out = (struct bytes){ tar->ahead.at, len };
    if (len == 0)
        return true;
    tar->ahead = (struct bytes){ tar->ahead.at + len, tar->ahead.len - len };
    tar->offset += len;
    return true;
}

static FALLIBLE cut_short(const struct tar *tar, struct err *err)
{
    return fail_with(err, ERR_MALFORMED, "tar: ends in the middle, at offset %llu", (unsigned long long) tar->offset);
}

static FALLIBLE skip(struct tar *tar, uint64_t n, struct err *err)
{
    while (n > 0) {
        struct bytes piece = { 0 };

        if (!piece_take(tar, n, &piece, err))
            return false;
        if (piece.len == 0)
            return cut_short(tar, err);
        n -= piece.len;
    }
    return true;
}

/* Appends `n` bytes, a bounded number, to `out`. */
static FALLIBLE gather(struct tar *tar, size_t n, struct buffer *out, struct err *err)
{
    while (n > 0) {
        struct bytes piece = { 0 };

        if (!piece_take(tar, n, &piece, err))
            return false;
        if (piece.len == 0)
            return cut_short(tar, err);
        buffer_append(out, piece);
        n -= piece.len;
    }
    return true;
}

static uint64_t padding_of(uint64_t size)
{
    return (TAR_BLOCK_LEN - size % TAR_BLOCK_LEN) % TAR_BLOCK_LEN;
}

/* Behind the end mark only zeros may stand, so that no reader finds further files there. */
static FALLIBLE end_check(struct tar *tar, struct err *err)
{
    for (;;) {
        struct bytes piece = { 0 };

        if (!piece_take(tar, UINT64_MAX, &piece, err))
            return false;
        if (piece.len == 0)
            break;
        if (!bytes_are_zero(piece))
            return fail_with(err, ERR_MALFORMED, "tar: bytes behind the end mark");
    }
    tar->is_ended = true;
    return true;
}

/* One block into `block`; `is_end` at the end of the stream or at the end mark, which is then behind us. */
static FALLIBLE block_take(struct tar *tar, struct buffer *block, bool *is_end, struct err *err)
{
    struct bytes first = { 0 };

    block->len = 0;
    *is_end    = false;
    if (!piece_take(tar, TAR_BLOCK_LEN, &first, err))
        return false;
    if (first.len == 0) { /* no end mark: some writers leave it out, and the diff_id tells of a cut */
        tar->is_ended = *is_end = true;
        return true;
    }
    buffer_append(block, first);
    if (!gather(tar, TAR_BLOCK_LEN - first.len, block, err))
        return false;
    if (!bytes_are_zero(buffer_bytes(block)))
        return true;
    *is_end = true;
    return end_check(tar, err);
}

/* The content of a header that describes the next one, as text for it. */
static FALLIBLE describing_content(struct tar *tar, const struct tar_header *h, size_t most, struct buffer *out,
                                   struct err *err)
{
    if (h->size > most)
        return fail_with(err, ERR_LIMIT, "tar: %llu bytes in a header of type %c; at most %zu are allowed",
                         (unsigned long long) h->size, h->type, most);
    out->len = 0;
    return gather(tar, (size_t) h->size, out, err) && skip(tar, padding_of(h->size), err);
}

static FALLIBLE long_name(struct tar *tar, const struct tar_header *h, struct buffer *out, struct err *err)
{
    if (out->len > 0)
        return fail_with(err, ERR_MALFORMED, "tar: two long names for one entry");
    if (!describing_content(tar, h, TAR_PATH_MAX + 1, out, err))
        return false;
    if (out->len > 0 && out->at[out->len - 1] == 0)
        out->len--;
    if (out->len == 0 || memchr(out->at, 0, out->len))
        return fail_with(err, ERR_MALFORMED, "tar: a long name that is empty or has a zero byte inside");
    return true;
}

static FALLIBLE global_header(struct tar *tar, const struct tar_header *h, struct err *err)
{
    AUTO(buffer) struct buffer text   = { 0 };
    AUTO(pax) struct pax       unused = { 0 };

    return describing_content(tar, h, TAR_EXTENDED_MAX, &text, err) &&
           pax_read(buffer_bytes(&text), PAX_GLOBAL, &unused, err);
}

/* Reads headers up to the one of a file; what describes it is left in `tar`. */
static FALLIBLE header_next(struct tar *tar, struct tar_header *h, bool *is_end, struct err *err)
{
    AUTO(buffer) struct buffer block       = { 0 };
    bool                       is_extended = false;

    for (bool describes = true; describes;) {
        bool ok = true;

        if (!block_take(tar, &block, is_end, err))
            return false;
        if (*is_end)
            return !(is_extended || tar->name.len > 0 || tar->link.len > 0) || cut_short(tar, err);
        if (!tar_header_read(buffer_bytes(&block), h, err))
            return contextf(err, "offset %llu", (unsigned long long) tar->offset - TAR_BLOCK_LEN);
        switch (h->type) {
        case 'L':
            ok = long_name(tar, h, &tar->name, err);
            break;
        case 'K':
            ok = long_name(tar, h, &tar->link, err);
            break;
        case 'g':
            ok = global_header(tar, h, err);
            break;
        case 'x':
            if (is_extended)
                return fail_with(err, ERR_MALFORMED, "tar: two extended headers for one entry");
            is_extended = true;
            ok          = describing_content(tar, h, TAR_EXTENDED_MAX, &tar->extended, err) &&
                 pax_read(buffer_bytes(&tar->extended), PAX_ONE_FILE, &tar->pax, err);
            break;
        default:
            describes = false;
        }
        if (!ok)
            return false;
    }
    return true;
}

static FALLIBLE kind_read(const struct tar_header *h, const char *name, enum tar_kind *out, struct err *err)
{
    switch (h->type) {
    case '0':
    case '7': /* contiguous: an ordinary file to everyone today */
    case 'S':
        *out = name[strlen(name) - 1] == '/' && h->type == '0' ? TAR_FOLDER : TAR_FILE;
        return true;
    case '1':
        *out = TAR_HARD_LINK;
        return true;
    case '2':
        *out = TAR_SYMBOLIC_LINK;
        return true;
    case '3':
        *out = TAR_CHARACTER;
        return true;
    case '4':
        *out = TAR_BLOCK;
        return true;
    case '5':
        *out = TAR_FOLDER;
        return true;
    case '6':
        *out = TAR_FIFO;
        return true;
    default:
        return fail_with(err, ERR_UNSUPPORTED, "tar: an entry of type %#x", (unsigned char) h->type);
    }
}

/* The name of the entry: the extended header's, else the long one, else the header's. */
static FALLIBLE names_choose(struct tar *tar, const struct tar_header *h, struct err *err)
{
    const struct pax *pax = &tar->pax;

    if (pax->has_path || (pax->is_sparse && pax->sparse_name.len > 0)) {
        tar->name.len = 0;
        buffer_append(&tar->name, pax->is_sparse && pax->sparse_name.len > 0 ? pax->sparse_name : pax->path);
    } else if (tar->name.len == 0) {
        buffer_append_text(&tar->name, h->name);
    }
    if (pax->has_link) {
        tar->link.len = 0;
        buffer_append(&tar->link, pax->link);
    } else if (tar->link.len == 0) {
        buffer_append_text(&tar->link, h->link);
    }
    if (tar->name.len == 0)
        return fail_with(err, ERR_MALFORMED, "tar: an entry without a name");
    return true;
}

static void extents_append(struct tar *tar, const struct tar_extent *more, size_t n)
{
    tar->extents = reallocarray(tar->extents, tar->n_extents + n + 1, sizeof *more);
    if (!tar->extents)
        abort();
    if (n > 0)
        memcpy(tar->extents + tar->n_extents, more, n * sizeof *more);
    tar->n_extents += n;
}

/* GNU's old form: four pieces in the header, the others in blocks behind it. */
static FALLIBLE old_sparse(struct tar *tar, const struct tar_header *h, struct err *err)
{
    AUTO(buffer) struct buffer block    = { 0 };
    bool                       has_more = h->has_more_extents;

    extents_append(tar, h->extents, h->n_extents);
    while (has_more) {
        struct tar_extent more[TAR_SPARSE_IN_BLOCK];
        size_t            n = 0;

        block.len = 0;
        if (!gather(tar, TAR_BLOCK_LEN, &block, err) ||
            !tar_sparse_block_read(buffer_bytes(&block), more, &n, &has_more, err))
            return false;
        if (tar->n_extents + n > TAR_EXTENTS_MAX)
            return fail_with(err, ERR_LIMIT, "tar: more than %d pieces of a sparse file", TAR_EXTENTS_MAX);
        extents_append(tar, more, n);
    }
    return true;
}

/* A line of digits from the head of the content. */
static FALLIBLE map_number(struct tar *tar, uint64_t most, uint64_t *out, struct err *err)
{
    uint8_t digits[20];
    size_t  n = 0;

    for (;;) {
        struct bytes one = { 0 };

        if (tar->content_left == 0 || n == sizeof digits)
            return fail_with(err, ERR_MALFORMED, "tar: the map of a sparse file does not end");
        if (!piece_take(tar, 1, &one, err))
            return false;
        if (one.len == 0)
            return cut_short(tar, err);
        tar->content_left--;
        if (one.at[0] == '\n')
            return pax_number((struct bytes){ digits, n }, most, out, err);
        digits[n++] = one.at[0];
    }
}

/* Form 1.0: the map stands before the content, padded to a block. */
static FALLIBLE sparse_map(struct tar *tar, struct err *err)
{
    uint64_t n     = 0;
    uint64_t begin = tar->content_left;

    if (!map_number(tar, TAR_EXTENTS_MAX, &n, err))
        return context(err, "tar: pieces of a sparse file");
    for (uint64_t i = 0; i < n; i++) {
        struct tar_extent e = { 0 };

        if (!map_number(tar, INT64_MAX, &e.offset, err) || !map_number(tar, INT64_MAX, &e.len, err))
            return context(err, "tar: map of a sparse file");
        extents_append(tar, &e, 1);
    }
    uint64_t padding = padding_of(begin - tar->content_left);

    if (padding > tar->content_left)
        return fail_with(err, ERR_MALFORMED, "tar: the map of a sparse file is longer than its content");
    tar->content_left -= padding;
    return skip(tar, padding, err);
}

static FALLIBLE extents_check(struct tar_entry *e, struct err *err)
{
    uint64_t end = 0, stored = 0;

    for (size_t i = 0; i < e->n_extents; i++) {
        const struct tar_extent *x = &e->extents[i];

        if (x->offset < end || x->offset > e->size || x->len > e->size - x->offset)
            return fail_with(err, ERR_MALFORMED, "tar: pieces of a sparse file overlap, or lie outside of it");
        end = x->offset + x->len;
        stored += x->len; /* no wrap: they are apart and within size */
    }
    if (stored != e->stored)
        return fail_with(err, ERR_MALFORMED, "tar: a sparse file of %llu stored bytes whose map says %llu",
                         (unsigned long long) e->stored, (unsigned long long) stored);
    return true;
}

static FALLIBLE sparse_read(struct tar *tar, const struct tar_header *h, struct tar_entry *e, struct err *err)
{
    bool is_old = h->type == 'S';

    if (!is_old && !tar->pax.has_real_size)
        return fail_with(err, ERR_MALFORMED, "tar: a sparse file without its size");
    e->is_sparse = true;
    e->size      = is_old && !tar->pax.has_real_size ? h->real_size : tar->pax.real_size;
    if (is_old ? !old_sparse(tar, h, err) : tar->pax.sparse_major == 1 && !sparse_map(tar, err))
        return false;
    bool is_in_pax = !is_old && tar->pax.sparse_major == 0;

    e->stored    = tar->content_left;
    e->extents   = is_in_pax ? tar->pax.extents : tar->extents;
    e->n_extents = is_in_pax ? tar->pax.n_extents : tar->n_extents;
    return extents_check(e, err);
}

static FALLIBLE entry_fill(struct tar *tar, const struct tar_header *h, struct tar_entry *e, struct err *err)
{
    const struct pax *pax = &tar->pax;

    if (!names_choose(tar, h, err))
        return false;
    *e = (struct tar_entry){ .name     = buffer_text(&tar->name),
                             .link     = buffer_text(&tar->link),
                             .mode     = h->mode,
                             .uid      = pax->has_uid ? pax->uid : h->uid,
                             .gid      = pax->has_gid ? pax->gid : h->gid,
                             .mtime    = pax->has_mtime ? pax->mtime : h->mtime,
                             .mtime_ns = pax->has_mtime ? pax->mtime_ns : 0,
                             .major    = h->major,
                             .minor    = h->minor,
                             .size     = pax->has_size ? pax->size : h->size,
                             .xattrs   = pax->xattrs,
                             .n_xattrs = pax->n_xattrs };
    if (!kind_read(h, e->name, &e->kind, err))
        return false;
    if (e->kind != TAR_FILE && e->size > 0)
        return fail_with(err, ERR_MALFORMED, "tar: content in an entry that is not a file");
    bool is_link = e->kind == TAR_HARD_LINK || e->kind == TAR_SYMBOLIC_LINK;

    if (is_link && e->link[0] == '\0')
        return fail_with(err, ERR_MALFORMED, "tar: a link to nothing");
    tar->padding_left = padding_of(e->size);
    tar->content_left = e->stored = e->size;
    if ((h->type == 'S' || pax->is_sparse) && e->kind == TAR_FILE && !sparse_read(tar, h, e, err))
        return false;
    if (e->size > (uint64_t) TAR_FILE_GIB_MAX << 30)
        return fail_with(err, ERR_LIMIT, "tar: a file of %llu bytes", (unsigned long long) e->size);
    return true;
}

FALLIBLE tar_next(struct tar *tar, struct tar_entry *out, bool *is_end, struct err *err)
{
    struct tar_header h = { 0 };
    struct tar_entry  e = { 0 };

    if (!skip(tar, tar->content_left, err) || !skip(tar, tar->padding_left, err))
        return false;
    tar->content_left = tar->padding_left = 0;
    tar->name.len = tar->link.len = 0;
    tar->n_extents                = 0;
    pax_free(&tar->pax);
    *is_end = tar->is_ended;
    if (*is_end)
        return true;
    if (!header_next(tar, &h, is_end, err))
        return false;
    if (*is_end)
        return true;
    if (!entry_fill(tar, &h, &e, err))
        return contextf(err, "offset %llu", (unsigned long long) tar->offset);
    *out = e;
    return true;
}

FALLIBLE tar_content(struct tar *tar, struct bytes *piece, struct err *err)
{
    if (tar->content_left == 0) {
        *piece = (struct bytes){ 0 };
        return true;
    }
    if (!piece_take(tar, tar->content_left, piece, err))
        return false;
    if (piece->len == 0)
        return cut_short(tar, err);
    tar->content_left -= piece->len;
    return true;
}
