#include "runtime/erofs/erofs_image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* On disk. [Linux, fs/erofs/erofs_fs.h] */
enum {
    SUPERBLOCK_AT      = 1024,
    SUPERBLOCK_LEN     = 128,
    MAGIC              = (int) 0xE0F5E1E2u,
    BLOCK_BITS         = 12,
    INCOMPAT_CHUNKED   = 0x4,
    META_AT            = EROFS_BLOCK_LEN, /* inodes begin in the second block, the root's first */
    SLOT_LEN           = 32,  /* inodes are numbered by these, from the start of the image */
    INODE_LEN          = 64,  /* "extended": with 32-bit owners and a time */
    FORMAT_EXTENDED    = 1,
    LAYOUT_PLAIN       = 0,
    LAYOUT_INLINE      = 2,
    LAYOUT_CHUNKS      = 4,
    DIRENT_LEN         = 12,
    XATTR_HEADER_LEN   = 12,
    XATTR_ENTRY_LEN    = 4,
    XATTR_USER         = 1,
    XATTR_SECURITY     = 6,
    NAME_MAX_LEN       = 255,
    CHUNKS_MAX         = 1 << 16, /* of one sparse file: the table stays below 256 KiB */
    CHUNK_BITS_MAX     = 12 + 30,
    INLINE_MAX         = 2048,    /* longer tails waste less in a block of their own than inodes would around them */
    COPY_LEN           = 1 << 20
};

#define NO_BLOCK 0xffffffffu

struct layout {
    const struct erofs_image *image;
    uint64_t                  meta_end;   /* bytes of the image used by inodes so far */
    uint64_t                  data_block; /* first block of contents */
    uint64_t                  n_data;     /* blocks of contents so far */
    uint32_t                  n_inodes;
    struct buffer             meta;       /* all of the image up to data_block */
    struct buffer             piece;      /* contents on their way out */
    struct buffer             folder;     /* of the folder at hand */
};

static void auto_layout(struct layout *l)
{
    buffer_free(&l->meta);
    buffer_free(&l->piece);
    buffer_free(&l->folder);
}

static uint64_t blocks_of(uint64_t len)
{
    return (len + EROFS_BLOCK_LEN - 1) / EROFS_BLOCK_LEN;
}

/* ---- every node, parents first, each once ---- */

typedef bool node_fn(struct layout *l, struct erofs_node *node, struct err *err);

static FALLIBLE nodes_visit(struct layout *l, struct erofs_node *node, node_fn *visit, struct err *err)
{
    if (!visit(l, node, err))
        return false;
    for (size_t i = 0; i < node->n; i++)
        if (!nodes_visit(l, node->names[i].node, visit, err))
            return false;
    return true;
}

/* ---- how large, and where ---- */

/* The name without its prefix, which is a number on disk. */
static const char *attribute_suffix(const char *name, uint8_t *index)
{
    *index = strncmp(name, "user.", 5) == 0 ? XATTR_USER : XATTR_SECURITY;
    return strchr(name, '.') + 1;
}

static uint64_t attributes_len(const struct erofs_node *node)
{
    uint64_t len = XATTR_HEADER_LEN;
    uint8_t  index;

    for (size_t i = 0; i < node->n_attributes; i++)
        len += (XATTR_ENTRY_LEN + strlen(attribute_suffix(node->attributes[i].name, &index)) + node->attributes[i].value.len + 3) / 4 * 4;
    return node->n_attributes > 0 ? len : 0;
}

/* Names of a folder with the two that every folder has, in the order of their bytes. */
struct listing {
    const struct erofs_node *folder;
    size_t                   i, n_dots; /* given so far */
};

static bool listing_next(struct listing *l, const char **name, const struct erofs_node **node)
{
    static const char *const dots[]  = { ".", ".." };
    const struct erofs_node *others[] = { l->folder, l->folder->parent };
    bool                     has_name = l->i < l->folder->n;

    if (l->n_dots < 2 && (!has_name || strcmp(dots[l->n_dots], l->folder->names[l->i].text) < 0)) {
        *name = dots[l->n_dots];
        *node = others[l->n_dots++];
        return true;
    }
    if (has_name) {
        *name = l->folder->names[l->i].text;
        *node = l->folder->names[l->i++].node;
    }
    return has_name;
}

