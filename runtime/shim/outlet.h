/*
 * Where the output of a process goes: a FIFO whose reader opens its end when it likes, and may go and come back. Both
 * ends are held, so that no byte is lost and no signal raised while no one reads; then the writer waits.
 */
#pragma once

#include "base/bytes.h"
#include "base/loop.h"

struct outlet;
typedef void outlet_fn(void *owner, struct outlet *outlet);

struct outlet {
    struct loop       *loop;
    struct loop_source pipe;    /* our writing end; NO_FD: output is dropped */
    struct loop_source retry;   /* until there is a reader */
    int                kept;    /* a reading end of our own */
    char              *path;
    unsigned           tries;
    struct buffer      waiting;
    outlet_fn         *opened;  /* told once: bytes have a place to go from now on, or are dropped */
    outlet_fn         *drained; /* of the write that goes on */
    void              *owner;
};

#define NO_OUTLET ((struct outlet){ .pipe = { .fd = NO_FD }, .retry = { .fd = NO_FD }, .kept = NO_FD })

/*
 * Opens `path`, a FIFO or "file:" and a path; "": all is dropped. `opened` is told, here or later. The outlet must stay
 * where it is until outlet_close.
 *
 * Fails UNSUPPORTED for another kind of place, OS.
 */
FALLIBLE outlet_open(struct outlet *outlet, struct loop *loop, const char *path, outlet_fn *opened, void *owner,
                     struct err *err);

/* Takes a copy; `drained` is told, here or later, when all of it has gone. One write at a time. */
void outlet_write(struct outlet *outlet, struct bytes b, outlet_fn *drained);
void outlet_close(struct outlet *outlet); /* the reader sees the end */
