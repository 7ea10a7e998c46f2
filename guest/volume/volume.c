#include "guest/volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/file.h"
#include "base/ossl.h"
#include "guest/init/device_mapper.h"
#include "guest/init/integrity.h"
#include "guest/init/lent_disk.h"
#include "guest/volume/ext4_format.h"
#include "guest/volume/luks2_key.h"

/* No workload can read or write a trusted attribute: that takes CAP_SYS_ADMIN outside of its container. */
#define EPOCH_ATTRIBUTE "trusted.cloister.epoch"

enum {
    SECTOR          = 512,
    PAGE            = 4096,
    PAGE_SECTORS    = PAGE / SECTOR,
    TAG_LEN         = 32,
    TABLE_PART_MAX  = 160,
    PATH_LEN_MAX    = 64,
    COPY_LEN        = 16 << 10, /* of the headers that we make */
    SEGMENT_AT      = 4 << 20,
    PAUSE_MS        = 20,
    CLOSE_TRIES     = 250
};
#define VOLUME_LEN_MIN (16ULL << 20)

/* One volume while it is opened. */
struct opening {
    const struct volume_request *request;
    struct disk                  disk;
    struct luks2_header          header;
    struct secret                key;
    char                         integrity_name[32], crypt_name[32], path[PATH_LEN_MAX], lent_name[DISK_SERIAL_MAX + 1];
    bool                         has_disk, has_integrity, has_crypt, is_blank;
};

static void names_of(const char *name, struct opening *o)
{
    (void) snprintf(o->integrity_name, sizeof o->integrity_name, "integrity-%.16s", name); /* these fit */
    (void) snprintf(o->crypt_name, sizeof o->crypt_name, "volume-%.16s", name);
    (void) snprintf(o->path, sizeof o->path, VOLUMES_FOLDER "/%.16s", name);
    (void) snprintf(o->lent_name, sizeof o->lent_name, VOLUME_SERIAL_PREFIX "%.16s", name);
}

/* What was made and is not wanted goes in the opposite order; a failure here changes nothing about the first one. */
static void auto_opening(struct opening *o)
{
    struct err ignored;

    if (o->has_crypt)
        (void) !dm_device_remove(o->crypt_name, &ignored);
    if (o->has_integrity)
        (void) !dm_device_remove(o->integrity_name, &ignored);
    auto_disk(&o->disk);
    if (o->has_disk)
        (void) !lent_disk_forget(o->lent_name, &ignored);
    secret_free(&o->key);
}

/* ---- the disk and its header ---- */

static FALLIBLE find_disk(struct opening *o, struct err *err)
{
    o->has_disk = lent_disk_open(o->lent_name, o->request->read_only, &o->disk, err);
    return o->has_disk || (err->kind == ERR_NOT_FOUND && fail_with(err, ERR_NOT_FOUND, "the host gives no disk for it"));
}

static FALLIBLE read_at(int fd, uint64_t offset, uint8_t *into, size_t len, struct err *err)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = pread(fd, into + got, len - got, (off_t) (offset + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_os(err, "read the disk") : fail_with(err, ERR_MALFORMED, "the disk is cut short");
        got += (size_t) n;
    }
    return true;
}