/* How many of the names that come fit into one block, and what they take. */
static size_t block_fit(struct listing *l, uint64_t *used)
{
    size_t n = 0;

    *used = 0;
    for (;;) {
        struct listing           before = *l;
        const char              *name;
        const struct erofs_node *node;

        if (!listing_next(l, &name, &node))
            return n;
        if (*used + DIRENT_LEN + strlen(name) > EROFS_BLOCK_LEN) {
            *l = before;
            return n;
        }
        *used += DIRENT_LEN + strlen(name);
        n++;
    }
}

static uint64_t folder_len(const struct erofs_node *folder)
{
    struct listing l    = { .folder = folder };
    uint64_t       full = 0, last = 0, used;

    while (block_fit(&l, &used) > 0) {
        full += last > 0 ? EROFS_BLOCK_LEN : 0;
        last = used;
    }
    return full + last;
}

static unsigned chunk_bits(uint64_t size)
{
    unsigned bits = BLOCK_BITS;

    while (((size - 1) >> bits) >= CHUNKS_MAX)
        bits++;
    return bits;
}

static uint64_t chunks_of(const struct erofs_node *node)
{
    return ((node->size - 1) >> chunk_bits(node->size)) + 1;
}

/* What stands behind an inode and its attributes. */
static uint64_t behind_len(const struct erofs_node *node)
{
    return node->is_sparse ? chunks_of(node) * sizeof(uint32_t) : node->place.is_inline ? node->place.size % EROFS_BLOCK_LEN : 0;
}

static bool chunk_is_stored(const struct erofs_node *node, uint64_t from, uint64_t len, size_t *first)
{
    while (*first < node->n_extents && node->extents[*first].offset + node->extents[*first].len <= from)
        ++*first;
    return *first < node->n_extents && node->extents[*first].offset < from + len;
}

/* The blocks of a chunk; the last one ends with the file. */
static uint64_t chunk_blocks(const struct erofs_node *node, uint64_t from)
{
    uint64_t len = UINT64_C(1) << chunk_bits(node->size);

    return blocks_of(node->size - from < len ? node->size - from : len);
}

static uint64_t sparse_blocks(const struct erofs_node *node)
{
    uint64_t n = 0, len = UINT64_C(1) << chunk_bits(node->size);
    size_t   first = 0;

    for (uint64_t from = 0; from < node->size; from += len)
        n += chunk_is_stored(node, from, len, &first) ? chunk_blocks(node, from) : 0;
    return n;
}

static uint64_t data_blocks(const struct erofs_node *node)
{
    if (node->is_sparse)
        return sparse_blocks(node);
    return node->place.is_inline ? node->place.size / EROFS_BLOCK_LEN : blocks_of(node->place.size);
}

static FALLIBLE place(struct layout *l, struct erofs_node *node, struct err *err)
{
    if (node->place.is_placed)
        return true;

    uint64_t head = INODE_LEN + attributes_len(node);

    node->place.size      = S_ISDIR(node->mode) ? folder_len(node) : node->size;
    uint64_t tail         = node->place.size % EROFS_BLOCK_LEN;
    node->place.is_inline = !node->is_sparse && tail > 0 && tail <= INLINE_MAX && head + tail <= EROFS_BLOCK_LEN;

    uint64_t len = head + behind_len(node), at = (l->meta_end + SLOT_LEN - 1) / SLOT_LEN * SLOT_LEN;

    if (node->place.is_inline && at / EROFS_BLOCK_LEN != (at + len - 1) / EROFS_BLOCK_LEN)
        at = (at + EROFS_BLOCK_LEN - 1) / EROFS_BLOCK_LEN * EROFS_BLOCK_LEN; /* a tail stays in the inode's block */
    if (head - INODE_LEN > (uint64_t) UINT16_MAX * 4)
        return fail_with(err, ERR_LIMIT, "over 256 KiB of extended attributes on one file");
    node->place.at        = at;
    node->place.nid       = at / SLOT_LEN;
    node->place.number    = ++l->n_inodes;
    node->place.is_placed = true;
    node->place.block     = (uint32_t) l->n_data; /* counted from data_block, which is not known yet */
    l->meta_end           = at + len;
    l->n_data += data_blocks(node);
    if (l->meta_end / EROFS_BLOCK_LEN + l->n_data >= NO_BLOCK)
        return fail_with(err, ERR_LIMIT, "more than 16 TiB");
    return true;
}

