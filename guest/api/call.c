#include "guest/api/call.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

enum { PORT_RETRY_MS = 5, READ_LEN = 64 << 10 };

FALLIBLE ttrpc_client_over(int fd, struct ttrpc_client *out, struct err *err)
{
    struct stat about;
    int         flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fstat(fd, &about) < 0)
        return err_os(err, "ttrpc client on descriptor %d", fd);
    *out = (struct ttrpc_client){ .fd = fd, .is_port = S_ISCHR(about.st_mode), .next_stream = 1, .input = WIPED_BUFFER };
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* `deadline` is -1 for none. A port whose host end is closed polls as hung up at once: sleep instead. */
static FALLIBLE wait_for(const struct ttrpc_client *client, short events, int64_t deadline, struct err *err)
{
    struct pollfd poll_fd = { .fd = client->fd, .events = events };
    int64_t       left    = deadline < 0 ? -1 : deadline - now_ms();

    if (deadline >= 0 && left <= 0)
        return fail_with(err, ERR_TIMEOUT, "no answer in time");
    if (left > INT32_MAX)
        left = INT32_MAX;
    if (poll(&poll_fd, 1, (int) left) < 0 && errno != EINTR)
        return err_os(err, "wait for the peer");
    if (client->is_port && (poll_fd.revents & POLLHUP)) {
        struct timespec pause = { .tv_nsec = PORT_RETRY_MS * 1000000L };

        (void) nanosleep(&pause, NULL); /* woken early is fine: the caller asks again */
    }
    return true;
}

static FALLIBLE send_whole(const struct ttrpc_client *client, struct bytes frame, int64_t deadline, struct err *err)
{
    while (frame.len > 0) {
        ssize_t n = ttrpc_write(client->fd, client->is_port, frame);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_os(err, "write to the peer");
        if (n > 0)
            frame = (struct bytes){ frame.at + n, frame.len - (size_t) n };
        else if (!wait_for(client, POLLOUT, deadline, err))
            return false;
    }
    return true;
}

void ttrpc_client_rest(struct ttrpc_client *client)
{
    if (client->input.len == 0)
        buffer_free(&client->input);
}

static FALLIBLE receive_some(struct ttrpc_client *client, int64_t deadline, struct err *err)
{
    size_t  had = client->input.len;
    ssize_t n   = read(client->fd, buffer_extend(&client->input, READ_LEN), READ_LEN);

    client->input.len = had + (n > 0 ? (size_t) n : 0);
    if (n > 0)
        return true;
    if (n == 0 && !client->is_port)
        return fail_with(err, ERR_OS, "the peer closed the connection");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return err_os(err, "read from the peer");
    return wait_for(client, POLLIN, deadline, err);
}

/* Answers to calls that were given up before are dropped; any other is the peer's mistake. */
static FALLIBLE receive_answer(struct ttrpc_client *client, uint32_t stream, const ProtobufCMessageDescriptor *type,
                               int64_t deadline, ProtobufCMessage **out, struct err *err)
{
    for (;;) {
        struct ttrpc_frame frame = { 0 };
        size_t             used;

        if (!ttrpc_frame_read(buffer_bytes(&client->input), &frame, &used, err))
            return false;
        if (used == 0) {
            if (!receive_some(client, deadline, err))
                return false;
            continue;
        }
        if (frame.type != TTRPC_RESPONSE || frame.stream > stream)
            return fail_with(err, ERR_MALFORMED, "ttrpc: answer on stream %u, wanted %u", frame.stream, stream);
        if (frame.stream == stream) {
            client->is_broken = false; /* the frame is whole: what it says is the call's own matter */
            bool is_good = ttrpc_response_read(frame.message, type, out, err);
            ttrpc_drop(&client->input, used);
            return is_good;
        }
        ttrpc_drop(&client->input, used);
    }
}

FALLIBLE ttrpc_call(struct ttrpc_client *client, const struct ttrpc_method *method, const ProtobufCMessage *request,
                    int timeout_ms, ProtobufCMessage **response, struct err *err)
{
    const ProtobufCMethodDescriptor *contract = service_method(method->service, method->name);
    AUTO(buffer) struct buffer       frame    = WIPED_BUFFER;
    int64_t                          deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    uint32_t                         stream   = client->next_stream;

    assert(contract && request->descriptor == contract->input);
    if (client->is_broken || stream > UINT32_MAX - 2)
        return fail_with(err, ERR_OS, "%s: the connection failed before", method->name);
    if (!ttrpc_append_request(&frame, stream, method, request, err))
        return context(err, method->name);
    client->next_stream += 2;
    client->is_broken = true; /* until a whole answer is here: half a frame leaves no way to go on */
    if (!send_whole(client, buffer_bytes(&frame), deadline, err) ||
        !receive_answer(client, stream, contract->output, deadline, response, err))
        return context(err, method->name);
    return true;
}
