#include "guest/init/image_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/text.h"
#include "guest/init/device_mapper.h"
#include "guest/init/lent_disk.h"

enum { SECTORS_PER_BLOCK = IMAGE_DISK_BLOCK_LEN / 512, NAME_MAX_LEN = 48, NAME_HEX = 32, TABLE_MAX = 320,
       RESERVED = 2 /* devices of one disk */ };

/* Names of devices and the path are made of the root: what is there under this name was judged by this root. */
static void name_of(const struct image_disk *disk, const char *prefix, char out[static NAME_MAX_LEN])
{
    AUTO(buffer) struct buffer hex = { 0 };

    hex_append(&hex, BYTES_OF(disk->root));
    (void) snprintf(out, NAME_MAX_LEN, "%s%.*s", prefix, NAME_HEX, buffer_text(&hex)); /* fits */
}

void image_disk_path(const struct image_disk *disk, char out[static IMAGE_DISK_PATH_MAX])
{
    char name[NAME_MAX_LEN];

    name_of(disk, "", name);
    (void) snprintf(out, IMAGE_DISK_PATH_MAX, IMAGE_DISK_ROOT "/%s", name); /* fits */
}

static void lent_name(const struct image_disk *disk, char out[static DISK_SERIAL_MAX + 1])
{
    (void) snprintf(out, DISK_SERIAL_MAX + 1, IMAGE_DISK_PREFIX "%.*s", IMAGE_DISK_HEX, disk->hex); /* fits */
}

static FALLIBLE find(const struct image_disk *disk, struct disk *out, struct err *err)
{
    char     name[DISK_SERIAL_MAX + 1];
    uint64_t wanted = (disk->n_blocks + disk->n_tree_blocks) * IMAGE_DISK_BLOCK_LEN;

    lent_name(disk, name);
    if (!lent_disk_open(name, true, out, err))
        return false;
    return out->len >= wanted || fail_with(err, ERR_MALFORMED, "its disk has %llu bytes; wanted %llu", (unsigned long long) out->len,
                                           (unsigned long long) wanted);
}

static void reserved_name(unsigned i, char out[static NAME_MAX_LEN])
{
    (void) snprintf(out, NAME_MAX_LEN, "image-%u", i); /* fits */
}

void image_disks_prepare(struct image_disks *disks)
{
    char       name[NAME_MAX_LEN];
    struct err unheard; /* they are then made when they are wanted, which says why not */

    while (disks->n_reserved < RESERVED) {
        reserved_name(disks->n_reserved, name);
        if (!dm_device_reserve(name, &unheard))
            return;
        disks->n_reserved++;
    }
}

static FALLIBLE device_make(struct image_disks *disks, const char *name, const char *target, uint64_t n_blocks, const struct secret *table,
                            struct dm_device *out, struct err *err)
{
    char reserved[NAME_MAX_LEN];

    if (disks->n_reserved == 0)
        return dm_device_make(name, true, target, n_blocks * SECTORS_PER_BLOCK, table, out, err);
    reserved_name(--disks->n_reserved, reserved);
    return dm_device_rename(reserved, name, err) &&
           dm_device_start(name, true, target, n_blocks * SECTORS_PER_BLOCK, table, out, err);
}

static FALLIBLE verity_make(struct image_disks *disks, const struct image_disk *disk, const struct disk *below, struct dm_device *out,
                            struct err *err)
{
    AUTO(buffer) struct buffer root  = { 0 };
    AUTO(secret) struct secret table = { 0 };
    char                       text[TABLE_MAX], name[NAME_MAX_LEN];
    unsigned                   high = major(below->device), low = minor(below->device);

    name_of(disk, "verity-", name);
    hex_append(&root, BYTES_OF(disk->root));
    (void) snprintf(text, sizeof text, "1 %u:%u %u:%u %d %d %llu %llu sha256 %s -", high, low, high, low, IMAGE_DISK_BLOCK_LEN,
                    IMAGE_DISK_BLOCK_LEN, (unsigned long long) disk->n_blocks, (unsigned long long) disk->n_blocks,
                    buffer_text(&root)); /* fits */
    return secret_copy(bytes_of_text(text), &table, err) &&
           device_make(disks, name, "verity", disk->n_blocks, &table, out, err);
}

static FALLIBLE crypt_make(struct image_disks *disks, const struct image_disk *disk, const struct secret *key, struct dm_device *device,
                           struct err *err)
{
    AUTO(secret) struct secret table = { 0 };
    char                       after[TABLE_MAX], name[NAME_MAX_LEN];

    name_of(disk, "crypt-", name);
    (void) snprintf(after, sizeof after, " 0 %u:%u 0 2 sector_size:%d no_read_workqueue", device->major,
                    device->minor, IMAGE_DISK_BLOCK_LEN); /* fits */
    return dm_table_write("aes-xts-plain64 ", key, after, &table, err) &&
           device_make(disks, name, "crypt", disk->n_blocks, &table, device, err);
}

