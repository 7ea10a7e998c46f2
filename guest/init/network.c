#include "guest/init/network.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/netlink.h"

#define FIXED(structure) ((struct bytes){ (const uint8_t *) &(structure), sizeof(structure) })

FALLIBLE network_raise_loopback(struct err *err)
{
    AUTO(fd) int fd      = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = { .ifr_name = "lo" };

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return err_os(err, "loopback");
    request.ifr_flags = (short) (request.ifr_flags | IFF_UP);
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0 || err_os(err, "loopback");
}

/* What the steps below work on. */
struct application {
    const struct network *network;
    const char           *sysctls;
    int                   fd;                              /* netlink */
    struct buffer         request;
    int                   devices[NETWORK_INTERFACES_MAX]; /* kernel's index of each; 0: not found */
};

/* ---- which device is which ---- */

static FALLIBLE note_device(struct application *a, struct bytes body, struct err *err)
{
    struct reader r        = reader_over(body);
    struct bytes  hardware = { 0 };

    take(&r, 2); /* family and padding */
    uint16_t kind  = take_u16le(&r);
    uint32_t index = take_u32le(&r);
    take(&r, 8); /* flags, and which of them changed */
    if (!reader_ok(&r, err))
        return context(err, "link");
    while (r.left.len > 0) {
        struct netlink_attribute at;

        if (!netlink_attribute_next(&r, &at, err))
            return false;
        if (at.type == IFLA_ADDRESS)
            hardware = at.value;
    }
    for (size_t i = 0; i < a->network->n_interfaces; i++)
        if (kind == ARPHRD_ETHER && index <= INT32_MAX &&
            bytes_equal(hardware, BYTES_OF(a->network->interfaces[i].hardware)))
            a->devices[i] = (int) index;
    return true;
}

static FALLIBLE find_devices(struct application *a, struct err *err)
{
    AUTO(buffer) struct buffer dump = { 0 };
    struct ifinfomsg           all  = { .ifi_family = AF_UNSPEC };

    netlink_begin(&a->request, RTM_GETLINK, 0, FIXED(all));
    if (!netlink_dump(a->fd, &a->request, &dump, err))
        return false;
    struct reader r = reader_over(buffer_bytes(&dump));
    while (r.left.len > 0) {
        struct netlink_message m;

        if (!netlink_message_next(&r, &m, err) || (m.type == RTM_NEWLINK && !note_device(a, m.body, err)))
            return false;
    }
    for (size_t i = 0; i < a->network->n_interfaces; i++)
        if (a->devices[i] == 0)
            return fail_with(err, ERR_NOT_FOUND, "no device has the hardware address of %s", a->network->interfaces[i].name);
    return true;
}

/* ---- one change each ---- */

static FALLIBLE rename_device(struct application *a, size_t i, const char *name, struct err *err)
{
    struct ifinfomsg link = { .ifi_family = AF_UNSPEC, .ifi_index = a->devices[i] };

    netlink_begin(&a->request, RTM_NEWLINK, 0, FIXED(link));
    netlink_put_text(&a->request, IFLA_IFNAME, name);
    return netlink_change(a->fd, &a->request, err);
}

static FALLIBLE write_setting(const struct application *a, const char *family, const char *device, const char *name,
                              struct err *err)
{
    AUTO(text) char *path = NULL;

    if (asprintf(&path, "%s/net/%s/conf/%s/%s", a->sysctls, family, device, name) < 0)
        abort();
    AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return (fd >= 0 && write(fd, "0", 1) == 1) || err_os(err, "%s", path);
}

/* What the network would otherwise tell the guest beside what it was told here. Before the device is up. */
static FALLIBLE stop_listening(const struct application *a, size_t i, struct err *err)
{
    const char *device = a->network->interfaces[i].name;

    return write_setting(a, "ipv6", device, "accept_ra", err) && write_setting(a, "ipv6", device, "accept_redirects", err) &&
           write_setting(a, "ipv4", device, "accept_redirects", err) &&
           write_setting(a, "ipv4", device, "secure_redirects", err);
}

