/*
 * In namespaces of its own: a pod's namespace with a veth and a dummy in it, read, joined to a tap, and read again as
 * the guest would apply it. Needs root; skips without.
 */
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/netlink.h"
#include "base/process.h"
#include "runtime/net/pod_link.h"
#include "tests/harness/test.h"

static void ip(const char *words)
{
    const char *const argv[] = { "/bin/sh", "-ec", words, NULL };
    AUTO(buffer) struct buffer out = { 0 };
    struct err err;
    int        code = -1;

    if (!process_run(argv, (struct bytes){ 0 }, 1 << 20, 60000, &out, &code, &err))
        fail_msg("%s", err.text);
    assert_int_equal(code, 0);
}

static bool can_make_namespaces(void)
{
    return unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 && access("/sbin/ip", X_OK) == 0;
}

/* The namespace that this process is in becomes the pod's; the process goes on in a new one. */
static void leave_a_pod_behind(char path[static 64])
{
    ip("ip link set lo up; ip link add eth0 mtu 1400 address 02:00:00:00:00:11 type veth peer name outside;"
       "ip link set outside up; ip link set eth0 up; ip addr add 10.9.0.2/24 dev eth0; ip addr add fd09::2/64 dev eth0 nodad;"
       "ip route add default via 10.9.0.1 metric 7; ip -6 route add default via fd09::1;"
       "ip route add 192.0.2.0/24 dev eth0 scope link; ip neigh add 10.9.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent;"
       "ip link add net1 address 02:00:00:00:00:12 type veth peer name down0; ip link set net1 up");
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    (void) snprintf(path, 64, "/proc/self/fd/%d", fd);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
}

