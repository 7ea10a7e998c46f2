#include "guest/container/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

static void shut(struct input *input)
{
    loop_remove(&input->pipe);
    auto_fd(&input->pipe.fd);
    input->pipe.fd = NO_FD;
}

static void finish(struct input *input, const struct err *why)
{
    input_done_fn *done = TAKE(input->done);

    input->waiting.len = 0;
    input->written     = 0;
    loop_remove(&input->pipe);
    if (why || input->closes)
        shut(input);
    if (done)
        done(input->owner, why);
}

static void write_some(struct input *input)
{
    struct err err;

    while (input->written < input->waiting.len) {
        ssize_t n = write(input->pipe.fd, input->waiting.at + input->written, input->waiting.len - input->written);

        if (n > 0)
            input->written += (size_t) n;
        else if (n < 0 && errno == EAGAIN)
            return; /* when there is room again */
        else if (n == 0 || errno != EINTR) {
            (void) fail_with(&err, ERR_CONFIG, "the container does not read its input"); /* false by contract */
            finish(input, &err);
            return;
        }
    }
    finish(input, NULL);
}

static void on_writable(struct loop_source *source, uint32_t events)
{
    (void) events;
    write_some(source->owner);
}

FALLIBLE input_open(struct input *input, struct loop *loop, int fd_take, struct err *err)
{
    *input      = (struct input){ .loop = loop };
    input->pipe = (struct loop_source){ .fd = fd_take, .ready = on_writable, .owner = input };
    if (fcntl(fd_take, F_SETFL, O_NONBLOCK) == 0)
        return true;
    (void) err_os(err, "input"); /* false is what it returns */
    shut(input);
    return false;
}

void input_close(struct input *input)
{
    struct err gone;

    (void) fail_with(&gone, ERR_CONFIG, "the container is gone"); /* false is what it returns */
    if (input->done)
        finish(input, &gone);
    shut(input);
    buffer_free(&input->waiting);
    *input = NO_INPUT;
}

FALLIBLE input_write(struct input *input, struct bytes b, bool eof, input_done_fn *done, void *owner, struct err *err)
{
    if (input->pipe.fd < 0)
        return fail_with(err, ERR_CONFIG, "standard input is closed");
    if (input->done)
        return fail_with(err, ERR_LIMIT, "another write to standard input goes on");
    if (!loop_add(input->loop, &input->pipe, EPOLLOUT, err))
        return false;
    buffer_append(&input->waiting, b);
    input->closes = eof;
    input->done   = done;
    input->owner  = owner;
    write_some(input);
    return true;
}
