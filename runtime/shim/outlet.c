#include "runtime/shim/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "runtime/shim/limits.h"

static void stop_trying(struct outlet *o)
{
    loop_remove(&o->retry);
    auto_fd(&o->retry.fd);
    o->retry.fd = NO_FD;
}

static void tell_opened(struct outlet *o)
{
    outlet_fn *opened = TAKE(o->opened);

    stop_trying(o);
    if (opened)
        opened(o->owner, o);
}

/* ENXIO: a FIFO that no one reads yet. */
static bool try_open(struct outlet *o)
{
    o->pipe.fd = open(o->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (o->pipe.fd < 0)
        return false;
    o->kept = open(o->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return true;
}

static void on_retry(struct loop_source *source, uint32_t events)
{
    struct outlet *o = source->owner;
    uint64_t       n;

    (void) events;
    if (read(source->fd, &n, sizeof n) < 0)
        return;
    if (try_open(o) || errno != ENXIO || ++o->tries > SHIM_FIFO_WAIT_MS / SHIM_FIFO_RETRY_MS)
        tell_opened(o);
}

static void finish(struct outlet *o)
{
    outlet_fn *drained = TAKE(o->drained);

    loop_remove(&o->pipe);
    o->waiting.len = 0;
    if (drained)
        drained(o->owner, o);
}

static void write_some(struct outlet *o)
{
    size_t sent = 0;

    while (sent < o->waiting.len) {
        ssize_t n = write(o->pipe.fd, o->waiting.at + sent, o->waiting.len - sent);

        if (n > 0)
            sent += (size_t) n;
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && errno == EAGAIN)
            break;
        else
            sent = o->waiting.len; /* nowhere to go any more */
    }
    if (sent < o->waiting.len) {
        memmove(o->waiting.at, o->waiting.at + sent, o->waiting.len - sent);
        o->waiting.len -= sent;
        return;
    }
    finish(o);
}

static void on_writable(struct loop_source *source, uint32_t events)
{
    (void) events;
    write_some(source->owner);
}

static FALLIBLE open_file(struct outlet *o, const char *path, struct err *err)
{
    o->pipe.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    return o->pipe.fd >= 0 || err_os(err, "open %.100s", path);
}

FALLIBLE outlet_open(struct outlet *outlet, struct loop *loop, const char *path, outlet_fn *opened, void *owner,
                     struct err *err)
{
    *outlet       = NO_OUTLET;
    outlet->loop  = loop;
    outlet->owner = owner;
    outlet->opened = opened;
    outlet->pipe   = (struct loop_source){ .fd = NO_FD, .ready = on_writable, .owner = outlet };
    outlet->retry  = (struct loop_source){ .fd = NO_FD, .ready = on_retry, .owner = outlet };
    if (strncmp(path, "file:", 5) == 0) {
        const char *name = strncmp(path, "file://", 7) == 0 ? path + 7 : path + 5;

        if (!open_file(outlet, name, err))
            return false;
    } else if (*path && *path != '/') {
        return fail_with(err, ERR_UNSUPPORTED, "output to %.60s: a FIFO or file: is wanted", path);
    } else if (*path) {
        outlet->path = strdup(path);
        if (!outlet->path)
            abort();
        if (!try_open(outlet)) {
            if (errno != ENXIO)
                return err_os(err, "open %.100s", path);
            return loop_timer_fd(SHIM_FIFO_RETRY_MS, SHIM_FIFO_RETRY_MS, &outlet->retry.fd, err) &&
                   loop_add(loop, &outlet->retry, EPOLLIN, err);
        }
    }
    tell_opened(outlet);
    return true;
}

void outlet_write(struct outlet *outlet, struct bytes b, outlet_fn *drained)
{
    struct err err;

    outlet->drained = drained;
    if (outlet->pipe.fd < 0) {
        finish(outlet);
        return;
    }
    buffer_append(&outlet->waiting, b);
    write_some(outlet);
    if (outlet->drained && !outlet->pipe.loop && !loop_add(outlet->loop, &outlet->pipe, EPOLLOUT, &err))
        finish(outlet);
}

void outlet_close(struct outlet *outlet)
{
    stop_trying(outlet);
    loop_remove(&outlet->pipe);
    auto_fd(&outlet->pipe.fd);
    auto_fd(&outlet->kept);
    buffer_free(&outlet->waiting);
    free(outlet->path);
    *outlet = NO_OUTLET;
}