static FALLIBLE forget(struct layout *l, struct erofs_node *node, struct err *err)
{
    (void) l;
    (void) err; /* nothing can fail */
    memset(&node->place, 0, sizeof node->place);
    return true;
}

/* ---- inodes ---- */

static uint8_t file_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return 1;
    case S_IFDIR: return 2;
    case S_IFCHR: return 3;
    case S_IFBLK: return 4;
    case S_IFIFO: return 5;
    default:      return 7; /* a symbolic link */
    }
}

/* One block of names: entries, then their texts. */
static void folder_block(struct listing *l, struct buffer *out)
{
    struct listing look = *l;
    uint64_t       used;
    size_t         n       = block_fit(&look, &used), text_at = n * DIRENT_LEN;
    struct buffer  texts   = { 0 };

    for (size_t i = 0; i < n; i++) {
        const char              *name;
        const struct erofs_node *node;
        struct writer            w = writer_over(buffer_grow(out, DIRENT_LEN), DIRENT_LEN);

        if (!listing_next(l, &name, &node))
            abort(); /* it was counted a moment ago */
        put_u64le(&w, node->place.nid);
        put_u16le(&w, (uint16_t) (text_at + texts.len));
        put_u8(&w, file_type(node->mode));
        buffer_append_text(&texts, name);
    }
    buffer_append(out, buffer_bytes(&texts));
    buffer_free(&texts);
}

/* All of a folder's content; every block but the last is padded. */
static void folder_content(const struct erofs_node *node, struct buffer *out)
{
    struct listing l    = { .folder = node };
    struct listing look = l;
    uint64_t       used;

    out->len = 0;
    while (block_fit(&look, &used) > 0) {
        (void) buffer_grow(out, (EROFS_BLOCK_LEN - out->len % EROFS_BLOCK_LEN) % EROFS_BLOCK_LEN);
        folder_block(&l, out);
    }
}

static void attributes_write(const struct erofs_node *node, struct writer *w)
{
    if (node->n_attributes == 0)
        return;
    put_zeros(w, XATTR_HEADER_LEN); /* none is shared */
    for (size_t i = 0; i < node->n_attributes; i++) {
        uint8_t      index;
        const char  *name  = attribute_suffix(node->attributes[i].name, &index);
        struct bytes value = buffer_bytes(&node->attributes[i].value);
        size_t       len   = XATTR_ENTRY_LEN + strlen(name) + value.len;

        put_u8(w, (uint8_t) strlen(name));
        put_u8(w, index);
        put_u16le(w, (uint16_t) value.len);
        put(w, bytes_of_text(name));
        put(w, value);
        put_zeros(w, (4 - len % 4) % 4);
    }
}

static void chunks_write(const struct layout *l, const struct erofs_node *node, struct writer *w)
{
    uint64_t len   = UINT64_C(1) << chunk_bits(node->size), block = l->data_block + node->place.block;
    size_t   first = 0;

    for (uint64_t from = 0; from < node->size; from += len) {
        bool is_stored = chunk_is_stored(node, from, len, &first);

        put_u32le(w, is_stored ? (uint32_t) block : NO_BLOCK);
        block += is_stored ? chunk_blocks(node, from) : 0;
    }
}

static uint32_t links_of(const struct erofs_node *node)
{
    uint32_t n = 2;

    if (!S_ISDIR(node->mode))
        return node->n_names;
    for (size_t i = 0; i < node->n; i++)
        n += S_ISDIR(node->names[i].node->mode);
    return n;
}

/* A device's number, the form of a chunk, or where the content begins. */
static uint32_t union_of(const struct layout *l, const struct erofs_node *node)
{
    if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
        return (node->minor & 0xff) | node->major << 8 | (node->minor & ~0xffu) << 12;
    if (node->is_sparse)
        return chunk_bits(node->size) - BLOCK_BITS;
    return data_blocks(node) > 0 ? (uint32_t) (l->data_block + node->place.block) : 0;
}

