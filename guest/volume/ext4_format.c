#include "guest/volume/ext4_format.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"

enum {
    GROUP_BLOCKS     = 32768, /* as many as a block of bits has */
    GROUP_INODES     = 8192,
    INODE_LEN        = 256,
    TABLE_BLOCKS     = GROUP_INODES * INODE_LEN / EXT4_BLOCK,
    DESCRIPTOR_LEN   = 32,
    GROUP_LEAST      = 64,    /* free blocks that a last group must have to be worth its tables */
    ROOT_INODE       = 2,
    JOURNAL_INODE    = 8,
    FIRST_INODE      = 11,
    JOURNAL_SMALL    = 1024,  /* the least that the kernel takes */
    JOURNAL_LARGE    = 4096,
    LARGE_FROM       = 131072, /* blocks: 512 MiB */
    SUPERBLOCK_AT    = 1024,
    SUPERBLOCK_LEN   = 1024,
    EXTENTS_FLAG     = 0x80000,
    EXTENT_MAGIC     = 0xf30a,
    MAGIC            = 0xef53,
    ZEROS_AT_ONCE    = 256    /* blocks */
};
enum { COMPAT_JOURNAL = 0x4, COMPAT_XATTR = 0x8, COMPAT_DIR_INDEX = 0x20 };
enum { INCOMPAT_FILETYPE = 0x2, INCOMPAT_EXTENTS = 0x40 };
enum { RO_SPARSE_SUPER = 0x1, RO_LARGE_FILE = 0x2, RO_HUGE_FILE = 0x8, RO_DIR_NLINK = 0x20, RO_EXTRA_ISIZE = 0x40 };

struct layout {
    int            fd;
    const uint8_t *seed;
    uint32_t       blocks, groups, descriptor_blocks, journal_blocks;
};

static bool is_power_of(uint32_t n, uint32_t base)
{
    while (n > base && n % base == 0)
        n /= base;
    return n == base;
}