static FALLIBLE write_at(int fd, uint64_t offset, struct bytes what, struct err *err)
{
    while (what.len > 0) {
        ssize_t n = pwrite(fd, what.at, what.len, (off_t) offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_os(err, "write the disk");
        what.at += n;
        what.len -= (size_t) n;
        offset += (uint64_t) n;
    }
    return true;
}

/* All that a header, its keyslots and the first page of a segment could be: anything there is somebody's data. */
static FALLIBLE look_blank(const struct opening *o, bool *blank, struct err *err)
{
    enum { AT_ONCE = 256 << 10 };
    AUTO(heap) uint8_t *piece = malloc(AT_ONCE);

    if (!piece)
        abort();
    *blank = true;
    for (uint64_t at = 0; *blank && at < SEGMENT_AT + AT_ONCE && at < o->disk.len; at += AT_ONCE) {
        size_t len = o->disk.len - at < AT_ONCE ? (size_t) (o->disk.len - at) : AT_ONCE;

        if (!read_at(o->disk.fd, at, piece, len, err))
            return false;
        *blank = bytes_are_zero((struct bytes){ piece, len });
    }
    return true;
}

static FALLIBLE read_header(struct opening *o, struct err *err)
{
    AUTO(buffer) struct buffer start = { 0 };
    size_t                     len   = o->disk.len < 2 * LUKS2_HEADER_MAX ? (size_t) o->disk.len : 2 * LUKS2_HEADER_MAX;

    return read_at(o->disk.fd, 0, buffer_grow(&start, len), len, err) &&
           luks2_header_read(buffer_bytes(&start), o->disk.len, &o->header, err) &&
           luks2_key_open(o->disk.fd, &o->header, o->request->passphrase, &o->key, err);
}

/* ---- what the kernel puts over it ---- */

static FALLIBLE make_integrity(struct opening *o, uint64_t sectors, struct dm_device *out, struct err *err)
{
    AUTO(secret) struct secret table = { 0 }, no_key = { 0 };
    char                       text[TABLE_PART_MAX];

    /* Read-only: as the disk is, without its journal, which a volume that was closed has emptied. */
    (void) snprintf(text, sizeof text, "%u:%u %llu %d %c 1 block_size:%u", major(o->disk.device), minor(o->disk.device),
                    (unsigned long long) (o->header.segment_offset / SECTOR), TAG_LEN, o->request->read_only ? 'R' : 'J',
                    o->header.sector_len); /* fits */
    if (!dm_table_write(text, &no_key, "", &table, err) ||
        !dm_device_make(o->integrity_name, o->request->read_only, "integrity", sectors, &table, out, err))
        return false;
    o->has_integrity = true;
    return true;
}

static FALLIBLE make_crypt(struct opening *o, const struct dm_device *below, uint64_t sectors, struct dm_device *out, struct err *err)
{
    AUTO(secret) struct secret table = { 0 };
    char                       after[TABLE_PART_MAX];

    (void) snprintf(after, sizeof after, " 0 %u:%u 0 2 integrity:%d:aead sector_size:%u", below->major, below->minor, TAG_LEN,
                    o->header.sector_len); /* fits */
    if (!dm_table_write("capi:authenc(hmac(sha256),xts(aes))-plain64 ", &o->key, after, &table, err) ||
        !dm_device_make(o->crypt_name, o->request->read_only, "crypt", sectors, &table, out, err))
        return false;
    o->has_crypt = true;
    return true;
}

static FALLIBLE read_provided(const struct opening *o, uint64_t *sectors, struct err *err)
{
    uint8_t superblock[INTEGRITY_SUPERBLOCK_LEN];

    return read_at(o->disk.fd, o->header.segment_offset, superblock, sizeof superblock, err) &&
           integrity_superblock_read(BYTES_OF(superblock), (o->disk.len - o->header.segment_offset) / SECTOR, sectors, err);
}

static FALLIBLE make_devices(struct opening *o, struct dm_device *out, uint64_t *sectors, struct err *err)
{
    struct dm_device integrity;

    return read_provided(o, sectors, err) && make_integrity(o, *sectors, &integrity, err) &&
           make_crypt(o, &integrity, *sectors, out, err);
}

/* ---- a blank disk: the header last, so that one that was not finished is still blank ---- */

static FALLIBLE write_uuid(char out[static 40], struct err *err)
{
    uint8_t r[16];

    if (!random_bytes(r, sizeof r, err))
        return false;
    r[6] = (uint8_t) ((r[6] & 0x0f) | 0x40); /* version 4 [RFC 9562 5.4] */
    r[8] = (uint8_t) ((r[8] & 0x3f) | 0x80);
    (void) snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5],
                    r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]); /* 36 characters */
    return true;
}