/* Reads stored content: `len` bytes from `at` of the file of contents. */
static FALLIBLE content_read(const struct layout *l, uint64_t at, uint8_t *into, size_t len, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(l->image->content_fd, into + done, len - done, (off_t) (at + done));

        if (n < 0 && errno != EINTR)
            return err_os(err, "read a file's content");
        if (n == 0)
            return fail_with(err, ERR_BUG, "a file's content is short");
        done += n > 0 ? (size_t) n : 0;
    }
    return true;
}

static FALLIBLE tail_write(struct layout *l, struct erofs_node *node, uint8_t *into, struct err *err)
{
    size_t   len  = (size_t) (node->place.size % EROFS_BLOCK_LEN);
    uint64_t from = node->place.size - len;

    if (S_ISREG(node->mode))
        return content_read(l, node->stored_at + from, into, len, err);
    if (S_ISDIR(node->mode))
        folder_content(node, &l->folder);
    memcpy(into, S_ISDIR(node->mode) ? l->folder.at + from : (const uint8_t *) node->link + from, len);
    return true;
}

static FALLIBLE inode_write(struct layout *l, struct erofs_node *node, struct err *err)
{
    uint64_t      attributes = attributes_len(node);
    int           form       = node->is_sparse ? LAYOUT_CHUNKS : node->place.is_inline ? LAYOUT_INLINE : LAYOUT_PLAIN;
    struct writer w          = writer_over(l->meta.at + node->place.at, l->meta.len - node->place.at);

    if (!node->place.is_placed) /* written already, under another name */
        return true;
    node->place.is_placed = false;
    put_u16le(&w, (uint16_t) (FORMAT_EXTENDED | form << 1));
    put_u16le(&w, (uint16_t) (attributes > 0 ? (attributes - XATTR_HEADER_LEN) / 4 + 1 : 0));
    put_u16le(&w, (uint16_t) node->mode);
    put_zeros(&w, 2);
    put_u64le(&w, node->place.size);
    put_u32le(&w, union_of(l, node));
    put_u32le(&w, node->place.number);
    put_u32le(&w, node->uid);
    put_u32le(&w, node->gid);
    put_u64le(&w, (uint64_t) node->mtime);
    put_u32le(&w, node->mtime_ns);
    put_u32le(&w, links_of(node));
    put_zeros(&w, 16);
    attributes_write(node, &w);
    if (node->is_sparse)
        chunks_write(l, node, &w);
    if (!writer_ok(&w, err))
        return context(err, "inode");
    return !node->place.is_inline || tail_write(l, node, l->meta.at + node->place.at + w.len, err);
}

static FALLIBLE has_chunks(struct layout *l, struct erofs_node *node, struct err *err)
{
    (void) l;
    (void) err; /* see below: "false" is an answer here */
    return !node->is_sparse;
}

static void superblock_write(struct layout *l)
{
    struct err    unused;
    bool          is_chunked = !nodes_visit(l, l->image->tree->root, has_chunks, &unused);
    struct writer w          = writer_over(l->meta.at + SUPERBLOCK_AT, SUPERBLOCK_LEN);

    put_u32le(&w, (uint32_t) MAGIC);
    put_zeros(&w, 8); /* no checksum: dm-verity stands below */
    put_u8(&w, BLOCK_BITS);
    put_u8(&w, 0);
    put_u16le(&w, (uint16_t) l->image->tree->root->place.nid);
    put_u64le(&w, l->n_inodes);
    put_zeros(&w, 12); /* built at time 0 */
    put_u32le(&w, (uint32_t) (l->data_block + l->n_data));
    put_zeros(&w, 8); /* inodes are numbered from the image's start; no shared attributes */
    put_zeros(&w, 32); /* no UUID, no name */
    put_u32le(&w, is_chunked ? INCOMPAT_CHUNKED : 0);
}

/* ---- contents ---- */

static FALLIBLE piece_flush(struct layout *l, struct err *err)
{
    bool ok = l->piece.len == 0 || l->image->put(l->image->owner, buffer_bytes(&l->piece), err);

    l->piece.len = 0;
    return ok;
}

