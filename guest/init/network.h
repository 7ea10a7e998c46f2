/* The guest's network: its loopback; and, once policy grants it, what the host says about the pod's. */
#pragma once

#include "guest/api/network.h"

FALLIBLE network_raise_loopback(struct err *err);

/*
 * Gives this network namespace's Ethernet devices their names, MTUs, addresses, routes and neighbours. Each interface
 * is found by its hardware address. Router advertisements and redirects are not listened to.
 *
 *   sysctls   where the kernel's settings are: "/proc/sys"
 *
 * Fails NOT_FOUND for an interface whose device is not there, OS as the kernel refuses. What was applied before the
 * failure stays: a guest whose network fails has no use for the rest.
 */
FALLIBLE network_apply(const struct network *network, const char *sysctls, struct err *err);
