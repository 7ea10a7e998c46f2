#include "runtime/net/pod_network.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>

#include "base/auto.h"
#include "base/netlink.h"

enum { ATTRIBUTES_KEPT = 64 }; /* types below this one are kept by number; those we look at are */

/* The attributes of one message by their types; the last of each type counts. */
struct attributes {
    struct netlink_attribute by_type[ATTRIBUTES_KEPT];
};

static FALLIBLE read_attributes(struct reader *r, struct attributes *out, struct err *err)
{
    *out = (struct attributes){ 0 };
    while (r->left.len > 0) {
        struct netlink_attribute a;

        if (!netlink_attribute_next(r, &a, err))
            return false;
        if (a.type < ATTRIBUTES_KEPT)
            out->by_type[a.type] = a;
    }
    return true;
}

static struct bytes value_of(const struct attributes *all, uint16_t type)
{
    return all->by_type[type].value;
}

static bool find_device(const struct pod_network *pod, uint32_t device, uint32_t *interface)
{
    for (size_t i = 0; i < pod->network.n_interfaces; i++)
        if (pod->devices[i] == device) {
            *interface = (uint32_t) i;
            return true;
        }
    return false;
}

static bool is_link_local(const struct ip_address *ip)
{
    return ip->len == 16 && ip->at[0] == 0xfe && (ip->at[1] & 0xc0) == 0x80;
}