/* `len` bytes of stored content at a block's start, then zeros to the block's end. */
static FALLIBLE content_put(struct layout *l, uint64_t at, uint64_t len, struct err *err)
{
    while (len > 0) {
        size_t n = len < COPY_LEN ? (size_t) len : COPY_LEN;

        if (!content_read(l, at, buffer_grow(&l->piece, n), n, err))
            return false;
        at += n;
        len -= n;
        (void) buffer_grow(&l->piece, (EROFS_BLOCK_LEN - l->piece.len % EROFS_BLOCK_LEN) % EROFS_BLOCK_LEN);
        if (l->piece.len >= COPY_LEN && !piece_flush(l, err))
            return false;
    }
    return true;
}

/* One block of a sparse file, put together from its extents; `i` and `stored` follow the walk. */
static FALLIBLE sparse_block_put(struct layout *l, const struct erofs_node *node, uint64_t from, struct err *err)
{
    uint8_t *block  = buffer_grow(&l->piece, EROFS_BLOCK_LEN);
    uint64_t stored = node->stored_at;

    for (size_t i = 0; i < node->n_extents; i++) {
        const struct erofs_extent *e     = &node->extents[i];
        uint64_t                   begin = e->offset > from ? e->offset : from;
        uint64_t                   end   = e->offset + e->len < from + EROFS_BLOCK_LEN ? e->offset + e->len : from + EROFS_BLOCK_LEN;

        if (begin < end && !content_read(l, stored + (begin - e->offset), block + (begin - from), (size_t) (end - begin), err))
            return false;
        stored += e->len;
    }
    return l->piece.len < COPY_LEN || piece_flush(l, err);
}

static FALLIBLE sparse_put(struct layout *l, const struct erofs_node *node, struct err *err)
{
    uint64_t len   = UINT64_C(1) << chunk_bits(node->size);
    size_t   first = 0;

    for (uint64_t from = 0; from < node->size; from += len) {
        if (!chunk_is_stored(node, from, len, &first))
            continue;
        for (uint64_t i = 0; i < chunk_blocks(node, from); i++)
            if (!sparse_block_put(l, node, from + i * EROFS_BLOCK_LEN, err))
                return false;
    }
    return true;
}

static FALLIBLE memory_put(struct layout *l, const void *content, uint64_t len, struct err *err)
{
    buffer_append(&l->piece, (struct bytes){ content, (size_t) len });
    (void) buffer_grow(&l->piece, (EROFS_BLOCK_LEN - l->piece.len % EROFS_BLOCK_LEN) % EROFS_BLOCK_LEN);
    return l->piece.len < COPY_LEN || piece_flush(l, err);
}

static FALLIBLE blocks_write(struct layout *l, struct erofs_node *node, struct err *err)
{
    uint64_t len = node->place.size;

    if (node->place.is_placed || data_blocks(node) == 0) /* see below: a second name of what was written */
        return true;
    node->place.is_placed = true;
    if (node->is_sparse)
        return sparse_put(l, node, err);
    len -= node->place.is_inline ? len % EROFS_BLOCK_LEN : 0;
    if (S_ISREG(node->mode))
        return content_put(l, node->stored_at, len, err);
    if (S_ISDIR(node->mode))
        folder_content(node, &l->folder);
    return memory_put(l, S_ISDIR(node->mode) ? (const void *) l->folder.at : node->link, len, err);
}

FALLIBLE erofs_image_write(const struct erofs_image *image, struct err *err)
{
    AUTO(layout) struct layout l    = { .image = image, .meta_end = META_AT };
    struct erofs_node         *root = image->tree->root;

    if (!nodes_visit(&l, root, forget, err) || !nodes_visit(&l, root, place, err))
        return false;
    l.data_block = blocks_of(l.meta_end);
    (void) buffer_grow(&l.meta, l.data_block * EROFS_BLOCK_LEN);
    superblock_write(&l);
    return nodes_visit(&l, root, inode_write, err) && image->put(image->owner, buffer_bytes(&l.meta), err) &&
           nodes_visit(&l, root, blocks_write, err) && piece_flush(&l, err);
}
