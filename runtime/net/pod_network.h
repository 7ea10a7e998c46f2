/* Reads the network of a pod out of what the kernel says about the pod's namespace. [rtnetlink(7)] */
#pragma once

#include "guest/api/network.h"

/* What the guest is told, and which host device each interface is. */
struct pod_network {
    struct network network;
    uint32_t       devices[NETWORK_INTERFACES_MAX];
};

/*
 * Takes dumps of links, addresses, routes and neighbours, in this order, one after the other in `dump`. What is left
 * out: loopback, devices that are no Ethernet or down, link-local IPv6 addresses and routes (each end makes its own),
 * tables other than main, neighbours that are not permanent.
 *
 * Fails MALFORMED; LIMIT; UNSUPPORTED for a route over several next hops or with a next hop of another family.
 */
FALLIBLE pod_network_read(struct bytes dump, struct pod_network *out, struct err *err);

/* Asks the kernel, in the namespace in which `netlink_fd` was opened. */
FALLIBLE pod_network_ask(int netlink_fd, struct pod_network *out, struct err *err);
