#include "guest/init/scratch.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/auto.h"
#include "guest/init/device_mapper.h"
#include "guest/init/integrity.h"

#define INTEGRITY "cloister-integrity"
#define CRYPT     "cloister-scratch"

enum {
    SECTOR          = 512,
    PAGE            = 4096,
    PAGE_SECTORS    = PAGE / SECTOR,
    MAC_KEY_LEN     = 32,
    CIPHER_KEY_LEN  = 64,      /* XTS of AES-256 takes two */
    TAG_LEN         = 32,      /* HMAC-SHA-256 of a block of ciphertext and its place */
    TABLE_PART_MAX  = 128,
    SWAP_HEADER_AT  = 1024,    /* [Linux, include/linux/swap.h: union swap_header] */
};

/* ---- integrity ---- */

/*
 * Integrity lies below encryption, with a hash of its own: dm-crypt's authenticated modes, which would be one key for
 * both, stall when swap goes through them (Linux 6.12). Direct writes: what a crash would tear is of no use after it.
 */
static FALLIBLE make_integrity(dev_t disk, const struct secret *key, uint64_t sectors, struct dm_device *out, struct err *err)
{
    AUTO(secret) struct secret table = { 0 };
    char                       before[TABLE_PART_MAX];

    (void) snprintf(before, sizeof before, "%u:%u 0 %d D 2 block_size:%d internal_hash:hmac(sha256):", major(disk), minor(disk),
                    TAG_LEN, PAGE); /* fits */
    return dm_table_write(before, key, "", &table, err) && dm_device_make(INTEGRITY, false, "integrity", sectors, &table, out, err);
}

/* The kernel formats a disk whose superblock is zero when its first device, of one block, starts. */
static FALLIBLE format(int fd, dev_t disk, const struct secret *key, uint64_t disk_sectors, uint64_t *provided, struct err *err)
{
    static const uint8_t zeros[PAGE];
    uint8_t              superblock[INTEGRITY_SUPERBLOCK_LEN];
    struct dm_device     formatting;

    if (pwrite(fd, zeros, sizeof zeros, 0) != sizeof zeros || fsync(fd) < 0)
        return err_os(err, "scratch: clear the superblock");
    if (!make_integrity(disk, key, PAGE_SECTORS, &formatting, err) || !dm_device_remove(INTEGRITY, err))
        return context(err, "scratch: format");
    if (ioctl(fd, BLKFLSBUF) < 0 || pread(fd, superblock, sizeof superblock, 0) != sizeof superblock) /* not our cached zeros */
        return err_os(err, "scratch: read the superblock");
    return integrity_superblock_read((struct bytes){ superblock, sizeof superblock }, disk_sectors, provided, err) ||
           context(err, "scratch");
}

/* ---- encryption ---- */

static FALLIBLE make_crypt(const struct dm_device *below, uint64_t sectors, struct dm_device *out, struct err *err)
{
    AUTO(secret) struct secret key = { 0 }, table = { 0 };
    char                       after[TABLE_PART_MAX];

    (void) snprintf(after, sizeof after, " 0 %u:%u 0 1 sector_size:%d", below->major, below->minor, PAGE); /* fits */
    return secret_random(CIPHER_KEY_LEN, &key, err) && dm_table_write("aes-xts-plain64 ", &key, after, &table, err) &&
           dm_device_make(CRYPT, false, "crypt", sectors, &table, out, err);
}

/* ---- swap ---- */

static FALLIBLE write_swap_header(const char *path, uint64_t sectors, struct err *err)
{
    uint8_t       page[PAGE] = { 0 };
    struct writer w          = writer_over(page + SWAP_HEADER_AT, 16);
    AUTO(fd) int  fd         = open(path, O_RDWR | O_CLOEXEC);

    put_u32le(&w, 1);                                            /* version */
    put_u32le(&w, (uint32_t) (sectors / PAGE_SECTORS - 1));      /* the last page; the caller bounded it */
    memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
    if (fd < 0 || pwrite(fd, page, sizeof page, 0) != sizeof page || fsync(fd) < 0)
        return err_os(err, "scratch: write the swap header");
    return true;
}

static FALLIBLE open_disk(const char *name, struct disk *disk, struct err *err)
{
    if (!disk_open(name, false, disk, err))
        return context(err, "scratch");
    return (disk->len >= SCRATCH_LEN_MIN && disk->len / PAGE <= UINT32_MAX) ||
           fail_with(err, ERR_LIMIT, "scratch: a disk of %llu bytes", (unsigned long long) disk->len);
}

FALLIBLE scratch_open(const char *name, struct err *err)
{
    AUTO(disk) struct disk     disk    = { .fd = NO_FD };
    AUTO(secret) struct secret mac_key = { 0 };
    uint64_t                   provided;
    struct dm_device           integrity, crypt;

    if (!secret_heap_open(err) || !open_disk(name, &disk, err) || !secret_random(MAC_KEY_LEN, &mac_key, err) ||
        !format(disk.fd, disk.device, &mac_key, disk.len / SECTOR, &provided, err))
        return false;
    if (!make_integrity(disk.device, &mac_key, provided, &integrity, err) || !make_crypt(&integrity, provided, &crypt, err) ||
        !write_swap_header(crypt.path, provided, err))
        return context(err, "scratch");
    return swapon(crypt.path, 0) == 0 || err_os(err, "scratch: swap on");
}
