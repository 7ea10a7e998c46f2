/* What a process of the agent gives up before it reads its first foreign byte. */
#pragma once

#include <stddef.h>
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

/*
 * A user and a group of which this is the only process, no other groups, no capability, and the system calls that calls_confine leaves: it can
 * do nothing to other helpers, nor to a container that runs as "nobody".
 */
FALLIBLE rights_become_nobody(struct err *err);

/*
 * Closes every descriptor but the standard three and these. A process that was forked and runs no other program has
 * all of its parent's: also the epoll instance of its loop, into which one can put what the parent takes for its own.
 */
void rights_close_all_but(const int *kept, size_t n);