static FALLIBLE format_integrity(struct opening *o, struct err *err)
{
    static const uint8_t zeros[PAGE];
    struct dm_device     device;

    if (!write_at(o->disk.fd, o->header.segment_offset, BYTES_OF(zeros), err))
        return false;
    if (fsync(o->disk.fd) < 0)
        return err_os(err, "clear the superblock");
    if (!make_integrity(o, PAGE_SECTORS, &device, err) || !dm_device_remove(o->integrity_name, err))
        return false;
    o->has_integrity = false;
    return ioctl(o->disk.fd, BLKFLSBUF) == 0 || err_os(err, "read the superblock"); /* the kernel's, not our zeros */
}

static FALLIBLE format_inside(struct opening *o, struct err *err)
{
    uint8_t          seed[EXT4_SEED_LEN];
    struct dm_device device;
    uint64_t         sectors;

    if (!format_integrity(o, err) || !make_devices(o, &device, &sectors, err) || !random_bytes(seed, sizeof seed, err))
        return false;
    AUTO(fd) int fd = open(device.path, O_RDWR | O_CLOEXEC | O_EXCL);
    return fd < 0 ? err_os(err, "%s", device.path) : ext4_format(fd, sectors * SECTOR, seed, err);
}

static FALLIBLE write_header(struct opening *o, struct err *err)
{
    AUTO(buffer) struct buffer area = { 0 }, copies = { 0 };
    uint8_t                    salts[2][64];

    if (!luks2_key_store(&o->header, &o->key, o->request->passphrase, &area, err) || !random_bytes(salts[0], sizeof salts, err) ||
        !luks2_header_write(&o->header, false, salts[0], &copies, err) || !luks2_header_write(&o->header, true, salts[1], &copies, err) ||
        !write_at(o->disk.fd, o->header.keyslots[0].area_offset, buffer_bytes(&area), err))
        return false;
    if (fsync(o->disk.fd) < 0)
        return err_os(err, "write the header");
    return write_at(o->disk.fd, 0, buffer_bytes(&copies), err) && (fsync(o->disk.fd) == 0 || err_os(err, "write the header"));
}

static FALLIBLE format(struct opening *o, struct err *err)
{
    o->header = (struct luks2_header){ .sequence = 1, .copy_len = COPY_LEN, .segment_offset = SEGMENT_AT, .sector_len = PAGE };
    if (o->disk.len < VOLUME_LEN_MIN)
        return fail_with(err, ERR_LIMIT, "a disk of %llu bytes; at least %llu are wanted", (unsigned long long) o->disk.len, VOLUME_LEN_MIN);
    if (!write_uuid(o->header.uuid, err) || !secret_random(LUKS2_KEY_LEN, &o->key, err) || !format_inside(o, err) || !write_header(o, err))
        return context(err, "format");
    return true;
}

/* ---- open ---- */

static FALLIBLE prepare(struct opening *o, struct volume_opened *out, struct err *err)
{
    if (!find_disk(o, err) || !look_blank(o, &o->is_blank, err))
        return false;
    if (!o->is_blank)
        return read_header(o, err);
    if (o->request->known_epoch > 0)
        return fail_with(err, ERR_UNTRUSTED, "the disk is blank, but the volume was brought to epoch %llu: the host put another in its place",
                         (unsigned long long) o->request->known_epoch);
    if (!o->request->may_format || o->request->read_only)
        return fail_with(err, ERR_DENIED, "the disk is blank, and policy does not let it be formatted");
    out->was_formatted = true;
    return format(o, err);
}

static FALLIBLE mount_it(const struct opening *o, const char *device, struct err *err)
{
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME | (o->request->read_only ? MS_RDONLY : 0);

    if (!directory_make(o->path, err))
        return false;
    if (mount(device, o->path, "ext4", flags, "errors=remount-ro") == 0)
        return true;
    if (errno == EROFS)
        return fail_with(err, ERR_UNSUPPORTED, "it was not closed: open it for writing once, so that its journal is read");
    if (errno == EINVAL)
        return fail_with(err, ERR_UNSUPPORTED, "there is no ext4 file system in it");
    return err_os(err, errno == EIO || errno == EILSEQ || errno == EBADMSG || errno == EUCLEAN ? "its file system cannot be read: was the disk changed?" : "mount");
}

