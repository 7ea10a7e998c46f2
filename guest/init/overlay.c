#include "guest/init/overlay.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "base/auto.h"

/* Said, though most are what the kernel does unasked: kernels are configured, and this is measured with the agent. */
static const char *const options[][2] = {
    { "index", "off" }, { "redirect_dir", "nofollow" }, { "metacopy", "off" }, { "xino", "off" }, { "nfs_export", "off" },
};

static FALLIBLE set(int fs_fd, const char *name, const char *value, struct err *err)
{
    return fsconfig(fs_fd, FSCONFIG_SET_STRING, name, value, 0) == 0 || err_os(err, "overlay: %s=%s", name, value);
}

FALLIBLE overlay_make(const struct overlay *overlay, int *mount_fd, struct err *err)
{
    if (overlay->n_lower > OVERLAY_LOWER_MAX)
        return fail_with(err, ERR_LIMIT, "overlay: over %d layers", OVERLAY_LOWER_MAX);

    AUTO(fd) int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    if (fs_fd < 0)
        return err_os(err, "overlay");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!set(fs_fd, options[i][0], options[i][1], err))
            return false;
    for (size_t i = 0; i < overlay->n_lower; i++)
        if (!set(fs_fd, "lowerdir+", overlay->lower[i], err))
            return false;
    if (!set(fs_fd, "upperdir", overlay->upper, err) || !set(fs_fd, "workdir", overlay->work, err))
        return false;
    if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_os(err, "overlay");
    *mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    return *mount_fd >= 0 || err_os(err, "overlay");
}

FALLIBLE overlay_attach(int mount_fd, const char *path, struct err *err)
{
    return move_mount(mount_fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0 || err_os(err, "overlay: %s", path);
}
