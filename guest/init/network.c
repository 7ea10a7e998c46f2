#include "guest/init/network.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/auto.h"

FALLIBLE network_raise_loopback(struct err *err)
{
    AUTO(fd) int fd      = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = { .ifr_name = "lo" };

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return err_os(err, "loopback");
    request.ifr_flags = (short) (request.ifr_flags | IFF_UP);
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0 || err_os(err, "loopback");
}