static FALLIBLE read_epoch(const char *path, uint64_t *out, struct err *err)
{
    char    text[24] = { 0 }, *end;
    ssize_t n = getxattr(path, EPOCH_ATTRIBUTE, text, sizeof text - 1);

    *out = 0;
    if (n < 0)
        return errno == ENODATA || err_os(err, "epoch");
    errno = 0;
    *out  = strtoull(text, &end, 10);
    return (errno == 0 && *end == 0 && text[0] >= '0' && text[0] <= '9') || fail_with(err, ERR_MALFORMED, "epoch: no number");
}

/* The broker's word against the disk's: what is older than it is a copy that someone kept. */
static FALLIBLE check_epoch(const struct opening *o, uint64_t *epoch, struct err *err)
{
    if (!read_epoch(o->path, epoch, err))
        return false;
    return *epoch >= o->request->known_epoch ||
           fail_with(err, ERR_UNTRUSTED, "it is at epoch %llu, but was brought to %llu: an old copy", (unsigned long long) *epoch,
                     (unsigned long long) o->request->known_epoch);
}

FALLIBLE volume_open(const struct volume_request *request, struct volume_opened *out, struct err *err)
{
    AUTO(opening) struct opening o = { .request = request, .disk = { .fd = NO_FD } };
    struct dm_device             device;
    uint64_t                     sectors;

    if (strlen(request->name) > VOLUME_DISK_NAME_MAX)
        return fail_with(err, ERR_LIMIT, "a name over %d characters", VOLUME_DISK_NAME_MAX);
    names_of(request->name, &o);
    *out = (struct volume_opened){ 0 };
    if (!prepare(&o, out, err))
        return false;
    if (o.has_crypt) /* formatted just now: opened as every other from here on */
        if (!dm_device_remove(o.crypt_name, err) || !dm_device_remove(o.integrity_name, err))
            return false;
    o.has_crypt = o.has_integrity = false;
    if (!make_devices(&o, &device, &sectors, err) || !mount_it(&o, device.path, err))
        return false;
    if (!check_epoch(&o, &out->epoch, err)) {
        (void) umount2(o.path, MNT_DETACH); /* the first failure is told */
        return false;
    }
    o.has_disk = o.has_crypt = o.has_integrity = false; /* from now on they stay */
    return true;
}

FALLIBLE volume_advance(const char *name, uint64_t epoch, struct err *err)
{
    struct opening o = { .disk = { .fd = NO_FD } };
    char           text[24];

    names_of(name, &o);
    AUTO(fd) int root = open(o.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int          len  = snprintf(text, sizeof text, "%llu", (unsigned long long) epoch);
    if (root < 0 || fsetxattr(root, EPOCH_ATTRIBUTE, text, (size_t) len, 0) < 0 || fsync(root) < 0)
        return err_os(err, "write the epoch");
    return true;
}

FALLIBLE volume_digest(const char *name, struct tree_digest *out, struct err *err)
{
    struct opening o = { .disk = { .fd = NO_FD } };

    names_of(name, &o);
    AUTO(fd) int root = open(o.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? err_os(err, "open") : tree_digest_of(root, out, err);
}

/* ---- close ---- */

/* The file system lives on until the last container's view of it is gone, which may be a moment after the container. */
static FALLIBLE remove_patiently(const char *name, struct err *err)
{
    static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

    for (int i = 0; !dm_device_remove(name, err); i++) {
        if (err->os_errno != EBUSY || i == CLOSE_TRIES)
            return false;
        (void) nanosleep(&pause, NULL); /* woken early is fine */
    }
    return true;
}

FALLIBLE volume_close(const char *name, struct err *err)
{
    struct opening o = { .disk = { .fd = NO_FD } };

    names_of(name, &o);
    AUTO(fd) int root = open(o.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || syncfs(root) < 0)
        return err_os(err, "write out");
    auto_fd(&root);
    root = NO_FD;
    if (umount2(o.path, MNT_DETACH) < 0)
        return err_os(err, "unmount");
    return remove_patiently(o.crypt_name, err) && remove_patiently(o.integrity_name, err) && lent_disk_forget(o.lent_name, err);
}
