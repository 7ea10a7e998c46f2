#include "guest/init/lent_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "guest/api/shelf.h"
#include "guest/init/device_mapper.h"

enum { TABLE_MAX = 64, LINEAR_NAME_MAX = 32 };

static void linear_name(const char *name, char out[static LINEAR_NAME_MAX])
{
    (void) snprintf(out, LINEAR_NAME_MAX, "lent-%.20s", name); /* fits */
}

bool lent_disk_may_come(const char *prefix)
{
    return disk_with_prefix("/sys/block", SHELF_SERIAL) || disk_with_prefix("/sys/block", prefix);
}

/* Past the kernel's cache, which may hold the directory as it was before. */
static FALLIBLE read_directory(const char *device, struct shelf_directory *out, struct err *err)
{
    char               path[32];
    AUTO(heap) uint8_t *block = aligned_alloc(SHELF_DIRECTORY_LEN, SHELF_DIRECTORY_LEN);

    if (!block)
        abort();
    (void) snprintf(path, sizeof path, "/dev/%.*s", DISK_NAME_MAX - 1, device); /* fits */
    AUTO(fd) int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || pread(fd, block, SHELF_DIRECTORY_LEN, 0) != SHELF_DIRECTORY_LEN)
        return err_os(err, "shelf");
    return shelf_directory_read((struct bytes){ block, SHELF_DIRECTORY_LEN }, out, err);
}

static FALLIBLE cut_out(const struct disk *shelf, const char *name, const struct shelf_row *row, size_t slot, bool read_only,
                        struct dm_device *out, struct err *err)
{
    AUTO(secret) struct secret table = { 0 };
    char                       text[TABLE_MAX], linear[LINEAR_NAME_MAX];

    linear_name(name, linear);
    (void) snprintf(text, sizeof text, "%u:%u %llu", major(shelf->device), minor(shelf->device),
                    (unsigned long long) (shelf_slot_at(slot) / SHELF_SECTOR)); /* fits */
    return secret_copy(bytes_of_text(text), &table, err) &&
           dm_device_make(linear, read_only, "linear", row->len / SHELF_SECTOR, &table, out, err);
}

static FALLIBLE open_from_shelf(const char *device, const char *name, bool read_only, struct disk *out, struct err *err)
{
    AUTO(disk) struct disk shelf = { .fd = NO_FD };
    struct shelf_directory directory;
    struct dm_device       made;
    struct err             ignored;

    if (!read_directory(device, &directory, err))
        return false;
    size_t slot = shelf_find(&directory, name);
    if (slot == SHELF_SLOTS)
        return fail_with(err, ERR_NOT_FOUND, "the host lent no disk %s", name);
    if (!disk_open(device, read_only, &shelf, err) ||
        !cut_out(&shelf, name, &directory.rows[slot], slot, read_only, &made, err))
        return false;
    if (disk_open(made.path + strlen("/dev/"), read_only, out, err))
        return true;
    (void) !lent_disk_forget(name, &ignored); /* the first failure is told */
    return false;
}

FALLIBLE lent_disk_open(const char *name, bool read_only, struct disk *out, struct err *err)
{
    char device[DISK_NAME_MAX];

    if (!disk_find("/sys/block", name, device, err))
        return false;
    if (device[0])
        return disk_open(device, read_only, out, err);
    if (!disk_find("/sys/block", SHELF_SERIAL, device, err))
        return false;
    return device[0] ? open_from_shelf(device, name, read_only, out, err)
                     : fail_with(err, ERR_NOT_FOUND, "the host lent no disk %s", name);
}

FALLIBLE lent_disk_forget(const char *name, struct err *err)
{
    char linear[LINEAR_NAME_MAX];

    linear_name(name, linear);
    return dm_device_remove(linear, err) || (err->kind == ERR_OS && (err->os_errno == ENXIO || err->os_errno == ENOENT));
}
