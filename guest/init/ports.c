#include "guest/init/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "guest/api/vsock.h"

#define VIRTIO_ID_OF_VSOCK "0x0013" /* [VIRTIO-1.2 section 5] */

/* An empty name is a port without one. The text ends in a line end. */
static FALLIBLE read_name(int class_fd, const char *port, char out[static PORT_NAME_MAX + 1], struct err *err)
{
    char path[NAME_MAX + 8];

    out[0] = 0;
    (void) snprintf(path, sizeof path, "%s/name", port); /* fits: a directory entry's name is bounded */
    AUTO(fd) int fd = openat(class_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || err_os(err, "port %s", port);
    ssize_t n = read(fd, out, PORT_NAME_MAX);
    if (n < 0)
        return err_os(err, "port %s", port);
    out[n] = 0;
    out[strcspn(out, "\n")] = 0;
    return true;
}

FALLIBLE port_open_in(const char *class_directory, const char *device_directory, const char *name, int *out_fd,
                      struct err *err)
{
    AUTO(dir) DIR *ports = opendir(class_directory);
    char           found[NAME_MAX + 1] = "";
    char           path[PATH_MAX];
    unsigned       n = 0;

    if (!ports)
        return fail_with(err, ERR_NOT_FOUND, "port %s: this machine has no virtio-serial ports", name);
    for (struct dirent *entry; (entry = readdir(ports));) {
        char its_name[PORT_NAME_MAX + 1];

        if (entry->d_name[0] == '.')
            continue;
        if (++n > PORTS_MAX)
            return fail_with(err, ERR_LIMIT, "port %s: over %d ports", name, PORTS_MAX);
        if (!read_name(dirfd(ports), entry->d_name, its_name, err))
            return false;
        if (strcmp(its_name, name) != 0)
            continue;
        if (found[0])
            return fail_with(err, ERR_MALFORMED, "port %s: two ports have this name", name);
        (void) snprintf(found, sizeof found, "%s", entry->d_name); /* as large as a name can be */
    }
    if (!found[0])
        return fail_with(err, ERR_NOT_FOUND, "port %s: the host gave no port of this name", name);

    (void) snprintf(path, sizeof path, "%s/%s", device_directory, found); /* a cut path fails to open */
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return err_os(err, "port %s", name);
    *out_fd = fd;
    return true;
}

FALLIBLE port_open(const char *name, int *out_fd, struct err *err)
{
    if (port_open_in("/sys/class/virtio-ports", "/dev", name, out_fd, err))
        return true;
    return err->kind == ERR_NOT_FOUND && access("/dev/vsock", F_OK) == 0 && vsock_connect(name, out_fd, err);
}

bool ports_are_vsock(const char *directory)
{
    AUTO(dir) DIR *devices = opendir(directory);
    bool           found   = false;

    for (struct dirent *entry; devices && !found && (entry = readdir(devices));) {
        char path[PATH_MAX], type[16] = "";

        (void) snprintf(path, sizeof path, "%s/%s/device", directory, entry->d_name); /* a cut path fails to open */
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        found           = fd >= 0 && read(fd, type, sizeof type - 1) > 0 && strcmp(type, VIRTIO_ID_OF_VSOCK "\n") == 0;
    }
    return found;
}
