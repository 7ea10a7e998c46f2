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
#include "base/file.h"
#include "guest/init/device_mapper.h"

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
    SUPERBLOCK_LEN  = 512,
    SERIAL_LEN_MAX  = 20,      /* virtio-blk's */
    SWAP_HEADER_AT  = 1024,    /* [Linux, include/linux/swap.h: union swap_header] */
};

/* ---- which disk ---- */

static bool has_serial(const char *blocks, const char *name)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[256];
    struct err                 ignored; /* a disk without serial is another disk */

    (void) snprintf(path, sizeof path, "%s/%s/serial", blocks, name); /* a cut path has no serial */
    if (!file_read(path, SERIAL_LEN_MAX + 1, &text, &ignored))
        return false;
    return text.len >= strlen(SCRATCH_SERIAL) && strncmp(buffer_text(&text), SCRATCH_SERIAL, strlen(SCRATCH_SERIAL)) == 0 &&
           strspn(buffer_text(&text) + strlen(SCRATCH_SERIAL), "\n") == text.len - strlen(SCRATCH_SERIAL);
}

FALLIBLE scratch_find(const char *blocks, char name[static SCRATCH_NAME_MAX], struct err *err)
{
    AUTO(dir) DIR *all = opendir(blocks);

    name[0] = 0;
    if (!all)
        return err_os(err, "scratch: %s", blocks);
    for (struct dirent *entry; (entry = readdir(all));) {
        if (strncmp(entry->d_name, "vd", 2) != 0 || strlen(entry->d_name) >= SCRATCH_NAME_MAX || !has_serial(blocks, entry->d_name))
            continue;
        if (name[0])
            return fail_with(err, ERR_MALFORMED, "two scratch disks");
        (void) snprintf(name, SCRATCH_NAME_MAX, "%s", entry->d_name); /* its length was compared */
    }
    return true;
}

/* ---- integrity ---- */

FALLIBLE scratch_superblock_read(struct bytes superblock, uint64_t disk_sectors, uint64_t *out, struct err *err)
{
    struct reader r     = reader_over(superblock);
    struct bytes  magic = take(&r, 8);

    (void) take(&r, 8); /* version, interleaving, tag size, journal sections */
    uint64_t provided = take_u64le(&r);
    if (!reader_ok(&r, err))
        return context(err, "scratch: superblock");
    if (memcmp(magic.at, "integrt", 8) != 0)
        return fail_with(err, ERR_MALFORMED, "scratch: superblock: no dm-integrity");
    provided -= provided % PAGE_SECTORS;
    if (provided == 0 || provided >= disk_sectors)
        return fail_with(err, ERR_MALFORMED, "scratch: superblock: %llu sectors of %llu", (unsigned long long) provided,
                         (unsigned long long) disk_sectors);
    *out = provided;
    return true;
}

/* A table with a key in its midst, in hex. Never in memory that is not wiped. */
static FALLIBLE table_write(const char *before, const struct secret *key, const char *after, struct secret *out, struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    struct bytes      raw      = secret_expose(key);
    size_t            n_before = strlen(before), n_after = strlen(after);

    if (!secret_new(n_before + 2 * raw.len + n_after, out, err))
        return false;
    uint8_t *at = out->held;
    memcpy(at, before, n_before);
    at += n_before;
    for (size_t i = 0; i < raw.len; i++) {
        *at++ = (uint8_t) digits[raw.at[i] >> 4];
        *at++ = (uint8_t) digits[raw.at[i] & 15];
    }
    memcpy(at, after, n_after);
    return true;
}

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
    return table_write(before, key, "", &table, err) && dm_device_make(INTEGRITY, false, "integrity", sectors, &table, out, err);
}

/* The kernel formats a disk whose superblock is zero when its first device, of one block, starts. */
static FALLIBLE format(int fd, dev_t disk, const struct secret *key, uint64_t disk_sectors, uint64_t *provided, struct err *err)
{
    static const uint8_t zeros[PAGE];
    uint8_t              superblock[SUPERBLOCK_LEN];
    struct dm_device     formatting;

    if (pwrite(fd, zeros, sizeof zeros, 0) != sizeof zeros || fsync(fd) < 0)
        return err_os(err, "scratch: clear the superblock");
    if (!make_integrity(disk, key, PAGE_SECTORS, &formatting, err) || !dm_device_remove(INTEGRITY, err))
        return context(err, "scratch: format");
    if (ioctl(fd, BLKFLSBUF) < 0 || pread(fd, superblock, sizeof superblock, 0) != sizeof superblock) /* not our cached zeros */
        return err_os(err, "scratch: read the superblock");
    return scratch_superblock_read((struct bytes){ superblock, sizeof superblock }, disk_sectors, provided, err);
}

/* ---- encryption ---- */

static FALLIBLE make_crypt(const struct dm_device *below, uint64_t sectors, struct dm_device *out, struct err *err)
{
    AUTO(secret) struct secret key = { 0 }, table = { 0 };
    char                       after[TABLE_PART_MAX];

    (void) snprintf(after, sizeof after, " 0 %u:%u 0 1 sector_size:%d", below->major, below->minor, PAGE); /* fits */
    return secret_random(CIPHER_KEY_LEN, &key, err) && table_write("aes-xts-plain64 ", &key, after, &table, err) &&
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

static FALLIBLE disk_open(const char *name, int *out_fd, dev_t *disk, uint64_t *sectors, struct err *err)
{
    char         path[32];
    uint64_t     len = 0;
    struct stat  st;
    AUTO(fd) int fd = NO_FD;

    (void) snprintf(path, sizeof path, "/dev/%s", name); /* fits */
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || ioctl(fd, BLKGETSIZE64, &len) < 0)
        return err_os(err, "scratch: %s", path);
    if (!S_ISBLK(st.st_mode) || len < SCRATCH_LEN_MIN || len / PAGE > UINT32_MAX)
        return fail_with(err, ERR_LIMIT, "scratch: a disk of %llu bytes", (unsigned long long) len);
    *disk    = st.st_rdev;
    *sectors = len / SECTOR;
    *out_fd  = TAKE_FD(fd);
    return true;
}

FALLIBLE scratch_open(const char *name, struct err *err)
{
    AUTO(fd) int               fd      = NO_FD;
    AUTO(secret) struct secret mac_key = { 0 };
    uint64_t                   sectors, provided;
    struct dm_device           integrity, crypt;
    dev_t                      disk;

    if (!secret_heap_open(err) || !disk_open(name, &fd, &disk, &sectors, err) || !secret_random(MAC_KEY_LEN, &mac_key, err) ||
        !format(fd, disk, &mac_key, sectors, &provided, err))
        return false;
    if (!make_integrity(disk, &mac_key, provided, &integrity, err) || !make_crypt(&integrity, provided, &crypt, err) ||
        !write_swap_header(crypt.path, provided, err))
        return context(err, "scratch");
    return swapon(crypt.path, 0) == 0 || err_os(err, "scratch: swap on");
}