static bool has_route(const struct network *n, const char *wanted)
{
    for (size_t i = 0; i < n->n_routes; i++) {
        const struct network_route *r = &n->routes[i];
        char d[IP_TEXT_SIZE], g[IP_TEXT_SIZE], text[200];

        (void) snprintf(text, sizeof text, "%s/%u via %s dev %u metric %u", ip_text(&r->destination, d), r->prefix,
                        ip_text(&r->gateway, g), r->interface, r->priority);
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

static void a_pods_network_is_read_whole(void **state)
{
    AUTO(pod_link) struct pod_link link = NO_POD_LINK;
    char                           path[64], text[IP_TEXT_SIZE];
    struct err                     err;

    (void) state;
    if (!can_make_namespaces())
        skip();
    leave_a_pod_behind(path);
    if (!pod_link_open(path, &link, &err))
        fail_msg("%s", err.text);
    const struct network *n = &link.pod.network;
    assert_int_equal(n->n_interfaces, 3); /* outside, eth0, net1; neither loopback nor what is down */
    assert_string_equal(n->interfaces[1].name, "eth0");
    assert_int_equal(n->interfaces[1].mtu, 1400);
    assert_int_equal(n->interfaces[1].hardware[5], 0x11);
    assert_string_equal(n->interfaces[2].name, "net1");
    assert_int_equal(n->interfaces[2].hardware[5], 0x12);
    assert_int_equal(n->n_addresses, 2);
    assert_string_equal(ip_text(&n->addresses[0].ip, text), "10.9.0.2");
    assert_string_equal(ip_text(&n->addresses[1].ip, text), "fd09::2");
    assert_int_equal(n->addresses[1].prefix, 64);
    assert_true(has_route(n, "0.0.0.0/0 via 10.9.0.1 dev 1 metric 7"));
    assert_true(has_route(n, "10.9.0.0/24 via none dev 1 metric 0"));
    assert_true(has_route(n, "192.0.2.0/24 via none dev 1 metric 0"));
    assert_true(has_route(n, "::/0 via fd09::1 dev 1 metric 1024"));
    assert_true(has_route(n, "fd09::/64 via none dev 1 metric 256"));
    assert_int_equal(n->n_neighbours, 1);
    assert_int_equal(n->neighbours[0].hardware[5], 0x99);
}

/* A frame written to the wire outside comes out of the tap, and one written to the tap comes out outside. */
static void frames_pass_in_both_directions_and_nothing_is_left(void **state)
{
    AUTO(pod_link) struct pod_link link = NO_POD_LINK, again = NO_POD_LINK;
    char                           path[64];
    struct err                     err;
    uint8_t frame[10 + 60] = { [10] = 2, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0x22, 0x88, 0xb5, 'h', 'i' }, got[2048];

    (void) state;
    if (!can_make_namespaces())
        skip();
    ip("ip link add eth0 address 02:00:00:00:00:11 type veth peer name far; ip link set eth0 up");
    int pod = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", pod);
    ip("ip link set far up"); /* the peer may stay here: it is one more interface with a tap of its own */
    assert_true(pod_link_open(path, &link, &err));
    assert_int_equal(link.pod.network.n_interfaces, 2);
    size_t eth0 = strcmp(link.pod.network.interfaces[0].name, "eth0") == 0 ? 0 : 1;

    /* tap of eth0 → eth0 → its peer far → tap of far */
    assert_int_equal(write(link.taps[eth0], frame, sizeof frame), sizeof frame);
    for (;;) {
        ssize_t n = read(link.taps[1 - eth0], got, sizeof got);
        if (n < 0) {
            usleep(1000);
            continue;
        }
        if (n == sizeof frame && memcmp(got + 10, frame + 10, 60) == 0)
            break; /* others are the kernel's own, as those of IPv6 */
    }
    pod_link_close(&link);
    assert_true(pod_link_open(path, &again, &err)); /* the names of the taps are free, the filters replaceable */
    pod_link_close(&again);
    ip("! ip -o link | grep -q cloister; ! tc filter show dev eth0 ingress | grep -q mirred; ! tc qdisc show dev eth0 | grep -q ingress");
    (void) close(pod);
}

/* As after SIGKILL: the taps end with their descriptors, the filters do not. */
static void abandon(struct pod_link *link)
{
    for (size_t i = 0; i < link->pod.network.n_interfaces; i++)
        (void) close(link->taps[i]);
    (void) close(link->netlink_fd);
}

static void what_a_killed_process_left_is_swept_but_not_what_a_living_one_has(void **state)
{
    AUTO(pod_link) struct pod_link living = NO_POD_LINK;
    struct pod_link                dead   = NO_POD_LINK;
    char                           path[64];
    struct err                     err;

    (void) state;
    if (!can_make_namespaces())
        skip();
    ip("ip link add eth0 type veth peer name far; ip link set eth0 up; ip link add eth1 type veth peer name other;"
       "ip link set eth1 up; tc qdisc add dev eth1 ingress; tc filter add dev eth1 parent ffff: prio 7 u32 match u32 0 0 action mirred egress mirror dev other");
    int pod = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", pod);
    assert_true(pod_link_open(path, &dead, &err));
    abandon(&dead);
    ip("tc filter show dev eth0 ingress | grep -q mirred");
    assert_true(pod_link_open(path, &living, &err));
    assert_true(pod_link_sweep(path, &err));
    ip("tc filter show dev eth0 ingress | grep -q mirred");
    abandon(&living);
    living = NO_POD_LINK;
    assert_true(pod_link_sweep(path, &err));
    ip("! tc filter show dev eth0 ingress | grep -q .; ! tc qdisc show dev eth0 | grep -q ingress");
    ip("! tc filter show dev eth1 ingress | grep -q 'Egress Redirect'; tc filter show dev eth1 ingress | grep -q 'Egress Mirror'"); /* somebody else's */
    assert_true(pod_link_sweep("/run/netns/that-has-gone", &err));
    (void) close(pod);
}

static void what_is_no_pods_namespace_is_refused(void **state)
{
    struct pod_link link = NO_POD_LINK;
    char            path[64];
    struct err      err;

    (void) state;
    if (!can_make_namespaces())
        skip();
    assert_false(pod_link_open("/proc/self/ns/net", &link, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "network namespace /proc/self/ns/net: no Ethernet interface is up in it");
    assert_false(pod_link_open("/proc/self/ns/pid", &link, &err));
    assert_int_equal(err.kind, ERR_OS);
    (void) snprintf(path, sizeof path, "/nowhere");
    assert_false(pod_link_open(path, &link, &err));
    assert_string_equal(err.text, "network namespace /nowhere: No such file or directory");
    assert_int_equal(link.netlink_fd, NO_FD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pods_network_is_read_whole),
        cmocka_unit_test(frames_pass_in_both_directions_and_nothing_is_left),
        cmocka_unit_test(what_a_killed_process_left_is_swept_but_not_what_a_living_one_has),
        cmocka_unit_test(what_is_no_pods_namespace_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
