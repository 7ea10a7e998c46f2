#include "runtime/shim/pod_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "runtime/oci/image_disks.h"

enum { UEVENT_MAX = 4096, DEVICE_PATH_MAX = 128 };

/* ---- images ---- */

static bool is_lent(const struct pod_disks *disks, const char *name)
{
    for (size_t i = 0; i < disks->n_images; i++)
        if (strcmp(disks->images[i], name) == 0)
            return true;
    return false;
}

FALLIBLE pod_disks_lend_image(struct pod_disks *disks, const char *const stores[static IMAGE_STORES], const char *digest, const struct lender *lender,
                              bool *coming, struct err *err)
{
    AUTO(image_disks) struct image_disks found = { .n = 0 };

    *coming = false;
    if (!image_disks_open(stores, digest, &found, err))
        return err->kind == ERR_NOT_FOUND;
    *coming = found.n_coming > 0;
    for (size_t i = 0; i < found.n; i++) {
        const char *name = found.at[i].serial;

        if (is_lent(disks, name))
            continue;
        if (!lender->lend(lender->owner, name, found.at[i].fd, err))
            return false;
        memcpy(disks->images[disks->n_images++], name, strlen(name) + 1); /* the lender has SHELF_SLOTS places */
    }
    return true;
}

/* ---- volumes ---- */

/* NO_FD when there is no such file. */
static int open_file(const struct spec_mount *mount)
{
    AUTO(fd) int folder = *mount->source == '/' ? open(mount->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : NO_FD;
    struct stat  st;

    if (folder < 0 || fstatat(folder, VOLUME_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return NO_FD;
    return openat(folder, VOLUME_FILE, (mount->read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

bool pod_disks_is_volume(const struct spec_mount *mount)
{
    struct spec_mount looked_at = { mount->source, mount->target, true };
    AUTO(fd) int      fd        = open_file(&looked_at);

    return fd >= 0;
}

/* The kernel says what the device is called; who says the numbers is the engine. */
static FALLIBLE device_path(const struct spec_device *device, char out[static DEVICE_PATH_MAX], struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[DEVICE_PATH_MAX];

    (void) snprintf(path, sizeof path, "/sys/dev/block/%u:%u/uevent", device->major, device->minor); /* fits */
    if (!file_read(path, UEVENT_MAX, &text, err))
        return false;
    const char *name = strstr(buffer_text(&text), "DEVNAME=");
    size_t      len  = name ? strcspn(name += strlen("DEVNAME="), "\n") : 0;
    if (len == 0 || len >= DEVICE_PATH_MAX - strlen("/dev/") || memmem(name, len, "..", 2))
        return fail_with(err, ERR_NOT_FOUND, "device %u:%u has no name", device->major, device->minor);
    (void) snprintf(out, DEVICE_PATH_MAX, "/dev/%.*s", (int) len, name); /* fits */
    return true;
}

static FALLIBLE open_device(const struct spec_device *device, int *out, struct err *err)
{
    char        path[DEVICE_PATH_MAX];
    struct stat st;

    if (!device_path(device, path, err))
        return false;
    AUTO(fd) int fd = open(path, (device->read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_os(err, "%s", path);
    if (!S_ISBLK(st.st_mode) || st.st_rdev != makedev(device->major, device->minor))
        return fail_with(err, ERR_CONFIG, "%s is another device than %u:%u", path, device->major, device->minor);
    *out = TAKE_FD(fd);
    return true;
}

static FALLIBLE name_of(const char *path, char out[static VOLUME_DISK_NAME_MAX + 1], struct err *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t      len = strlen(name);

    if (len == 0 || len > VOLUME_DISK_NAME_MAX || *name == '-' || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
        return fail_with(err, ERR_CONFIG, "the last part of its path is its name: at most %d of a-z, 0-9 and, not first, -", VOLUME_DISK_NAME_MAX);
    memcpy(out, name, len + 1);
    return true;
}

/* Whether it is lent already: the same one, to another container. */
static FALLIBLE look_up(const struct pod_disks *disks, const struct pod_volume_disk *volume, bool *lent, struct err *err)
{
    *lent = false;
    for (size_t i = 0; i < disks->n_volumes && !*lent; i++) {
        const struct pod_volume_disk *other = &disks->volumes[i];

        *lent = strcmp(other->name, volume->name) == 0;
        if (*lent && (other->device != volume->device || other->inode != volume->inode))
            return fail_with(err, ERR_CONFIG, "two volumes of the pod have the name %s", volume->name);
    }
    return true;
}

static FALLIBLE lend(struct pod_disks *disks, struct pod_volume_disk *volume, int fd, bool read_only, const struct lender *lender,
                     struct err *err)
{
    struct stat st;
    char        name[SHELF_NAME_MAX + 1];
    bool        lent;

    if (fstat(fd, &st) < 0)
        return err_os(err, "look at it");
    volume->device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    volume->inode  = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
    if (!look_up(disks, volume, &lent, err))
        return false;
    if (lent)
        return true;
    if (disks->n_volumes == VOLUME_DISKS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d volumes in one pod", VOLUME_DISKS_MAX);
    if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? fail_with(err, ERR_CONFIG, "it is in use by another pod") : err_os(err, "lock it");
    (void) snprintf(name, sizeof name, "vol-%s", volume->name); /* fits */
    if (!lender->lend(lender->owner, name, fd, err))
        return false;
    disks->volumes[disks->n_volumes++] = *volume;
    return true;
}

/* `fd` is taken. */
static FALLIBLE add(struct pod_disks *disks, const char *path, int fd_take, bool read_only, const struct lender *lender,
                    struct container_disks *out, struct err *err)
{
    AUTO(fd) int           fd     = fd_take;
    struct pod_volume_disk volume = { .inode = 0 };
    Agent__Volume         *row    = &out->rows[out->n];

    if (out->n == VOLUME_DISKS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d volumes in one container", VOLUME_DISKS_MAX);
    if (!name_of(path, volume.name, err) || !lend(disks, &volume, fd, read_only, lender, err))
        return false;
    memcpy(out->names[out->n], volume.name, sizeof volume.name);
    agent__volume__init(row);
    row->path        = (char *) (uintptr_t) path; /* to the wire only */
    row->volume      = out->names[out->n];
    out->at[out->n++] = row;
    return true;
}

FALLIBLE pod_disks_lend_volumes(struct pod_disks *disks, const struct container_spec *spec, const struct lender *lender,
                                struct container_disks *out, struct err *err)
{
    out->n = 0;
    for (size_t i = 0; i < spec->n_devices; i++) {
        const struct spec_device *device = &spec->devices[i];
        int                       fd;

        if (!open_device(device, &fd, err) || !add(disks, device->path, fd, device->read_only, lender, out, err))
            return contextf(err, "config: volume at %.80s", device->path);
    }
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct spec_mount *mount = &spec->mounts[i];
        int                      fd;

        if (!pod_disks_is_volume(mount))
            continue;
        fd = open_file(mount);
        if (fd < 0)
            return err_os(err, "config: volume at %.80s", mount->target);
        if (!add(disks, mount->target, fd, mount->read_only, lender, out, err))
            return contextf(err, "config: volume at %.80s", mount->target);
    }
    return true;
}
