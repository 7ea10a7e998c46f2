#include "runtime/vmm/vhost_vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include <linux/vhost.h>

#include "base/auto.h"
#include "guest/api/vsock.h"

enum { TRIES = 16 }; /* of one among 2^28: a collision is an accident, sixteen in a row are something else */

FALLIBLE vhost_vsock_open(int *out_fd, uint32_t *out_cid, struct err *err)
{
    AUTO(fd) int fd = open(VHOST_VSOCK_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "this host has no %s: modprobe vhost_vsock, or take --channel serial",
                                           VHOST_VSOCK_DEVICE)
                               : err_os(err, "%s", VHOST_VSOCK_DEVICE);
    for (int i = 0; i < TRIES; i++) {
        uint32_t random;

        if (getrandom(&random, sizeof random, 0) != (ssize_t) sizeof random)
            return err_os(err, "random numbers");
        uint64_t cid = VSOCK_CID_MIN + random % (VSOCK_CID_MAX - VSOCK_CID_MIN + 1);
        if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
            *out_fd  = TAKE_FD(fd);
            *out_cid = (uint32_t) cid;
            return true;
        }
        if (errno != EADDRINUSE)
            break;
    }
    return err_os(err, "%s: context id", VHOST_VSOCK_DEVICE);
}
