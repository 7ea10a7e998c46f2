#include "guest/container/sub_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/container/volumes.h"

static FALLIBLE step_into(int *folder, const char *name, struct err *err)
{
    struct open_how how     = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
    bool            is_new  = mkdirat(*folder, name, 0777) == 0;
    AUTO(fd) int    next    = NO_FD;

    if (!is_new && errno != EEXIST)
        return err_os(err, "directory %.60s", name);
    next = (int) syscall(SYS_openat2, *folder, name, &how, sizeof how);
    if (next < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EXDEV))
        return fail_with(err, ERR_DENIED, "%.60s is no directory of the volume", name);
    if (next < 0 || (is_new && fchmod(next, 0777) < 0)) /* ours is the only umask */
        return err_os(err, "directory %.60s", name);
    (void) close(*folder); /* only looked at */
    *folder = TAKE_FD(next);
    return true;
}

static FALLIBLE find(const char *volume, const char *path, int *out, struct err *err)
{
    AUTO(fd) int folder = open(volume, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char         names[VOLUME_PATH_MAX + 1], *rest = NULL;

    if (folder < 0)
        return err_os(err, "volume");
    (void) snprintf(names, sizeof names, "%s", path); /* it was checked */
    for (const char *name = strtok_r(names, "/", &rest); name; name = strtok_r(NULL, "/", &rest))
        if (!step_into(&folder, name, err))
            return false;
    *out = TAKE_FD(folder);
    return true;
}

FALLIBLE sub_directory_mount(const char *volume, const char *path, const char *place, struct err *err)
{
    AUTO(fd) int found = NO_FD;
    char         source[32];

    if (!find(volume, path, &found, err) || !directory_make(place, err))
        return contextf(err, "%.120s in a volume", path);
    (void) snprintf(source, sizeof source, "/proc/self/fd/%d", found); /* sized for it */
    return mount(source, place, NULL, MS_BIND, NULL) == 0 || err_os(err, "%.120s in a volume", path);
}

void sub_directory_unmount(const char *place)
{
    (void) umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW); /* one that never was mounted is fine */
    (void) rmdir(place); /* as above; what is still mounted stays as it is */
}
