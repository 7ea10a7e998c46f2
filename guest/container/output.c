#include "guest/container/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

enum { PIECE_LEN = 32 << 10 };

static void end(struct output *output)
{
    loop_remove(&output->pipe);
    (void) close(TAKE_FD(output->pipe.fd)); /* only read from */
    output->has_ended = true;
    if (!output->is_denied)
        output->more(output->owner, output);
}

static void on_readable(struct loop_source *source, uint32_t events)
{
    struct output *output = source->owner;
    uint8_t        piece[PIECE_LEN];
    size_t         room = OUTPUT_BUFFER_MAX - output->held.len;

    (void) events;
    ssize_t n = read(source->fd, piece, room < sizeof piece ? room : sizeof piece);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end(output);
        return;
    }
    if (output->is_denied)
        return;
    buffer_append(&output->held, (struct bytes){ piece, (size_t) n });
    output->n_bytes += (uint64_t) n;
    sha256_update(&output->digest, (struct bytes){ piece, (size_t) n });
    if (output->held.len == OUTPUT_BUFFER_MAX)
        loop_remove(source);
    output->more(output->owner, output);
}

FALLIBLE output_open(struct output *output, const struct output_options *options, int fd_take, struct err *err)
{
    *output = (struct output){ .loop = options->loop, .is_denied = options->is_denied, .more = options->more,
                               .owner = options->owner };
    sha256_begin(&output->digest);
    output->pipe = (struct loop_source){ .fd = fd_take, .ready = on_readable, .owner = output };
    if (fcntl(fd_take, F_SETFL, O_NONBLOCK) < 0) {
        (void) err_os(err, "output"); /* false is what it returns */
    } else if (loop_add(options->loop, &output->pipe, EPOLLIN, err)) {
        return true;
    }
    (void) close(TAKE_FD(output->pipe.fd)); /* only read from */
    output->has_ended = true;
    return false;
}

void output_close(struct output *output)
{
    loop_remove(&output->pipe);
    auto_fd(&output->pipe.fd);
    buffer_free(&output->held);
    *output = NO_OUTPUT;
}

void output_take(struct output *output, size_t most, struct buffer *into)
{
    size_t     n = output->held.len < most ? output->held.len : most;
    struct err err;

    buffer_append(into, (struct bytes){ output->held.at, n });
    if (n < output->held.len)
        memmove(output->held.at, output->held.at + n, output->held.len - n);
    output->held.len -= n;
    if (n > 0 && !output->has_ended && !output->pipe.loop && !loop_add(output->loop, &output->pipe, EPOLLIN, &err))
        end(output);
}

FALLIBLE output_digest(const struct output *output, uint8_t digest[static SHA256_LEN], struct err *err)
{
    struct sha256_run copy = output->digest;

    if (output->is_denied)
        return fail_with(err, ERR_UNSUPPORTED, "policy lets nobody know what was written");
    sha256_end(&copy, digest);
    return true;
}

bool output_is_ready(const struct output *output)
{
    return output->held.len > 0 || output_is_over(output);
}

bool output_is_over(const struct output *output)
{
    return output->is_denied || (output->has_ended && output->held.len == 0);
}
