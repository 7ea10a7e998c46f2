/*
 * What a container writes to one of its streams: taken from its pipe on the loop and held, in bounded memory, until
 * the host asks. When the bound is reached the pipe is left full and the container waits. Denied output is read and
 * dropped: it never blocks the container. [threats C5]
 */
#pragma once

#include "base/bytes.h"
#include "base/loop.h"
#include "base/ossl.h"
#include "guest/container/limits.h"

struct output;
typedef void output_more_fn(void *owner, struct output *output); /* bytes came, or the end */

struct output {
    struct loop_source pipe; /* fd is NO_FD after the end */
    struct loop       *loop;
    struct buffer      held;
    struct sha256_run  digest;   /* of all that came and was not denied */
    uint64_t           n_bytes;  /* that it is over */
    bool               is_denied;
    bool               has_ended;
    output_more_fn    *more;
    void              *owner;
};

#define NO_OUTPUT ((struct output){ .pipe = { .fd = NO_FD }, .has_ended = true })

struct output_options {
    struct loop    *loop;
    bool            is_denied;
    output_more_fn *more; /* not called for denied output */
    void           *owner;
};

/* Takes `fd`. `output` must stay where it is until output_close. */
FALLIBLE output_open(struct output *output, const struct output_options *options, int fd_take, struct err *err);
void     output_close(struct output *output);

/* Moves up to `most` bytes to the end of `into`; the pipe is read again when it had been left. */
void output_take(struct output *output, size_t most, struct buffer *into);

/* SHA-256 of what was written so far. Fails UNSUPPORTED for denied output. */
FALLIBLE output_digest(const struct output *output, uint8_t digest[static SHA256_LEN], struct err *err);

/* True when something can be said: bytes are held, or none will come any more. Denied output ends at once. */
bool output_is_ready(const struct output *output);
bool output_is_over(const struct output *output); /* nothing held and none will come */
