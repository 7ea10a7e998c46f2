/* The three streams of a process: pipes, or one terminal that crun makes and hands over by a socket. */
#pragma once

#include <sys/types.h>

#include "guest/container/input.h"
#include "guest/container/output.h"

enum stream { STREAM_STDOUT, STREAM_STDERR, STREAMS };

struct streams {
    struct output outputs[STREAMS]; /* a terminal has the first only */
    struct input  input;
    int           terminal;         /* a descriptor of the master, to size it; NO_FD: none */
    int           console;          /* the socket on which crun hands it over; NO_FD afterwards */
};

#define NO_STREAMS ((struct streams){ .outputs = { NO_OUTPUT, NO_OUTPUT }, .input = NO_INPUT, .terminal = NO_FD, .console = NO_FD })

struct streams_options {
    struct loop    *loop;
    bool            output, input; /* what policy allows */
    uid_t           uid;           /* owns the pipes, because programs open /dev/stdout anew */
    gid_t           gid;
    output_more_fn *more;
    void           *owner;         /* of `more` */
};

/* Makes the pipes; `theirs` become descriptors 0, 1 and 2 of the process, and are the caller's also on failure. */
FALLIBLE streams_open(struct streams *streams, const struct streams_options *options, int theirs[static 3],
                      struct err *err);

/* Listens at `path`; streams_take_terminal then takes the master that crun sent there before it ended. */
FALLIBLE streams_listen(struct streams *streams, const char *path, struct err *err);
FALLIBLE streams_take_terminal(struct streams *streams, const struct streams_options *options, struct err *err);

/* Fails CONFIG without a terminal, MALFORMED for a size that is none. */
FALLIBLE streams_resize(struct streams *streams, uint32_t columns, uint32_t rows, struct err *err);
void     streams_close(struct streams *streams);
