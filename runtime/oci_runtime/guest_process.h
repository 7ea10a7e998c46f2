/*
 * One process in the guest as the host sees it: the container's own or one that was run in it later. Moves its input
 * and output between descriptors of the engine and the guest, and hears of its end.
 */
#pragma once

#include "base/loop.h"
#include "runtime/shim/machine.h"

struct guest_process;

struct guest_process_options {
    struct loop    *loop;
    const struct machine_driver *driver;
    struct machine *machine;
    const char     *container, *process; /* names in the guest; process "" is the container's own */
    int             fds[3];              /* input, output, errors; taken, each or NO_FD */
    bool            terminal;            /* one stream: errors come on it too */
    /* It ended and all it wrote was passed on, or what was to be asked could not be (`why` not NULL). Once. */
    void (*ended)(void *owner, int exit_code, const struct err *why);
    void  *owner;
};

/* Begins to relay: the process has started. */
void guest_process_new(const struct guest_process_options *options, struct guest_process **out);
void guest_process_free(struct guest_process *process); /* answers that still come find nobody */
void guest_process_signal(struct guest_process *process, uint32_t signal);
/* Tells the guest the size of the terminal that the output leads to. */
void guest_process_resize(struct guest_process *process);