static FALLIBLE read_link(struct reader *r, struct pod_network *pod, struct err *err)
{
    struct network   *n = &pod->network;
    struct attributes all;

    take(r, 2); /* family and padding */
    uint16_t kind  = take_u16le(r);
    uint32_t index = take_u32le(r);
    uint32_t flags = take_u32le(r);
    take(r, 4); /* which flags changed */
    if (!reader_ok(r, err) || !read_attributes(r, &all, err))
        return context(err, "link");
    if (kind != ARPHRD_ETHER || flags & IFF_LOOPBACK || !(flags & IFF_UP))
        return true;
    struct bytes name = value_of(&all, IFLA_IFNAME), hardware = value_of(&all, IFLA_ADDRESS);
    if (name.len < 2 || name.len > NETWORK_NAME_SIZE || name.at[name.len - 1] != 0 || hardware.len != HARDWARE_LEN)
        return fail_with(err, ERR_MALFORMED, "link %u: its name or hardware address", index);
    if (n->n_interfaces == NETWORK_INTERFACES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d interfaces", NETWORK_INTERFACES_MAX);
    struct network_interface *to = &n->interfaces[n->n_interfaces];
    memcpy(to->name, name.at, name.len);
    memcpy(to->hardware, hardware.at, HARDWARE_LEN);
    to->mtu                        = netlink_u32(&all.by_type[IFLA_MTU]);
    pod->devices[n->n_interfaces++] = index;
    return true;
}

static FALLIBLE read_address(struct reader *r, struct pod_network *pod, struct err *err)
{
    struct network        *n  = &pod->network;
    struct network_address to = { 0 };
    struct attributes      all;

    take(r, 1); /* family: the address has its own length */
    to.prefix = take_u8(r);
    take(r, 2); /* flags and scope */
    uint32_t device = take_u32le(r);
    if (!reader_ok(r, err) || !read_attributes(r, &all, err))
        return context(err, "address");
    if (!find_device(pod, device, &to.interface))
        return true;
    struct bytes ip = value_of(&all, IFA_LOCAL).len ? value_of(&all, IFA_LOCAL) : value_of(&all, IFA_ADDRESS);
    if (!ip_read(ip, &to.ip, err))
        return false;
    if (is_link_local(&to.ip))
        return true;
    if (n->n_addresses == NETWORK_ADDRESSES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d addresses", NETWORK_ADDRESSES_MAX);
    n->addresses[n->n_addresses++] = to;
    return true;
}

/* The fixed part of a route, as far as it matters here. */
struct route_head {
    uint8_t  family, destination_len, table, type;
    uint32_t flags;
};

static FALLIBLE read_route_parts(const struct route_head *head, const struct attributes *all, struct network_route *to,
                                 struct err *err)
{
    struct bytes destination = value_of(all, RTA_DST), gateway = value_of(all, RTA_GATEWAY), source = value_of(all, RTA_PREFSRC);

    if (destination.len > 0 ? !ip_read(destination, &to->destination, err) : false)
        return context(err, "route");
    if (to->destination.len == 0)
        to->destination.len = head->family == AF_INET ? 4 : 16;
    if ((gateway.len > 0 && !ip_read(gateway, &to->gateway, err)) || (source.len > 0 && !ip_read(source, &to->source, err)))
        return context(err, "route");
    to->prefix          = head->destination_len;
    to->priority        = netlink_u32(&all->by_type[RTA_PRIORITY]);
    to->gateway_on_link = head->flags & RTNH_F_ONLINK;
    return true;
}

static bool is_for_the_guest(const struct network_route *route)
{
    return !is_link_local(&route->destination) && !(route->destination.len == 16 && route->destination.at[0] == 0xff);
}

static FALLIBLE read_route(struct reader *r, struct pod_network *pod, struct err *err)
{
    struct network      *n    = &pod->network;
    struct network_route to   = { 0 };
    struct route_head    head = { 0 };
    struct attributes    all;

    head.family          = take_u8(r);
    head.destination_len = take_u8(r);
    take(r, 2); /* length of a source prefix; type of service */
    head.table = take_u8(r);
    take(r, 2); /* protocol; scope, which follows from the gateway */
    head.type  = take_u8(r);
    head.flags = take_u32le(r);
    if (!reader_ok(r, err) || !read_attributes(r, &all, err))
        return context(err, "route");
    if (head.type != RTN_UNICAST || head.table != RT_TABLE_MAIN || head.flags & RTM_F_CLONED ||
        (head.family != AF_INET && head.family != AF_INET6))
        return true;
    if (value_of(&all, RTA_MULTIPATH).len > 0 || value_of(&all, RTA_VIA).len > 0)
        return fail_with(err, ERR_UNSUPPORTED, "a route over several next hops, or one of another family");
    if (!find_device(pod, netlink_u32(&all.by_type[RTA_OIF]), &to.interface))
        return true;
    if (!read_route_parts(&head, &all, &to, err))
        return false;
    if (!is_for_the_guest(&to))
        return true;
    if (n->n_routes == NETWORK_ROUTES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d routes", NETWORK_ROUTES_MAX);
    n->routes[n->n_routes++] = to;
    return true;
}

static FALLIBLE read_neighbour(struct reader *r, struct pod_network *pod, struct err *err)
{
    struct network          *n  = &pod->network;
    struct network_neighbour to = { 0 };
    struct attributes        all;

    take(r, 4); /* family and padding */
    uint32_t device = take_u32le(r);
    uint16_t state  = take_u16le(r);
    take(r, 2); /* flags and type */
    if (!reader_ok(r, err) || !read_attributes(r, &all, err))
        return context(err, "neighbour");
    struct bytes hardware = value_of(&all, NDA_LLADDR);
    if (!(state & NUD_PERMANENT) || hardware.len != HARDWARE_LEN || !find_device(pod, device, &to.interface))
        return true;
    if (!ip_read(value_of(&all, NDA_DST), &to.ip, err))
        return context(err, "neighbour");
    memcpy(to.hardware, hardware.at, HARDWARE_LEN);
    if (n->n_neighbours == NETWORK_NEIGHBOURS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d neighbours", NETWORK_NEIGHBOURS_MAX);
    n->neighbours[n->n_neighbours++] = to;
    return true;
}

static FALLIBLE read_one(const struct netlink_message *m, struct pod_network *pod, struct err *err)
{
    struct reader r = reader_over(m->body);

    switch (m->type) {
    case RTM_NEWLINK:  return read_link(&r, pod, err);
    case RTM_NEWADDR:  return read_address(&r, pod, err);
    case RTM_NEWROUTE: return read_route(&r, pod, err);
    case RTM_NEWNEIGH: return read_neighbour(&r, pod, err);
    default:           return true;
    }
}

FALLIBLE pod_network_read(struct bytes dump, struct pod_network *out, struct err *err)
{
    struct reader      r   = reader_over(dump);
    struct pod_network pod = { 0 };

    while (r.left.len > 0) {
        struct netlink_message m;

        if (!netlink_message_next(&r, &m, err) || !read_one(&m, &pod, err))
            return context(err, "network of the pod");
    }
    *out = pod;
    return true;
}

FALLIBLE pod_network_ask(int netlink_fd, struct pod_network *out, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 }, dump = { 0 };
    struct ifinfomsg           links      = { .ifi_family = AF_UNSPEC };
    struct ifaddrmsg           addresses  = { .ifa_family = AF_UNSPEC };
    struct rtmsg               routes     = { .rtm_family = AF_UNSPEC };
    struct ndmsg               neighbours = { .ndm_family = AF_UNSPEC };
    const struct {
        uint16_t     type;
        struct bytes fixed;
    } questions[] = {
        { RTM_GETLINK, { (const uint8_t *) &links, sizeof links } },
        { RTM_GETADDR, { (const uint8_t *) &addresses, sizeof addresses } },
        { RTM_GETROUTE, { (const uint8_t *) &routes, sizeof routes } },
        { RTM_GETNEIGH, { (const uint8_t *) &neighbours, sizeof neighbours } },
    };

    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        netlink_begin(&request, questions[i].type, 0, questions[i].fixed);
        if (!netlink_dump(netlink_fd, &request, &dump, err))
            return context(err, "network of the pod");
    }
    return pod_network_read(buffer_bytes(&dump), out, err);
}
