#include "guest/api/message.h"
#include "guest/api/network.h"
#include "tests/harness/test.h"

static struct network good(void)
{
    return (struct network){
        .interfaces = { { "eth0", { 2, 0, 0, 0, 0, 1 }, 1400 }, { "net1", { 2, 0, 0, 0, 0, 2 }, 9000 } },
        .addresses  = { { 0, { 4, { 10, 1, 2, 3 } }, 24 }, { 1, { 16, { 0xfd, 0, [15] = 5 } }, 64 } },
        .routes     = { { .interface = 0, .destination = { 4, { 0 } }, .gateway = { 4, { 10, 1, 2, 1 } }, .priority = 3 },
                        { .interface = 1, .destination = { 16, { 0xfd, 1 } }, .prefix = 32, .gateway = { 16, { 0xfe, 0x80, [15] = 1 } },
                          .gateway_on_link = true },
                        { .interface = 0, .destination = { 4, { 10, 1, 2, 0 } }, .prefix = 24, .source = { 4, { 10, 1, 2, 3 } } } },
        .neighbours = { { 0, { 4, { 10, 1, 2, 1 } }, { 2, 0, 0, 0, 0, 9 } } },
        .n_interfaces = 2, .n_addresses = 2, .n_routes = 3, .n_neighbours = 1,
    };
}

/* Over the wire, as the guest gets it. */
static bool carry(struct network *from, struct network *to, struct err *err)
{
    AUTO(buffer) struct buffer      wire = { 0 };
    AUTO(message) ProtobufCMessage *read = NULL;
    static struct network_message   message;

    network_write(from, &message);
    message_append(&wire, &message.request.base);
    if (!message_read(&agent__configure_network_request__descriptor, buffer_bytes(&wire), MESSAGE_EXACT, &read, err))
        return false;
    return network_read((const Agent__ConfigureNetworkRequest *) read, to, err);
}

static void what_the_host_found_reaches_the_guest(void **state)
{
    struct network from = good(), to;
    struct err     err;

    (void) state;
    assert_true(carry(&from, &to, &err));
    assert_memory_equal(&from, &to, sizeof from);
}

#define REFUSED(change, wanted)                         \
    do {                                                \
        struct network from = good(), to = { .n_routes = 77 }; \
        struct err     err;                             \
        change;                                         \
        assert_false(carry(&from, &to, &err));          \
        assert_int_equal(err.kind, ERR_MALFORMED);      \
        assert_string_equal(err.text, wanted);          \
        assert_int_equal(to.n_routes, 77);              \
    } while (0)

static void one_defect_in_an_interface_is_refused(void **state)
{
    (void) state;
    REFUSED(memcpy(from.interfaces[0].name, "lo", 3), "network interface 0: an interface's name that is not plain");
    REFUSED(memcpy(from.interfaces[0].name, "all", 4), "network interface 0: an interface's name that is not plain");
    REFUSED(memcpy(from.interfaces[0].name, "default", 8), "network interface 0: an interface's name that is not plain");
    REFUSED(memcpy(from.interfaces[0].name, "e/0", 4), "network interface 0: an interface's name that is not plain");
    REFUSED(memcpy(from.interfaces[0].name, "..", 3), "network interface 0: an interface's name that is not plain");
    REFUSED(memcpy(from.interfaces[0].name, "ET", 3), "network interface 0: an interface's name that is not plain");
    REFUSED(from.interfaces[0].name[0] = 0, "network interface 0: an interface's name that is not plain");
    REFUSED(memcpy(from.interfaces[1].name, "eth0", 5), "network interface 1: two interfaces of one name or hardware address");
    REFUSED(from.interfaces[1].hardware[5] = 1, "network interface 1: two interfaces of one name or hardware address");
    REFUSED(from.interfaces[1].hardware[0] = 3, "network interface 1: a hardware address that is no station's");
    REFUSED(memset(from.interfaces[1].hardware, 0, 6), "network interface 1: a hardware address that is no station's");
    REFUSED(from.interfaces[0].mtu = 67, "network interface 0: MTU 67; 68 to 65535 are possible");
    REFUSED(from.interfaces[0].mtu = 65536, "network interface 0: MTU 65536; 68 to 65535 are possible");
}

