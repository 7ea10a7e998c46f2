/* What a process of the agent gives up before it reads its first foreign byte. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* For `keep`: bits by number of linux/capability.h. */
#define RIGHT(capability) (1ULL << (capability))

/*
 * Keeps only the capabilities in `keep`, forbids to gain any by exec, and to be dumped or traced. For good.
 *
 *   keep    0 together with rights_become_nobody for a process that needs none
 */
FALLIBLE rights_keep(uint64_t keep, struct err *err);

/* User and group 65534, no other groups, and no capability. */
FALLIBLE rights_become_nobody(struct err *err);
