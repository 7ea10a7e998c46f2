/*
 * One thread, one epoll: descriptors, timers, signals and children are all the same kind of source.
 * A source is embedded in its owner, which must outlive it.
 */
#pragma once

#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

struct loop;
struct loop_source;
typedef void ready_fn(struct loop_source *source, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */

struct loop_source {
    int          fd;     /* borrowed: the owner closes it, after loop_remove */
    ready_fn    *ready;
    void        *owner;
    struct loop *loop;   /* set while added */
};

FALLIBLE loop_new(struct loop **out, struct err *err);
void     loop_free(struct loop *loop);
FALLIBLE loop_add(struct loop *loop, struct loop_source *source, uint32_t events, struct err *err);
FALLIBLE loop_change(struct loop_source *source, uint32_t events, struct err *err);
void     loop_remove(struct loop_source *source); /* does nothing when it is not added; safe inside ready_fn */

/* Descriptors to add as sources; the caller closes them. */
FALLIBLE loop_timer_fd(uint64_t delay_ms, uint64_t every_ms, int *out, struct err *err);
FALLIBLE loop_signal_fd(const int *signals, size_t n, int *out, struct err *err); /* also blocks them */

FALLIBLE loop_run(struct loop *loop, struct err *err); /* until loop_stop */
void     loop_stop(struct loop *loop);

DEFINE_AUTO(loop, struct loop *, loop_free)