static void one_defect_in_an_address_is_refused(void **state)
{
    (void) state;
    REFUSED(from.addresses[0].interface = 2, "network address 0: interface 2 of 2");
    REFUSED(from.addresses[0].ip.at[0] = 127, "network address 0: 127.1.2.3 is no host's address");
    REFUSED(from.addresses[0].ip.at[0] = 224, "network address 0: 224.1.2.3 is no host's address");
    REFUSED(memset(from.addresses[0].ip.at, 0, 4), "network address 0: 0.0.0.0 is no host's address");
    REFUSED(memset(from.addresses[0].ip.at, 255, 4), "network address 0: 255.255.255.255 is no host's address");
    REFUSED((memset(from.addresses[1].ip.at, 0, 15), from.addresses[1].ip.at[15] = 1), "network address 1: ::1 is no host's address");
    REFUSED(from.addresses[1].ip.at[0] = 0xff, "network address 1: ff00::5 is no host's address");
    REFUSED(from.addresses[0].ip.len = 5, "network address 0: an IP address of 5 bytes");
    REFUSED(from.addresses[0].prefix = 33, "network address 0: a prefix of 33 bits");
    REFUSED(from.addresses[0].prefix = 0, "network address 0: a prefix of 0 bits");
    REFUSED(from.interfaces[1].mtu = 1279, "network address 1: MTU 1279 is too small for IPv6");
}

static void one_defect_in_a_route_or_neighbour_is_refused(void **state)
{
    (void) state;
    REFUSED(from.routes[0].interface = 9, "network route 0: interface 9 of 2");
    REFUSED(from.routes[2].prefix = 16, "network route 2: a destination that is no prefix of 16 bits");
    REFUSED(from.routes[2].prefix = 33, "network route 2: a destination that is no prefix of 33 bits");
    REFUSED(from.routes[2].destination.at[0] = 127, "network route 2: a route to loopback or multicast");
    REFUSED(from.routes[2].destination.at[0] = 239, "network route 2: a route to loopback or multicast");
    REFUSED(from.routes[0].gateway.at[0] = 127, "network route 0: 127.1.2.1 is no host's address");
    REFUSED(from.routes[0].gateway = from.routes[1].gateway, "network route 0: two families in one route");
    REFUSED(from.routes[2].source.len = 16, "network route 2: two families in one route");
    REFUSED(from.routes[2].destination.len = 3, "network route 2: an IP address of 3 bytes");
    REFUSED(from.neighbours[0].interface = 2, "network neighbour 0: interface 2 of 2");
    REFUSED(from.neighbours[0].hardware[0] = 1, "network neighbour 0: a hardware address that is no station's");
    REFUSED(from.neighbours[0].ip.at[0] = 127, "network neighbour 0: 127.1.2.1 is no host's address");
}

static void more_than_fits_is_refused(void **state)
{
    Agent__ConfigureNetworkRequest request = AGENT__CONFIGURE_NETWORK_REQUEST__INIT;
    static struct network          out;
    struct err                     err;
    size_t *const counts[] = { &request.n_interfaces, &request.n_addresses, &request.n_routes, &request.n_neighbours };
    const size_t  limits[] = { NETWORK_INTERFACES_MAX, NETWORK_ADDRESSES_MAX, NETWORK_ROUTES_MAX, NETWORK_NEIGHBOURS_MAX };

    (void) state;
    for (size_t i = 0; i < 4; i++) {
        *counts[i] = limits[i] + 1; /* refused before anything is looked at */
        assert_false(network_read(&request, &out, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        *counts[i] = 0;
    }
    assert_true(network_read(&request, &out, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_host_found_reaches_the_guest),
        cmocka_unit_test(one_defect_in_an_interface_is_refused),
        cmocka_unit_test(one_defect_in_an_address_is_refused),
        cmocka_unit_test(one_defect_in_a_route_or_neighbour_is_refused),
        cmocka_unit_test(more_than_fits_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