/* Asks for the first block and does not wait for it: there is a key to be set meanwhile. */
static FALLIBLE first_block_ask(const char *path, int *out, struct err *err)
{
    *out = open(path, O_RDONLY | O_CLOEXEC);
    if (*out < 0)
        return err_os(err, "%s", path);
    (void) posix_fadvise(*out, 0, IMAGE_DISK_BLOCK_LEN, POSIX_FADV_WILLNEED); /* who reads it asks again */
    return true;
}

/* The first block, through dm-verity: another disk, or another tree, shows here, and before a file system is looked for. */
static FALLIBLE first_block_check(int fd, struct err *err)
{
    uint8_t block[IMAGE_DISK_BLOCK_LEN];

    if (pread(fd, block, sizeof block, 0) == sizeof block)
        return true;
    return errno == EIO ? fail_with(err, ERR_UNTRUSTED, "its blocks are not what the manifest's root hash says") : err_os(err, "its first block");
}

/* EIO: dm-verity refused a block that the mount needs. */
static FALLIBLE file_system_mount(const char *device, const char *path, struct err *err)
{
    if (!directory_make(path, err))
        return false;
    if (mount(device, path, "erofs", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) == 0)
        return true;

    int failed = errno;

    (void) rmdir(path); /* empty: whether it stays is all the same */
    errno = failed;
    if (failed == EIO)
        return fail_with(err, ERR_UNTRUSTED, "its blocks are not what the manifest's root hash says");
    return failed == EINVAL ? fail_with(err, ERR_MALFORMED, "no EROFS file system that this kernel mounts") : err_os(err, "mount");
}

/* A device that was made and is of no use. */
static void forget(const struct image_disk *disk, const char *prefix)
{
    char       name[NAME_MAX_LEN];
    struct err ignored; /* what failed before is what counts */

    name_of(disk, prefix, name);
    (void) !dm_device_remove(name, &ignored);
}

static FALLIBLE devices_mount(struct image_disks *disks, const struct image_disk *disk, const struct secret *key, struct dm_device *device,
                              const char *path, struct err *err)
{
    AUTO(fd) int fd = NO_FD;

    if (!first_block_ask(device->path, &fd, err) || (key->len > 0 && !crypt_make(disks, disk, key, device, err)))
        return false;
    if (first_block_check(fd, err) && file_system_mount(device->path, path, err))
        return true;
    if (key->len > 0)
        forget(disk, "crypt-");
    return false;
}

static FALLIBLE judged_make(struct image_disks *disks, const struct image_disk *disk, struct dm_device *out, struct err *err)
{
    AUTO(disk) struct disk below = { .fd = NO_FD };

    return find(disk, &below, err) && verity_make(disks, disk, &below, out, err);
}

static bool are_same(const struct image_disk *a, const struct image_disk *b)
{
    return strcmp(a->hex, b->hex) == 0 && a->n_blocks == b->n_blocks && a->n_tree_blocks == b->n_tree_blocks &&
           memcmp(a->key_sha256, b->key_sha256, sizeof a->key_sha256) == 0;
}

FALLIBLE image_disks_look(const struct image_disks *disks, const struct image_disk *disk, bool *is_mounted, struct err *err)
{
    *is_mounted = false;
    for (size_t i = 0; i < disks->n_mounted; i++) {
        if (memcmp(disks->mounted[i].root, disk->root, sizeof disk->root) != 0)
            continue;
        *is_mounted = true;
        return are_same(&disks->mounted[i], disk) ||
               fail_with(err, ERR_UNTRUSTED, "its blocks are mounted already, with another key or as another layer");
    }
    return disks->n_mounted < IMAGE_DISKS_MAX || fail_with(err, ERR_LIMIT, "over %d image disks in one guest", IMAGE_DISKS_MAX);
}

FALLIBLE image_disk_mount(struct image_disks *disks, const struct image_disk *disk, const struct secret *key, struct err *err)
{
    struct dm_device device;
    char             path[IMAGE_DISK_PATH_MAX], name[DISK_SERIAL_MAX + 1];
    struct err       ignored;
    bool             is_mounted;

    if (!image_disks_look(disks, disk, &is_mounted, err))
        return false;
    if (is_mounted)
        return true;
    image_disk_path(disk, path);
    if (judged_make(disks, disk, &device, err)) {
        if (devices_mount(disks, disk, key, &device, path, err)) {
            disks->mounted[disks->n_mounted++] = *disk;
            return true;
        }
        forget(disk, "verity-");
    }
    lent_name(disk, name);
    (void) !lent_disk_forget(name, &ignored); /* the first failure is told */
    return false;
}

bool image_disk_is_damaged(const char *path)
{
    char       name[NAME_MAX_LEN], status[DM_STATUS_MAX + 1];
    struct err ignored; /* no such device: no such mount */

    if (strncmp(path, IMAGE_DISK_ROOT "/", sizeof IMAGE_DISK_ROOT) != 0)
        return false;
    (void) snprintf(name, sizeof name, "verity-%.*s", NAME_HEX, path + sizeof IMAGE_DISK_ROOT); /* fits */
    return dm_device_status(name, status, &ignored) && status[0] == 'C';
}
