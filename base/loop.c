#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { EVENTS_AT_ONCE = 32 };

struct loop {
    int                epoll;
    bool               is_stopped;
    struct epoll_event events[EVENTS_AT_ONCE]; /* the batch being served: loop_remove strikes sources from it */
    int                n_events;
};

FALLIBLE loop_new(struct loop **out, struct err *err)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        abort();
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        free(loop);
        return err_os(err, "event loop");
    }
    *out = loop;
    return true;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    (void) close(loop->epoll); /* nothing was written through it */
    free(loop);
}

FALLIBLE loop_add(struct loop *loop, struct loop_source *source, uint32_t events, struct err *err)
{
    struct epoll_event event = { .events = events, .data.ptr = source };

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0)
        return err_os(err, "watch descriptor %d", source->fd);
    source->loop = loop;
    return true;
}

FALLIBLE loop_change(struct loop_source *source, uint32_t events, struct err *err)
{
    struct epoll_event event = { .events = events, .data.ptr = source };

    if (!source->loop || epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
        return err_os(err, "watch descriptor %d", source->fd);
    return true;
}

void loop_remove(struct loop_source *source)
{
    struct loop *loop = source->loop;

    if (!loop)
        return;
    source->loop = NULL;
    (void) epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL); /* a descriptor closed early is gone already */
    for (int i = 0; i < loop->n_events; i++)
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
}

FALLIBLE loop_timer_fd(uint64_t delay_ms, uint64_t every_ms, int *out, struct err *err)
{
    struct itimerspec when = {
        .it_value    = { (time_t) (delay_ms / 1000), (long) (delay_ms % 1000) * 1000000 },
        .it_interval = { (time_t) (every_ms / 1000), (long) (every_ms % 1000) * 1000000 },
    };
    AUTO(fd) int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    if (delay_ms == 0)
        when.it_value.tv_nsec = 1; /* zero would disarm it */
    if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0)
        return err_os(err, "timer");
    *out = TAKE_FD(fd);
    return true;
}

FALLIBLE loop_signal_fd(const int *signals, size_t n, int *out, struct err *err)
{
    sigset_t set;
    int      fd;

    sigemptyset(&set);
    for (size_t i = 0; i < n; i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_os(err, "block signals");
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_os(err, "signal descriptor");
    *out = fd;
    return true;
}

FALLIBLE loop_run(struct loop *loop, struct err *err)
{
    loop->is_stopped = false;
    while (!loop->is_stopped) {
        loop->n_events = epoll_wait(loop->epoll, loop->events, EVENTS_AT_ONCE, -1);
        if (loop->n_events < 0) {
            loop->n_events = 0;
            if (errno == EINTR)
                continue;
            return err_os(err, "wait for events");
        }
        for (int i = 0; i < loop->n_events && !loop->is_stopped; i++) {
            struct loop_source *source = loop->events[i].data.ptr;

            if (source)
                source->ready(source, loop->events[i].events);
        }
        loop->n_events = 0;
    }
    return true;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
}
