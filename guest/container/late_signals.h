/*
 * Signals that came before a container's first process had said what to do with them. It is the first of its PID
 * namespace: until it has a handler, the kernel drops what would end any other process, and an engine that stops a
 * container just after its start would wait out the whole grace period. So they are sent once more when there is a
 * handler, for a short while; a process that never has one is left alone, as in any container. [pid_namespaces(7)]
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/loop.h"

enum { LATE_SIGNALS_MS = 10000 }; /* after the start; for a shell that becomes the program, and for a slow guest */

struct late_signals {
    struct loop       *loop;
    struct loop_source timer;      /* fd NO_FD: none waits */
    pid_t              pid;
    uint64_t           started_ms; /* 0: it did not start yet */
    uint64_t           waiting;    /* bit n - 1: signal n */
};

#define NO_LATE_SIGNALS ((struct late_signals){ .timer.fd = NO_FD })

/* The process runs from now on. */
void late_signals_begin(struct late_signals *late, struct loop *loop, pid_t pid);
/* One was just sent: it is kept when it was dropped. */
void late_signals_keep(struct late_signals *late, uint32_t signal_number);
void late_signals_end(struct late_signals *late); /* the number of the process means nothing any more */

/* Which signals the text of /proc/PID/status says are caught or ignored; false when it does not say. */
bool late_signals_read(struct bytes status, uint64_t *caught, uint64_t *ignored);
