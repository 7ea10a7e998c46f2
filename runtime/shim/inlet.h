/* Standard input of a process, from a FIFO that its writer opens when it likes, or never. */
#pragma once

#include "base/bytes.h"
#include "base/loop.h"

struct inlet;

/* Bytes came, or with `is_last` none will any more; `b` is valid during the call. Nothing more is read until inlet_next. */
typedef void inlet_fn(void *owner, struct bytes b, bool is_last);

struct inlet {
    struct loop       *loop;
    struct loop_source pipe;     /* NO_FD: closed */
    struct loop_source pause;    /* after a writer went: whoever holds the other end may come back */
    bool               closes;   /* CloseIO: what is there is read, then it is over */
    bool               waits;    /* for inlet_next */
    bool             (*engine_is_here)(void *owner);
    inlet_fn          *came;
    void              *owner;
};

#define NO_INLET ((struct inlet){ .pipe = { .fd = NO_FD }, .pause = { .fd = NO_FD } })

/*
 * Opens `path` without waiting for a writer; "": input is over at once, and `came` is told.
 *
 *   engine_is_here   a writer that goes while no engine is connected went with it: it will be back
 *
 * Fails UNSUPPORTED, OS.
 */
struct inlet_options {
    struct loop *loop;
    const char  *path;
    bool       (*engine_is_here)(void *owner);
    inlet_fn    *came;
    void        *owner;
};
FALLIBLE inlet_open(struct inlet *inlet, const struct inlet_options *options, struct err *err);
void     inlet_next(struct inlet *inlet);
void     inlet_end(struct inlet *inlet);   /* CloseIO */
void     inlet_close(struct inlet *inlet); /* tells no one */
