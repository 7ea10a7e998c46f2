#include "runtime/net/pod_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/auto.h"
#include "base/netlink.h"
#include "runtime/net/redirect.h"

#define TAP_NAME "cloister%hhu"
enum { SWEEP_MAX = 64 }; /* devices of one namespace that are looked at: eight have a tap */
#define FIXED(structure) ((struct bytes){ (const uint8_t *) &(structure), sizeof(structure) })

static FALLIBLE enter(int namespace_fd, const char *path, struct err *err)
{
    return setns(namespace_fd, CLONE_NEWNET) == 0 || err_os(err, "network namespace %s", path);
}

static FALLIBLE open_tap(uint8_t i, int *out, struct err *err)
{
    AUTO(fd) int fd      = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

    (void) snprintf(request.ifr_name, sizeof request.ifr_name, TAP_NAME, i); /* fits */
    if (fd < 0)
        return err_os(err, "/dev/net/tun");
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return err_os(err, "tap device %s", request.ifr_name);
    *out = TAKE_FD(fd);
    return true;
}

/* What can only be made from inside the namespace: the socket to its kernel tables, and the tap devices. */
static FALLIBLE make_inside(struct pod_link *link, struct err *err)
{
    if (!netlink_open(&link->netlink_fd, err) || !pod_network_ask(link->netlink_fd, &link->pod, err))
        return false;
    if (link->pod.network.n_interfaces == 0)
        return fail_with(err, ERR_CONFIG, "no Ethernet interface is up in it");
    for (size_t i = 0; i < link->pod.network.n_interfaces; i++)
        if (!open_tap((uint8_t) i, &link->taps[i], err))
            return false;
    return true;
}

static FALLIBLE dump_links(int netlink_fd, struct buffer *answer, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };
    struct ifinfomsg           all     = { .ifi_family = AF_UNSPEC };

    netlink_begin(&request, RTM_GETLINK, 0, FIXED(all));
    return netlink_dump(netlink_fd, &request, answer, err);
}

struct link { uint32_t index; const char *name; }; /* borrows from the dump */

static FALLIBLE next_link(struct reader *r, struct link *out, struct err *err)
{
    struct netlink_message m;

    if (!netlink_message_next(r, &m, err))
        return false;
    struct reader body = reader_over(m.body);
    take(&body, 4); /* family, padding, kind */
    *out = (struct link){ take_u32le(&body), "" };
    take(&body, 8); /* flags, and which of them changed */
    while (body.left.len > 0 && !body.failed) {
        struct netlink_attribute a;

        if (!netlink_attribute_next(&body, &a, err))
            return false;
        if (a.type == IFLA_IFNAME && a.value.len > 0 && a.value.at[a.value.len - 1] == 0)
            out->name = (const char *) a.value.at;
    }
    return reader_ok(&body, err);
}

static FALLIBLE find_tap(int netlink_fd, uint8_t i, uint32_t *out, struct err *err)
{
    AUTO(buffer) struct buffer answer = { 0 };
    struct link                link;
    char                       name[IFNAMSIZ];

    (void) snprintf(name, sizeof name, TAP_NAME, i); /* fits */
    if (!dump_links(netlink_fd, &answer, err))
        return false;
    struct reader r = reader_over(buffer_bytes(&answer));
    while (r.left.len > 0) {
        if (!next_link(&r, &link, err))
            return false;
        if (strcmp(link.name, name) == 0) {
            *out = link.index;
            return true;
        }
    }
    return fail_with(err, ERR_NOT_FOUND, "tap device %s", name);
}

static FALLIBLE raise_tap(int netlink_fd, uint32_t tap, uint32_t mtu, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };
    struct ifinfomsg           fixed   = { .ifi_family = AF_UNSPEC, .ifi_index = (int) tap, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

    netlink_begin(&request, RTM_NEWLINK, 0, FIXED(fixed));
    netlink_put_u32(&request, IFLA_MTU, mtu);
    return netlink_change(netlink_fd, &request, err) || context(err, "tap device");
}

static FALLIBLE join(struct pod_link *link, size_t i, struct err *err)
{
    uint32_t interface = link->pod.devices[i], tap;

    return find_tap(link->netlink_fd, (uint8_t) i, &tap, err) &&
           raise_tap(link->netlink_fd, tap, link->pod.network.interfaces[i].mtu, err) &&
           redirect_add(link->netlink_fd, interface, tap, err) && redirect_add(link->netlink_fd, tap, interface, err);
}

/* Runs `inside` in the namespace; what it opens there stays there. */
static FALLIBLE visit(const char *path, FALLIBLE (*inside)(struct pod_link *link, struct err *err), struct pod_link *link,
                      struct err *err)
{
    AUTO(fd) int theirs = open(path, O_RDONLY | O_CLOEXEC);
    AUTO(fd) int ours   = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct err   why;

    if (theirs < 0 || ours < 0)
        return err_os(err, "network namespace %s", theirs < 0 ? path : "of this process");
    if (!enter(theirs, path, err))
        return false;
    bool is_good = inside(link, err);
    if (!enter(ours, "of this process", &why)) {
        *err = why; /* nothing may go on in a pod's namespace */
        return false;
    }
    return is_good || contextf(err, "network namespace %.120s", path);
}

FALLIBLE pod_link_open(const char *path, struct pod_link *out, struct err *err)
{
    AUTO(pod_link) struct pod_link link = NO_POD_LINK;

    for (size_t i = 0; i < NETWORK_INTERFACES_MAX; i++)
        link.taps[i] = NO_FD;
    if (!visit(path, make_inside, &link, err))
        return false;
    for (size_t i = 0; i < link.pod.network.n_interfaces; i++)
        if (!join(&link, i, err))
            return contextf(err, "network namespace %.120s", path);
    *out = link;
    link = NO_POD_LINK;
    return true;
}

static FALLIBLE open_inside(struct pod_link *link, struct err *err)
{
    return netlink_open(&link->netlink_fd, err);
}

FALLIBLE pod_link_sweep(const char *path, struct err *err)
{
    AUTO(pod_link) struct pod_link link   = NO_POD_LINK;
    AUTO(buffer) struct buffer     answer = { 0 };
    uint32_t                       devices[SWEEP_MAX];
    size_t                         n = 0;
    struct link                    at;

    if (!visit(path, open_inside, &link, err))
        return err->kind == ERR_OS && (err->os_errno == ENOENT || err->os_errno == EINVAL);
    if (!dump_links(link.netlink_fd, &answer, err))
        return false;
    for (struct reader r = reader_over(buffer_bytes(&answer)); r.left.len > 0;) {
        if (!next_link(&r, &at, err))
            return false;
        if (strncmp(at.name, TAP_NAME, strcspn(TAP_NAME, "%")) == 0)
            return true;
        if (n < SWEEP_MAX)
            devices[n++] = at.index;
    }
    for (size_t i = 0; i < n; i++)
        redirect_remove(link.netlink_fd, devices[i]);
    return true;
}

void pod_link_close(struct pod_link *link)
{
    if (link->netlink_fd < 0)
        return;
    for (size_t i = 0; i < link->pod.network.n_interfaces; i++) {
        redirect_remove(link->netlink_fd, link->pod.devices[i]);
        auto_fd(&link->taps[i]);
    }
    auto_fd(&link->netlink_fd);
    *link = NO_POD_LINK;
}
