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

enum { SECTORS_PER_BLOCK = IMAGE_DISK_BLOCK_LEN / 512, NAME_MAX_LEN = 48, NAME_HEX = 32, TABLE_MAX = 320 };

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

static FALLIBLE verity_make(const struct image_disk *disk, const struct disk *below, struct dm_device *out, struct err *err)
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
           dm_device_make(name, true, "verity", disk->n_blocks * SECTORS_PER_BLOCK, &table, out, err);
}

static FALLIBLE crypt_make(const struct image_disk *disk, const struct secret *key, struct dm_device *device, struct err *err)
{
    AUTO(secret) struct secret table = { 0 };
    char                       after[TABLE_MAX], name[NAME_MAX_LEN];

    name_of(disk, "crypt-", name);
    (void) snprintf(after, sizeof after, " 0 %u:%u 0 2 sector_size:%d no_read_workqueue", device->major,
                    device->minor, IMAGE_DISK_BLOCK_LEN); /* fits */
    return dm_table_write("aes-xts-plain64 ", key, after, &table, err) &&
           dm_device_make(name, true, "crypt", disk->n_blocks * SECTORS_PER_BLOCK, &table, device, err);
}

/* The first block, through dm-verity: another disk, or another tree, shows here, and before a file system is looked for. */
static FALLIBLE first_block_check(const char *path, struct err *err)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t      block[IMAGE_DISK_BLOCK_LEN];

    if (fd < 0)
        return err_os(err, "%s", path);
    if (pread(fd, block, sizeof block, 0) == sizeof block)
        return true;
    return errno == EIO ? fail_with(err, ERR_UNTRUSTED, "its blocks are not what the manifest's root hash says") : err_os(err, "%s", path);
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

static FALLIBLE devices_mount(const struct image_disk *disk, const struct secret *key, struct dm_device *device, const char *path,
                              struct err *err)
{
    if (!first_block_check(device->path, err))
        return false;
    if (key->len == 0)
        return file_system_mount(device->path, path, err);
    if (!crypt_make(disk, key, device, err))
        return false;
    if (file_system_mount(device->path, path, err))
        return true;
    forget(disk, "crypt-");
    return false;
}

static FALLIBLE judged_make(const struct image_disk *disk, struct dm_device *out, struct err *err)
{
    AUTO(disk) struct disk below = { .fd = NO_FD };

    return find(disk, &below, err) && verity_make(disk, &below, out, err);
}

FALLIBLE image_disk_mount(const struct image_disk *disk, const struct secret *key, struct err *err)
{
    struct dm_device device;
    char             path[IMAGE_DISK_PATH_MAX], name[DISK_SERIAL_MAX + 1];
    struct err       ignored;

    image_disk_path(disk, path);
    if (access(path, F_OK) == 0) /* made here only, and gone again when the mount failed */
        return true;
    if (judged_make(disk, &device, err)) {
        if (devices_mount(disk, key, &device, path, err))
            return true;
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
