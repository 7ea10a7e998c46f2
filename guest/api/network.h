/*
 * The network of a pod as the host finds it in the pod's namespace and as the guest applies it: one type on both
 * sides, a message between them, and the guest's judgement of that message.
 */
#pragma once

#include "base/bytes.h"
#include "guest/api/agent.pb-c.h"

enum {
    NETWORK_INTERFACES_MAX = 8,
    NETWORK_ADDRESSES_MAX  = 64,
    NETWORK_ROUTES_MAX     = 128,
    NETWORK_NEIGHBOURS_MAX = 128,
    NETWORK_NAME_SIZE      = 16, /* IFNAMSIZ, with the terminating zero */
    HARDWARE_LEN           = 6,
    MTU_MIN                = 68, /* [RFC 791]; 1280 where there is IPv6 [RFC 8200 5] */
    MTU_MAX                = 65535,
};

/* The zero state is no address. */
struct ip_address {
    uint8_t len; /* 4, 16, or 0 */
    uint8_t at[16];
};

struct network_interface {
    char     name[NETWORK_NAME_SIZE];
    uint8_t  hardware[HARDWARE_LEN];
    uint32_t mtu;
};

struct network_address {
    uint32_t          interface; /* index into `interfaces`, here and below */
    struct ip_address ip;
    uint32_t          prefix;
};

struct network_route {
    uint32_t          interface;
    struct ip_address destination; /* never without a length: that is the route's family */
    uint32_t          prefix;
    struct ip_address gateway, source;
    uint32_t          priority;
    bool              gateway_on_link;
};

struct network_neighbour {
    uint32_t          interface;
    struct ip_address ip;
    uint8_t           hardware[HARDWARE_LEN];
};

struct network {
    struct network_interface interfaces[NETWORK_INTERFACES_MAX];
    struct network_address   addresses[NETWORK_ADDRESSES_MAX];
    struct network_route     routes[NETWORK_ROUTES_MAX];
    struct network_neighbour neighbours[NETWORK_NEIGHBOURS_MAX];
    size_t                   n_interfaces, n_addresses, n_routes, n_neighbours;
};

/*
 * The guest's reading of a request from its host.
 *
 *   out    written only on success
 *
 * Fails LIMIT, MALFORMED: a name that is not plain or twice there, a hardware address that is zero, multicast or
 * twice there, an MTU out of bounds, an interface that is not listed, an address that is loopback, multicast or
 * none, a prefix longer than its address, bits of a destination behind its prefix, a destination in loopback space.
 */
FALLIBLE network_read(const Agent__ConfigureNetworkRequest *message, struct network *out, struct err *err);

/* A message that borrows from `network`, with room for its parts. */
struct network_message {
    Agent__ConfigureNetworkRequest request;
    Agent__NetworkInterface        interfaces[NETWORK_INTERFACES_MAX], *interfaces_at[NETWORK_INTERFACES_MAX];
    Agent__NetworkAddress          addresses[NETWORK_ADDRESSES_MAX], *addresses_at[NETWORK_ADDRESSES_MAX];
    Agent__NetworkRoute            routes[NETWORK_ROUTES_MAX], *routes_at[NETWORK_ROUTES_MAX];
    Agent__NetworkNeighbour        neighbours[NETWORK_NEIGHBOURS_MAX], *neighbours_at[NETWORK_NEIGHBOURS_MAX];
};
void network_write(struct network *network, struct network_message *out);

/* The address as people write it. */
enum { IP_TEXT_SIZE = 46 };
const char *ip_text(const struct ip_address *ip, char text[static IP_TEXT_SIZE]);

FALLIBLE ip_read(struct bytes from, struct ip_address *out, struct err *err); /* MALFORMED unless 4 or 16 bytes */
bool     ip_equal(const struct ip_address *a, const struct ip_address *b);
bool     ip_fits_prefix(const struct ip_address *ip, uint32_t prefix); /* no bit is set behind the prefix */
