#include "runtime/shim/inlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "runtime/shim/limits.h"

static void stop(struct inlet *in)
{
    loop_remove(&in->pipe);
    loop_remove(&in->pause);
    auto_fd(&in->pipe.fd);
    auto_fd(&in->pause.fd);
    in->pipe.fd = in->pause.fd = NO_FD;
}

static void finish(struct inlet *in)
{
    stop(in);
    in->came(in->owner, (struct bytes){ NULL, 0 }, true);
}

static void resume(struct inlet *in)
{
    struct err err;

    loop_remove(&in->pause);
    if (!in->pipe.loop && !loop_add(in->loop, &in->pipe, EPOLLIN, &err))
        finish(in);
}

/* The writer is gone. Time is given to see whether its engine is, too; then there is no end of input. */
static void hold(struct inlet *in)
{
    struct err err;

    loop_remove(&in->pipe);
    auto_fd(&in->pause.fd);
    in->pause.fd = NO_FD;
    if (!loop_timer_fd(SHIM_EVENT_RETRY_MS, 0, &in->pause.fd, &err) || !loop_add(in->loop, &in->pause, EPOLLIN, &err))
        finish(in);
}

static void on_pause(struct loop_source *source, uint32_t events)
{
    struct inlet *in = source->owner;

    (void) events;
    loop_remove(source);
    if (in->closes || in->engine_is_here(in->owner))
        finish(in);
    else
        hold(in);
}

/* A FIFO without a writer reads as empty, and says so with EPOLLHUP only when one came and went. */
static void on_readable(struct loop_source *source, uint32_t events)
{
    struct inlet *in = source->owner;
    uint8_t       piece[SHIM_BLOCK];
    ssize_t       n = read(source->fd, piece, sizeof piece);

    if (n > 0) {
        in->waits = true;
        loop_remove(source);
        in->came(in->owner, (struct bytes){ piece, (size_t) n }, false);
    } else if (in->closes || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        finish(in);
    } else if (n == 0 && (events & EPOLLHUP)) {
        hold(in);
    }
}

FALLIBLE inlet_open(struct inlet *inlet, const struct inlet_options *options, struct err *err)
{
    *inlet                = NO_INLET;
    inlet->loop           = options->loop;
    inlet->engine_is_here = options->engine_is_here;
    inlet->came           = options->came;
    inlet->owner          = options->owner;
    inlet->pause          = (struct loop_source){ .fd = NO_FD, .ready = on_pause, .owner = inlet };
    if (!*options->path) {
        finish(inlet);
        return true;
    }
    if (*options->path != '/')
        return fail_with(err, ERR_UNSUPPORTED, "input from %.60s: a FIFO is wanted", options->path);
    inlet->pipe = (struct loop_source){ .fd = NO_FD, .ready = on_readable, .owner = inlet };
    inlet->pipe.fd = open(options->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (inlet->pipe.fd < 0)
        return err_os(err, "open %.100s", options->path);
    return loop_add(inlet->loop, &inlet->pipe, EPOLLIN, err);
}

void inlet_next(struct inlet *inlet)
{
    inlet->waits = false;
    if (inlet->pipe.fd < 0)
        return;
    resume(inlet);
    if (inlet->closes && inlet->pipe.loop)
        on_readable(&inlet->pipe, 0); /* nothing may be there to wake us */
}

void inlet_end(struct inlet *inlet)
{
    if (inlet->pipe.fd < 0 || inlet->closes)
        return;
    inlet->closes = true;
    if (!inlet->waits) {
        resume(inlet);
        if (inlet->pipe.loop)
            on_readable(&inlet->pipe, 0); /* as above */
    }
}

void inlet_close(struct inlet *inlet)
{
    stop(inlet);
    *inlet = NO_INLET;
}
