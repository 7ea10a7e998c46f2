/*
 * The guest's serial console, always drained. It is written by whoever holds the guest: lines are kept in bounded
 * memory, escaped, and shown to people only; no decision rests on them.
 */
#pragma once

#include "base/loop.h"
#include "base/bytes.h"

enum { CONSOLE_LINE_MAX = 400 };

struct console {
    struct loop_source source;
    char               line[CONSOLE_LINE_MAX]; /* the line that is coming in */
    size_t             line_len;
    char               last[CONSOLE_LINE_MAX]; /* the last whole line that was not empty */
    char               cause[CONSOLE_LINE_MAX]; /* the first line that says why a guest ends: see console_cause */
    int                copy_fd;                 /* where each line is copied to, or NO_FD */
    int                raw_fd;                  /* where everything is copied to, as it is, or NO_FD: a debug image's */
    void             (*said)(void *owner, const char *line); /* each line, with nothing in it but what can be printed; NULL */
    void              *owner;
};

/* Watches `fd` (taken, non-blocking from now on). `console` must stay where it is. */
FALLIBLE console_open(struct console *console, struct loop *loop, int fd_take, int copy_fd, struct err *err);
void     console_close(struct console *console);

/* Reads what is there now; the loop does so too. */
void console_drain(struct console *console);

/*
 * Why the guest ended, as "phase: what", or NULL. The agent says "cloister-agent: PHASE: WHAT", the firmware
 * "stage0: WHAT", the kernel "Kernel panic - …"; the latter two become "boot: …".
 */
const char *console_cause(const struct console *console);
