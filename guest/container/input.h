/* Standard input of a container: bytes from the host go into its pipe as the container takes them. */
#pragma once

#include "base/bytes.h"
#include "base/loop.h"

/* `why` is NULL when all bytes were taken. */
typedef void input_done_fn(void *owner, const struct err *why);

struct input {
    struct loop_source pipe; /* fd is NO_FD when closed */
    struct loop       *loop;
    struct buffer      waiting;
    size_t             written; /* of `waiting` */
    bool               closes;  /* after `waiting` */
    input_done_fn     *done;    /* of the write that goes on; NULL: none does */
    void              *owner;
};

#define NO_INPUT ((struct input){ .pipe = { .fd = NO_FD } })

/* Takes `fd`. `input` must stay where it is until input_close. SIGPIPE must be ignored. */
FALLIBLE input_open(struct input *input, struct loop *loop, int fd_take, struct err *err);
void     input_close(struct input *input); /* a write that goes on is told */

/*
 * Writes a copy of `b`, then closes when `eof`; `done` is told, here or later. Fails CONFIG when it is closed, LIMIT
 * while another write goes on.
 */
FALLIBLE input_write(struct input *input, struct bytes b, bool eof, input_done_fn *done, void *owner, struct err *err);