static FALLIBLE raise_device(struct application *a, size_t i, struct err *err)
{
    struct ifinfomsg link = { .ifi_family = AF_UNSPEC, .ifi_index = a->devices[i], .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

    if (!stop_listening(a, i, err))
        return false;
    netlink_begin(&a->request, RTM_NEWLINK, 0, FIXED(link));
    netlink_put_u32(&a->request, IFLA_MTU, a->network->interfaces[i].mtu);
    return netlink_change(a->fd, &a->request, err);
}

static unsigned char family_of(const struct ip_address *ip)
{
    return ip->len == 4 ? AF_INET : AF_INET6;
}

/* The host tells routes one by one, so none follows from an address; duplicates were looked for on the host's side. */
static FALLIBLE add_address(struct application *a, const struct network_address *address, struct err *err)
{
    struct ifaddrmsg fixed = { .ifa_family = family_of(&address->ip), .ifa_prefixlen = (uint8_t) address->prefix,
                               .ifa_index = (unsigned) a->devices[address->interface] };
    struct bytes     ip    = { address->ip.at, address->ip.len };

    netlink_begin(&a->request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, FIXED(fixed));
    netlink_put(&a->request, IFA_LOCAL, ip);
    netlink_put(&a->request, IFA_ADDRESS, ip);
    netlink_put_u32(&a->request, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    return netlink_change(a->fd, &a->request, err);
}

static FALLIBLE add_route(struct application *a, const struct network_route *route, struct err *err)
{
    bool         has_gateway = route->gateway.len > 0;
    struct rtmsg fixed = { .rtm_family = family_of(&route->destination), .rtm_dst_len = (uint8_t) route->prefix,
                           .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
                           .rtm_scope = has_gateway || route->destination.len == 16 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                           .rtm_flags = route->gateway_on_link ? RTNH_F_ONLINK : 0 };

    netlink_begin(&a->request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, FIXED(fixed));
    if (route->prefix > 0)
        netlink_put(&a->request, RTA_DST, (struct bytes){ route->destination.at, route->destination.len });
    if (has_gateway)
        netlink_put(&a->request, RTA_GATEWAY, (struct bytes){ route->gateway.at, route->gateway.len });
    if (route->source.len > 0)
        netlink_put(&a->request, RTA_PREFSRC, (struct bytes){ route->source.at, route->source.len });
    netlink_put_u32(&a->request, RTA_OIF, (uint32_t) a->devices[route->interface]);
    netlink_put_u32(&a->request, RTA_PRIORITY, route->priority);
    return netlink_change(a->fd, &a->request, err);
}

static FALLIBLE add_neighbour(struct application *a, const struct network_neighbour *neighbour, struct err *err)
{
    struct ndmsg fixed = { .ndm_family = family_of(&neighbour->ip), .ndm_ifindex = a->devices[neighbour->interface],
                           .ndm_state = NUD_PERMANENT };

    netlink_begin(&a->request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, FIXED(fixed));
    netlink_put(&a->request, NDA_DST, (struct bytes){ neighbour->ip.at, neighbour->ip.len });
    netlink_put(&a->request, NDA_LLADDR, BYTES_OF(neighbour->hardware));
    return netlink_change(a->fd, &a->request, err);
}

/* ---- all of them ---- */

/* By way of names that no host gives: the kernel's own, eth0 and so on, may be wanted by another device. */
static FALLIBLE name_devices(struct application *a, struct err *err)
{
    char passing[NETWORK_NAME_SIZE];

    for (size_t i = 0; i < a->network->n_interfaces; i++) {
        (void) snprintf(passing, sizeof passing, "PASSING%zu", i); /* fits; upper case is not accepted from a host */
        if (!rename_device(a, i, passing, err))
            return context(err, a->network->interfaces[i].name);
    }
    for (size_t i = 0; i < a->network->n_interfaces; i++)
        if (!rename_device(a, i, a->network->interfaces[i].name, err) || !raise_device(a, i, err))
            return context(err, a->network->interfaces[i].name);
    return true;
}

/* Routes without a gateway come first: the gateways of the others are reached by them. */
static FALLIBLE add_routes(struct application *a, bool with_gateway, struct err *err)
{
    char destination[IP_TEXT_SIZE];

    for (size_t i = 0; i < a->network->n_routes; i++) {
        const struct network_route *route = &a->network->routes[i];

        if ((route->gateway.len > 0) == with_gateway && !add_route(a, route, err))
            return contextf(err, "route %s/%u", ip_text(&route->destination, destination), route->prefix);
    }
    return true;
}

static FALLIBLE add_all(struct application *a, struct err *err)
{
    char ip[IP_TEXT_SIZE];

    for (size_t i = 0; i < a->network->n_addresses; i++)
        if (!add_address(a, &a->network->addresses[i], err))
            return contextf(err, "address %s", ip_text(&a->network->addresses[i].ip, ip));
    if (!add_routes(a, false, err) || !add_routes(a, true, err))
        return false;
    for (size_t i = 0; i < a->network->n_neighbours; i++)
        if (!add_neighbour(a, &a->network->neighbours[i], err))
            return contextf(err, "neighbour %s", ip_text(&a->network->neighbours[i].ip, ip));
    return true;
}

FALLIBLE network_apply(const struct network *network, const char *sysctls, struct err *err)
{
    struct application a    = { .network = network, .sysctls = sysctls, .fd = NO_FD };
    bool               done = netlink_open(&a.fd, err) && find_devices(&a, err) && name_devices(&a, err) && add_all(&a, err);

    auto_fd(&a.fd);
    buffer_free(&a.request);
    return done || context(err, "network");
}
