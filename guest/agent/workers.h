/*
 * A few threads for what may take long, so that the loop stays free: a broker that is slow keeps only those waiting who
 * asked it. Work goes in from the loop's thread and comes back to it.
 */
#pragma once

#include "base/loop.h"

enum { WORKERS_MAX = 8, WORKER_STACK_LEN = 256 << 10 };

struct workers;

/* Embedded in what is to be done. */
struct work {
    void      (*run)(struct work *work, void *own); /* on a worker; `own` is that worker's alone */
    void      (*done)(struct work *work);           /* then on the loop, once; `work` is free again */
    struct work *next;                              /* while it is in a queue */
};

/*
 * Starts `n` threads with `own[i]` each.
 *
 *   out    yours, workers_free
 *
 * Fails OS, LIMIT over WORKERS_MAX.
 */
FALLIBLE workers_new(struct loop *loop, void *const *own, size_t n, struct workers **out, struct err *err);

void workers_give(struct workers *workers, struct work *work); /* first come, first served */

/*
 * Ends the threads that are idle and frees all. While one still works it does nothing and returns false: then nothing
 * that the work uses may be freed. NULL is fine.
 */
bool workers_free(struct workers *workers);
