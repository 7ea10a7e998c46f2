/*
 * Joins two devices of one namespace: whatever comes in at one goes out at the other. Made of ingress filters, u32
 * that matches everything and mirred, because classifier matchall is not in every kernel. [tc-u32(8), tc-mirred(8)]
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * Filters of ours that an earlier run left on `from` are replaced; other filters stay, and see packets first when
 * their priority number is lower.
 */
FALLIBLE redirect_add(int netlink_fd, uint32_t from, uint32_t to, struct err *err);

/* Takes our filter off, where there is one, and the ingress discipline when no other filter is on it. */
void redirect_remove(int netlink_fd, uint32_t from);
