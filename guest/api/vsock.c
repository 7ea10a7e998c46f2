#include "guest/api/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "base/auto.h"
#include "guest/api/services.h"

static const char *const names[] = { AGENT_PORT, BLOBS_PORT, BROKER_PORT, REPORT_PORT };

uint32_t vsock_port(uint32_t cid, unsigned index)
{
    return VSOCK_PORT_FIRST + cid * VSOCK_PORTS_PER_GUEST + index;
}

FALLIBLE vsock_listen(uint32_t cid, unsigned index, int *out_fd, struct err *err)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = vsock_port(cid, index) };
    AUTO(fd) int       fd      = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof address) < 0 || listen(fd, 1) < 0)
        return err_os(err, "vsock port %u", address.svm_port);
    *out_fd = TAKE_FD(fd);
    return true;
}

bool vsock_is_guest(int listener, int connection)
{
    struct sockaddr_vm ours = { 0 }, theirs = { 0 };
    socklen_t          ours_len = sizeof ours, theirs_len = sizeof theirs;

    if (getsockname(listener, (struct sockaddr *) &ours, &ours_len) < 0 ||
        getpeername(connection, (struct sockaddr *) &theirs, &theirs_len) < 0)
        return false;
    if (ours.svm_family != AF_VSOCK)
        return true;
    return theirs.svm_family == AF_VSOCK && theirs.svm_cid == (ours.svm_port - VSOCK_PORT_FIRST) / VSOCK_PORTS_PER_GUEST;
}

static FALLIBLE own_cid(uint32_t *out, struct err *err)
{
    AUTO(fd) int fd  = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    unsigned     cid = 0;

    if (fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "this machine has no vsock") : err_os(err, "/dev/vsock");
    if (ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
        return err_os(err, "vsock: own context id");
    if (cid < VSOCK_CID_MIN || cid > VSOCK_CID_MAX)
        return fail_with(err, ERR_MALFORMED, "vsock: the host gave context id %u", cid);
    *out = cid;
    return true;
}

FALLIBLE vsock_connect(const char *name, int *out_fd, struct err *err)
{
    struct sockaddr_vm host  = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST };
    unsigned           index = 0;
    uint32_t           cid;

    while (index < sizeof names / sizeof *names && strcmp(names[index], name) != 0)
        index++;
    if (index == sizeof names / sizeof *names)
        return fail_with(err, ERR_BUG, "port %s", name);
    if (!own_cid(&cid, err))
        return contextf(err, "port %s", name);
    host.svm_port   = vsock_port(cid, index);
    AUTO(fd) int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &host, sizeof host) < 0)
        return err_os(err, "port %s: vsock port %u of the host", name, host.svm_port);
    *out_fd = TAKE_FD(fd);
    return true;
}
