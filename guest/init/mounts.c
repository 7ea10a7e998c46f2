#include "guest/init/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* devtmpfs comes before what is mounted on it; configfs needs its module. */
const struct mount_row mount_rows[] = {
    { "/proc", "proc", PLAIN, NULL, false },
    { "/sys", "sysfs", PLAIN, NULL, false },
    { "/sys/kernel/security", "securityfs", PLAIN, NULL, true }, /* the log of a measured boot */
    { "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755", false },
    { "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666", false },
    { "/dev/shm", "tmpfs", PLAIN, "mode=1777", false },
    { "/dev/mqueue", "mqueue", PLAIN, NULL, true },
    { "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=90%", false }, /* images and volumes: not for helpers that are not root */
    { "/tmp", "tmpfs", PLAIN, "mode=1777,size=10%", false },
    { "/sys/fs/cgroup", "cgroup2", PLAIN, "nsdelegate", false },
};
const size_t n_mount_rows = sizeof mount_rows / sizeof *mount_rows;

static const struct mount_row configfs = { "/sys/kernel/config", "configfs", PLAIN, NULL, true };

static const struct link_row { const char *target, *name; } links[] = {
    { "/proc/self/fd", "/dev/fd" },
    { "/proc/self/fd/0", "/dev/stdin" },
    { "/proc/self/fd/1", "/dev/stdout" },
    { "/proc/self/fd/2", "/dev/stderr" },
};

/*
 * pivot_root refuses to work when the caller's root is the initial ramfs itself. A second mount of it, on top, is an
 * ordinary mount. Without this a container would have to be started with chroot alone.
 */
static FALLIBLE cover_root(struct err *err)
{
    if (mkdir("/run/root", 0755) < 0 && errno != EEXIST)
        return err_os(err, "cover the root: directory");
    if (mount("/", "/run/root", NULL, MS_BIND, NULL) < 0)
        return err_os(err, "cover the root: bind");
    if (chdir("/run/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return err_os(err, "cover the root: move");
    if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
        return err_os(err, "cover the root: make private");
    return true;
}

static FALLIBLE make_row(const struct mount_row *row, struct err *err)
{
    if (mkdir(row->target, 0755) < 0 && errno != EEXIST && errno != EPERM && errno != EACCES)
        return err_os(err, "mount %s: directory", row->target);
    if (mount(row->type, row->target, row->type, row->flags, row->options) == 0)
        return true;
    if (row->may_be_absent && (errno == ENODEV || errno == ENOENT))
        return true;
    return err_os(err, "mount %s", row->target);
}

FALLIBLE mounts_make(struct err *err)
{
    if (!cover_root(err))
        return false;
    for (size_t i = 0; i < n_mount_rows; i++)
        if (!make_row(&mount_rows[i], err))
            return false;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(links[i].target, links[i].name) < 0 && errno != EEXIST)
            return err_os(err, "link %s", links[i].name);
    return true;
}

FALLIBLE mounts_make_late(struct err *err)
{
    return make_row(&configfs, err);
}

FALLIBLE mounts_bound_run(uint64_t bytes, struct err *err)
{
    char options[64];

    (void) snprintf(options, sizeof options, "size=%lluk", (unsigned long long) bytes >> 10); /* fits */
    return mount(NULL, "/run", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV, options) == 0 || err_os(err, "bound /run");
}
