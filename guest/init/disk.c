#include "guest/init/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/file.h"

/* A disk without serial is another disk. */
static bool read_serial(const char *blocks, const char *name, char out[static DISK_SERIAL_MAX + 1])
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[256];
    struct err                 ignored;

    (void) snprintf(path, sizeof path, "%s/%s/serial", blocks, name); /* a cut path has no serial */
    if (strncmp(name, "vd", 2) != 0 || strlen(name) >= DISK_NAME_MAX || !file_read(path, DISK_SERIAL_MAX + 1, &text, &ignored))
        return false;
    size_t len = strcspn(buffer_text(&text), "\n");
    if (len > DISK_SERIAL_MAX || text.len - len > 1)
        return false;
    memcpy(out, buffer_text(&text), len);
    out[len] = 0;
    return true;
}

FALLIBLE disk_find(const char *blocks, const char *serial, char name[static DISK_NAME_MAX], struct err *err)
{
    AUTO(dir) DIR *all = opendir(blocks);
    char           found[DISK_SERIAL_MAX + 1];

    name[0] = 0;
    if (!all)
        return err_os(err, "%s", blocks);
    for (struct dirent *entry; (entry = readdir(all));) {
        if (!read_serial(blocks, entry->d_name, found) || strcmp(found, serial) != 0)
            continue;
        if (name[0])
            return fail_with(err, ERR_MALFORMED, "two disks with the serial %.20s", serial);
        (void) snprintf(name, DISK_NAME_MAX, "%.*s", DISK_NAME_MAX - 1, entry->d_name); /* its length was compared */
    }
    return true;
}

bool disk_with_prefix(const char *blocks, const char *prefix)
{
    AUTO(dir) DIR *all = opendir(blocks);
    char           found[DISK_SERIAL_MAX + 1];

    for (struct dirent *entry; all && (entry = readdir(all));)
        if (read_serial(blocks, entry->d_name, found) && strncmp(found, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

FALLIBLE disk_open(const char *name, bool read_only, struct disk *out, struct err *err)
{
    char         path[32];
    struct stat  st;
    AUTO(fd) int fd = NO_FD;

    (void) snprintf(path, sizeof path, "/dev/%.*s", DISK_NAME_MAX - 1, name); /* fits */
    fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_os(err, "%s", path);
    if (!S_ISBLK(st.st_mode))
        return fail_with(err, ERR_MALFORMED, "%s: no block device", path);
    if (ioctl(fd, BLKGETSIZE64, &out->len) < 0)
        return err_os(err, "%s", path);
    out->device = st.st_rdev;
    out->fd     = TAKE_FD(fd);
    return true;
}