/* Copies of the superblock and of all descriptors lie in few groups. */
static bool has_superblock(uint32_t group)
{
    return group <= 1 || is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

static uint32_t tables_at(const struct layout *l, uint32_t group)
{
    return group * GROUP_BLOCKS + (has_superblock(group) ? 1 + l->descriptor_blocks : 0);
}

static uint32_t overhead(const struct layout *l, uint32_t group)
{
    return tables_at(l, group) - group * GROUP_BLOCKS + 2 + TABLE_BLOCKS;
}

static uint32_t group_blocks(const struct layout *l, uint32_t group)
{
    return group + 1 < l->groups ? GROUP_BLOCKS : l->blocks - group * GROUP_BLOCKS;
}

/* Of the first group: its root directory's block, then the journal. */
static uint32_t root_block(const struct layout *l)
{
    return tables_at(l, 0) + 2 + TABLE_BLOCKS;
}

static uint32_t used_blocks(const struct layout *l, uint32_t group)
{
    return overhead(l, group) + (group == 0 ? 1 + l->journal_blocks : 0);
}

static FALLIBLE lay_out(uint64_t len, struct layout *l, struct err *err)
{
    if (len < EXT4_LEN_MIN || len > EXT4_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "a file system of %llu bytes; %llu to %llu can be made", (unsigned long long) len, EXT4_LEN_MIN,
                         EXT4_LEN_MAX);
    l->blocks            = (uint32_t) (len / EXT4_BLOCK);
    l->groups            = (l->blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
    l->descriptor_blocks = (l->groups * DESCRIPTOR_LEN + EXT4_BLOCK - 1) / EXT4_BLOCK;
    l->journal_blocks    = l->blocks < LARGE_FROM ? JOURNAL_SMALL : JOURNAL_LARGE;
    if (l->groups > 1 && group_blocks(l, l->groups - 1) < overhead(l, l->groups - 1) + GROUP_LEAST) {
        l->groups--;
        l->blocks = l->groups * GROUP_BLOCKS;
    }
    return true;
}

/* ---- writing ---- */

static FALLIBLE write_at(const struct layout *l, uint64_t offset, struct bytes what, struct err *err)
{
    while (what.len > 0) {
        ssize_t n = pwrite(l->fd, what.at, what.len, (off_t) offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_os(err, "write the file system");
        what.at += n;
        what.len -= (size_t) n;
        offset += (uint64_t) n;
    }
    return true;
}

static FALLIBLE write_block(const struct layout *l, uint32_t block, const uint8_t content[static EXT4_BLOCK], struct err *err)
{
    return write_at(l, (uint64_t) block * EXT4_BLOCK, (struct bytes){ content, EXT4_BLOCK }, err);
}

static FALLIBLE write_zeros(const struct layout *l, uint32_t block, uint32_t n, struct err *err)
{
    static uint8_t zeros[ZEROS_AT_ONCE * EXT4_BLOCK]; /* never written; a constant would lie in the initrd */

    for (uint32_t done = 0; done < n;) {
        uint32_t now = n - done < ZEROS_AT_ONCE ? n - done : ZEROS_AT_ONCE;

        if (!write_at(l, (uint64_t) (block + done) * EXT4_BLOCK, (struct bytes){ zeros, (size_t) now * EXT4_BLOCK }, err))
            return false;
        done += now;
    }
    return true;
}

static void set_bits(uint8_t *map, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        map[i / 8] = (uint8_t) (map[i / 8] | 1u << i % 8);
}

static FALLIBLE write_bitmaps(const struct layout *l, uint32_t group, struct err *err)
{
    uint8_t blocks[EXT4_BLOCK] = { 0 }, inodes[EXT4_BLOCK] = { 0 };

    set_bits(blocks, 0, used_blocks(l, group));
    set_bits(blocks, group_blocks(l, group), GROUP_BLOCKS);
    set_bits(inodes, 0, group == 0 ? FIRST_INODE - 1 : 0);
    set_bits(inodes, GROUP_INODES, GROUP_BLOCKS);
    return write_block(l, tables_at(l, group), blocks, err) && write_block(l, tables_at(l, group) + 1, inodes, err);
}

/* One extent is all that either of our two files needs. */
static void put_inode(uint8_t *at, uint16_t mode, uint16_t links, uint32_t block, uint32_t n_blocks)
{
    struct writer w = writer_over(at, INODE_LEN);

    put_u16le(&w, mode);
    put_u16le(&w, 0);                     /* owner: root */
    put_u32le(&w, n_blocks * EXT4_BLOCK); /* at most 16 MiB */
    put_zeros(&w, 16);                    /* times: none is known that the host did not give */
    put_u16le(&w, 0);
    put_u16le(&w, links);
    put_u32le(&w, n_blocks * (EXT4_BLOCK / 512));
    put_u32le(&w, EXTENTS_FLAG);
    put_u32le(&w, 0);
    put_u16le(&w, EXTENT_MAGIC); /* head of the extents: one of four, depth 0 */
    put_u16le(&w, 1);
    put_u16le(&w, 4);
    put_u16le(&w, 0);
    put_u32le(&w, 0);
    put_u32le(&w, 0); /* the extent: from logical block 0 */
    put_u16le(&w, (uint16_t) n_blocks);
    put_u16le(&w, 0);
    put_u32le(&w, block);
    put_zeros(&w, 128 - w.len);
    put_u16le(&w, 32); /* bytes of what follows the old 128 */
}

static FALLIBLE write_inodes(const struct layout *l, struct err *err)
{
    uint8_t block[EXT4_BLOCK] = { 0 };

    put_inode(block + (ROOT_INODE - 1) * INODE_LEN, S_IFDIR | 0777, 2, root_block(l), 1);
    put_inode(block + (JOURNAL_INODE - 1) * INODE_LEN, S_IFREG | 0600, 1, root_block(l) + 1, l->journal_blocks);
    return write_block(l, tables_at(l, 0) + 2, block, err);
}

/* "." and "..", which fills the block. */
static FALLIBLE write_root(const struct layout *l, struct err *err)
{
    uint8_t       block[EXT4_BLOCK] = { 0 };
    struct writer w                 = writer_over(block, sizeof block);

    put_u32le(&w, ROOT_INODE);
    put_u16le(&w, 12);
    put_u8(&w, 1);
    put_u8(&w, 2); /* a directory */
    put(&w, (struct bytes){ (const uint8_t *) ".\0\0\0", 4 });
    put_u32le(&w, ROOT_INODE);
    put_u16le(&w, EXT4_BLOCK - 12);
    put_u8(&w, 2);
    put_u8(&w, 2);
    put(&w, (struct bytes){ (const uint8_t *) "..\0\0", 4 });
    return write_block(l, root_block(l), block, err);
}

/* [Linux, include/linux/jbd2.h: journal_superblock_t] */
static FALLIBLE write_journal(const struct layout *l, struct err *err)
{
    uint8_t       block[EXT4_BLOCK] = { 0 };
    struct writer w                 = writer_over(block, sizeof block);

    put_u32be(&w, 0xc03b3998);
    put_u32be(&w, 4); /* a superblock, version 2 */
    put_u32be(&w, 0);
    put_u32be(&w, EXT4_BLOCK);
    put_u32be(&w, l->journal_blocks);
    put_u32be(&w, 1); /* the first block of the log */
    put_u32be(&w, 1); /* the first sequence expected */
    put_u32be(&w, 0); /* empty */
    put_zeros(&w, 16); /* no error, no features */
    put(&w, (struct bytes){ l->seed, 16 });
    put_u32be(&w, 1); /* one user */
    return write_block(l, root_block(l) + 1, block, err) && write_zeros(l, root_block(l) + 2, l->journal_blocks - 1, err);
}

static void put_descriptors(const struct layout *l, uint8_t *at)
{
    for (uint32_t g = 0; g < l->groups; g++) {
        struct writer w = writer_over(at + (size_t) g * DESCRIPTOR_LEN, DESCRIPTOR_LEN);

        put_u32le(&w, tables_at(l, g));
        put_u32le(&w, tables_at(l, g) + 1);
        put_u32le(&w, tables_at(l, g) + 2);
        put_u16le(&w, (uint16_t) (group_blocks(l, g) - used_blocks(l, g)));
        put_u16le(&w, (uint16_t) (GROUP_INODES - (g == 0 ? FIRST_INODE - 1 : 0)));
        put_u16le(&w, g == 0 ? 1 : 0); /* directories */
    }
}

/* [Linux, Documentation/filesystems/ext4/super.rst] */
static void put_superblock(const struct layout *l, uint32_t group, uint8_t at[static SUPERBLOCK_LEN])
{
    struct writer w    = writer_over(at, SUPERBLOCK_LEN);
    uint32_t      used = 0;

    for (uint32_t g = 0; g < l->groups; g++)
        used += used_blocks(l, g);
    put_u32le(&w, l->groups * GROUP_INODES);
    put_u32le(&w, l->blocks);
    put_u32le(&w, 0); /* kept for root: none */
    put_u32le(&w, l->blocks - used);
    put_u32le(&w, l->groups * GROUP_INODES - (FIRST_INODE - 1));
    put_u32le(&w, 0); /* first data block */
    put_u32le(&w, 2); /* block: 1024 << 2 */
    put_u32le(&w, 2);
    put_u32le(&w, GROUP_BLOCKS);
    put_u32le(&w, GROUP_BLOCKS);
    put_u32le(&w, GROUP_INODES);
    put_zeros(&w, 8);
    put_u16le(&w, 0);
    put_u16le(&w, 0xffff); /* no check after so many mounts */
    put_u16le(&w, MAGIC);
    put_u16le(&w, 1); /* clean */
    put_u16le(&w, 2); /* on errors: read-only */
    put_zeros(&w, 2 + 4 + 4 + 4);
    put_u32le(&w, 1); /* inodes of their own size */
    put_zeros(&w, 4);
    put_u32le(&w, FIRST_INODE);
    put_u16le(&w, INODE_LEN);
    put_u16le(&w, (uint16_t) group);
    put_u32le(&w, COMPAT_JOURNAL | COMPAT_XATTR | COMPAT_DIR_INDEX);
    put_u32le(&w, INCOMPAT_FILETYPE | INCOMPAT_EXTENTS);
    put_u32le(&w, RO_SPARSE_SUPER | RO_LARGE_FILE | RO_HUGE_FILE | RO_DIR_NLINK | RO_EXTRA_ISIZE);
    put(&w, (struct bytes){ l->seed, 16 });
    put_zeros(&w, 224 - w.len);
    put_u32le(&w, JOURNAL_INODE);
    put_zeros(&w, 8);
    put(&w, (struct bytes){ l->seed + 16, 16 });
    put_u8(&w, 1); /* half MD4 */
    put_zeros(&w, 1);
    put_u16le(&w, DESCRIPTOR_LEN);
    put_zeros(&w, 348 - w.len);
    put_u16le(&w, 32);
    put_u16le(&w, 32);
    put_u32le(&w, 1); /* the hash takes signed characters */
}

static FALLIBLE write_superblocks(const struct layout *l, struct err *err)
{
    AUTO(heap) uint8_t *head = zeroed(1 + l->descriptor_blocks, EXT4_BLOCK);

    put_descriptors(l, head + EXT4_BLOCK);
    for (uint32_t g = l->groups; g-- > 0;) { /* the first last: without it there is no file system */
        size_t at = g == 0 ? SUPERBLOCK_AT : 0;

        if (!has_superblock(g))
            continue;
        memset(head, 0, EXT4_BLOCK);
        put_superblock(l, g, head + at);
        if (!write_at(l, (uint64_t) g * GROUP_BLOCKS * EXT4_BLOCK, (struct bytes){ head, (size_t) (1 + l->descriptor_blocks) * EXT4_BLOCK }, err))
            return false;
    }
    return true;
}

FALLIBLE ext4_format(int fd, uint64_t len, const uint8_t seed[static EXT4_SEED_LEN], struct err *err)
{
    struct layout l = { .fd = fd, .seed = seed };

    if (!lay_out(len, &l, err))
        return false;
    for (uint32_t g = 0; g < l.groups; g++)
        if (!write_bitmaps(&l, g, err) || !write_zeros(&l, tables_at(&l, g) + 2, TABLE_BLOCKS, err))
            return false;
    if (!write_inodes(&l, err) || !write_root(&l, err) || !write_journal(&l, err) || !write_superblocks(&l, err))
        return false;
    return fsync(fd) == 0 || err_os(err, "write the file system");
}
