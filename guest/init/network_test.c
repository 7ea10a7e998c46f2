/* In a network namespace of its own, with a veth as the device; needs root, skips without. */
#include "guest/init/network.h"

#include <sched.h>

#include "base/process.h"
#include "tests/harness/test.h"

static int shell(const char *words)
{
    const char *const          argv[] = { "/bin/sh", "-ec", words, NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    struct err                 err;
    int                        code = -1;

    if (!process_run(argv, (struct bytes){ 0 }, 1 << 20, 60000, &out, &code, &err))
        fail_msg("%s", err.text);
    return code;
}

static bool enter_namespace(void)
{
    return unshare(CLONE_NEWNET) == 0 && access("/sbin/ip", X_OK) == 0;
}

static struct network two_interfaces(void)
{
    return (struct network){
        .interfaces = { { "one", { 2, 0, 0, 0, 0, 1 }, 1400 }, { "two", { 2, 0, 0, 0, 0, 2 }, 1500 } },
        .addresses  = { { 0, { 4, { 10, 1, 2, 3 } }, 24 }, { 1, { 16, { 0xfd, 0, [15] = 5 } }, 64 } },
        .routes     = { { .interface = 0, .destination = { 4, { 0 } }, .gateway = { 4, { 10, 1, 2, 1 } }, .priority = 3 },
                        { .interface = 0, .destination = { 4, { 10, 1, 2, 0 } }, .prefix = 24, .source = { 4, { 10, 1, 2, 3 } } } },
        .neighbours = { { 0, { 4, { 10, 1, 2, 1 } }, { 2, 0, 0, 0, 0, 9 } } },
        .n_interfaces = 2, .n_addresses = 2, .n_routes = 2, .n_neighbours = 1,
    };
}

/* The devices carry each other's names, as they may when the kernel numbers them. */
static void devices_are_found_by_hardware_address_and_set_up(void **state)
{
    struct network n = two_interfaces();
    struct err     err;

    (void) state;
    if (!enter_namespace())
        skip();
    assert_int_equal(shell("ip link add two address 02:00:00:00:00:01 type veth peer name one address 02:00:00:00:00:02"), 0);
    if (!network_apply(&n, "/proc/sys", &err))
        fail_msg("%s", err.text);
    assert_int_equal(shell("ip -o link show one | grep -q 'mtu 1400.*02:00:00:00:00:01'; ip -o link show one | grep -q UP"), 0);
    assert_int_equal(shell("ip -o addr show dev one | grep -q 10.1.2.3/24; ip -o addr show dev two | grep -q fd00::5/64"), 0);
    assert_int_equal(shell("ip route | grep -q 'default via 10.1.2.1 dev one .*metric 3'; ip neigh | grep -q 'PERMANENT'"), 0);
    assert_int_equal(shell("ip route show dev one | grep -q '10.1.2.0/24 proto static scope link src 10.1.2.3'"), 0);
    assert_int_equal(shell("grep -qx 0 /proc/sys/net/ipv6/conf/one/accept_ra"), 0);
}

static void an_interface_without_a_device_is_named(void **state)
{
    struct network n = two_interfaces();
    struct err     err;

    (void) state;
    if (!enter_namespace())
        skip();
    assert_int_equal(shell("ip link add one address 02:00:00:00:00:01 type veth peer name x"), 0);
    assert_false(network_apply(&n, "/proc/sys", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "network: no device has the hardware address of two");
}

static void what_the_kernel_refuses_is_named(void **state)
{
    struct network n = two_interfaces();
    struct err     err;

    (void) state;
    if (!enter_namespace())
        skip();
    assert_int_equal(shell("ip link add one address 02:00:00:00:00:01 type veth peer name two address 02:00:00:00:00:02"), 0);
    n.routes[0].gateway.at[1] = 77;
    assert_false(network_apply(&n, "/proc/sys", &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_non_null(strstr(err.text, "network: route 0.0.0.0/0: the kernel refused: Network is unreachable"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_found_by_hardware_address_and_set_up),
        cmocka_unit_test(an_interface_without_a_device_is_named),
        cmocka_unit_test(what_the_kernel_refuses_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
