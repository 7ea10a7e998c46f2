/* Children and adopted orphans of PID 1, reaped on the loop. */
#pragma once

#include <sys/types.h>

#include "base/loop.h"

enum { REAPER_WATCHES_MAX = 256, REAPER_UNCLAIMED_MAX = 64 };

struct reaper;

typedef void reaper_ended_fn(void *owner, pid_t pid, int status); /* status is waitpid's */

/* Blocks SIGCHLD in this process. Nothing else here may wait for "any" child. */
FALLIBLE reaper_new(struct loop *loop, struct reaper **out, struct err *err);
void     reaper_free(struct reaper *reaper);
DEFINE_AUTO(reaper, struct reaper *, reaper_free)

/*
 * Calls `ended` once when `pid` has ended, from the loop; also when it ended before this call, as one of the last
 * REAPER_UNCLAIMED_MAX orphans: then it is called at once. Fails LIMIT.
 */
FALLIBLE reaper_watch(struct reaper *reaper, pid_t pid, reaper_ended_fn *ended, void *owner, struct err *err);
