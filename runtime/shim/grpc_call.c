#include "runtime/shim/grpc_call.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/text.h"
#include "guest/api/status.h"

struct exchange {
    int           fd;
    struct bytes  request;     /* what of the body is not sent yet */
    struct buffer answer;
    long          grpc_status; /* -1: not there yet */
    struct buffer grpc_message;
    bool          is_over, is_too_long;
};

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags, void *owner)
{
    struct exchange *x = owner;
    ssize_t          n = send(x->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

    (void) session;
    (void) flags;
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static ssize_t on_read_body(nghttp2_session *session, int32_t stream, uint8_t *into, size_t most, uint32_t *flags,
                            nghttp2_data_source *source, void *owner)
{
    struct exchange *x = owner;
    size_t           n = x->request.len < most ? x->request.len : most;

    (void) session;
    (void) stream;
    (void) source;
    memcpy(into, x->request.at, n);
    x->request.at += n;
    x->request.len -= n;
    if (x->request.len == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t) n;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *owner)
{
    struct exchange *x = owner;

    (void) session;
    (void) flags;
    (void) stream;
    if (x->answer.len + len > GRPC_ANSWER_MAX) {
        x->is_too_long = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    buffer_append(&x->answer, (struct bytes){ data, len });
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *owner)
{
    struct exchange *x = owner;

    (void) session;
    (void) frame;
    (void) flags;
    if (bytes_equal((struct bytes){ name, name_len }, bytes_of_text("grpc-status"))) {
        AUTO(buffer) struct buffer text = { 0 };

        buffer_append(&text, (struct bytes){ value, value_len });
        x->grpc_status = strtol(buffer_text(&text), NULL, 10);
    } else if (bytes_equal((struct bytes){ name, name_len }, bytes_of_text("grpc-message"))) {
        x->grpc_message.len = 0;
        printable_append(&x->grpc_message, (struct bytes){ value, value_len }, 160);
    }
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t stream, uint32_t code, void *owner)
{
    (void) session;
    (void) stream;
    (void) code;
    ((struct exchange *) owner)->is_over = true;
    return 0;
}

static void auto_session(nghttp2_session **session)
{
    nghttp2_session_del(*session);
}

static FALLIBLE open_session(struct exchange *x, nghttp2_session **out, struct err *err)
{
    nghttp2_session_callbacks *callbacks = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return fail_with(err, ERR_LIMIT, "out of memory");
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    int result = nghttp2_session_client_new(out, callbacks, x);
    nghttp2_session_callbacks_del(callbacks);
    return result == 0 || fail_with(err, ERR_LIMIT, "HTTP/2: %s", nghttp2_strerror(result));
}

#define HEADER(name, value)                                                                                     \
    { (uint8_t *) (uintptr_t) (name), (uint8_t *) (uintptr_t) (value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE }

static FALLIBLE submit(nghttp2_session *session, const struct grpc_call *call, struct err *err)
{
    nghttp2_nv headers[] = {
        HEADER(":method", "POST"),
        HEADER(":scheme", "http"),
        HEADER(":path", call->method),
        HEADER(":authority", "localhost"),
        HEADER("content-type", "application/grpc"),
        HEADER("te", "trailers"),
        HEADER("containerd-namespace", call->namespace ? call->namespace : ""),
    };
    nghttp2_data_provider body = { .read_callback = on_read_body };
    size_t                n    = sizeof headers / sizeof *headers - (call->namespace ? 0 : 1);

    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0) != 0 ||
        nghttp2_submit_request(session, NULL, headers, n, &body, NULL) < 0)
        return fail_with(err, ERR_LIMIT, "HTTP/2: no request could be made");
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static FALLIBLE receive(nghttp2_session *session, struct exchange *x, struct err *err)
{
    uint8_t piece[16 << 10];
    ssize_t n = recv(x->fd, piece, sizeof piece, MSG_DONTWAIT);

    if (n == 0)
        return fail_with(err, ERR_OS, "the server closed the connection");
    if (n < 0)
        return errno == EAGAIN || errno == EINTR || err_os(err, "receive");
    n = nghttp2_session_mem_recv(session, piece, (size_t) n);
    if (x->is_too_long)
        return fail_with(err, ERR_LIMIT, "an answer over %d bytes", GRPC_ANSWER_MAX);
    return n >= 0 || fail_with(err, ERR_MALFORMED, "HTTP/2: %s", nghttp2_strerror((int) n));
}

static FALLIBLE run(nghttp2_session *session, struct exchange *x, int64_t deadline, struct err *err)
{
    while (!x->is_over) {
        int           sent = nghttp2_session_send(session);
        int64_t       left = deadline - now_ms();
        struct pollfd port = { .fd = x->fd, .events = POLLIN };

        if (sent != 0)
            return fail_with(err, ERR_OS, "HTTP/2: %s", nghttp2_strerror(sent));
        if (left <= 0)
            return fail_with(err, ERR_TIMEOUT, "no answer in time");
        if (nghttp2_session_want_write(session))
            port.events |= POLLOUT;
        if (poll(&port, 1, (int) left) < 0 && errno != EINTR)
            return err_os(err, "poll");
        if ((port.revents & (POLLIN | POLLHUP | POLLERR)) && !receive(session, x, err))
            return false;
    }
    return true;
}

static FALLIBLE connect_to(const char *path, int *out, struct err *err)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    AUTO(fd) int       fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_os(err, "socket");
    if (strlen(path) >= sizeof at.sun_path)
        return fail_with(err, ERR_LIMIT, "socket path over %zu bytes", sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *) &at, sizeof at) < 0)
        return err_os(err, "connect to %.80s", path);
    *out = TAKE_FD(fd);
    return true;
}

FALLIBLE grpc_body_read(struct bytes body, struct bytes *message, struct err *err)
{
    struct reader r          = reader_over(body);
    uint8_t       compressed = take_u8(&r);
    uint32_t      len        = take_u32be(&r);
    struct bytes  found      = take(&r, len);

    if (!reader_done(&r, err))
        return context(err, "gRPC message");
    if (compressed != 0)
        return fail_with(err, ERR_UNSUPPORTED, "gRPC message: compressed");
    *message = found;
    return true;
}

FALLIBLE grpc_call(const struct grpc_call *call, const ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out, struct err *err)
{
    __attribute__((cleanup(auto_session))) nghttp2_session *session = NULL;
    AUTO(buffer) struct buffer body = { 0 }, message = { 0 };
    struct exchange            x    = { .fd = NO_FD, .grpc_status = -1 };
    struct bytes               answer;
    bool                       is_good;

    message_append(&message, request);
    uint8_t head[5] = { 0, (uint8_t) (message.len >> 24), (uint8_t) (message.len >> 16), (uint8_t) (message.len >> 8),
                        (uint8_t) message.len };
    buffer_append(&body, BYTES_OF(head));
    buffer_append(&body, buffer_bytes(&message));
    x.request = buffer_bytes(&body);
    is_good   = connect_to(call->socket_path, &x.fd, err) && open_session(&x, &session, err) &&
              submit(session, call, err) && run(session, &x, now_ms() + call->timeout_ms, err);
    if (is_good && x.grpc_status != 0)
        is_good = fail_with(err, x.grpc_status > 0 ? status_kind((int32_t) x.grpc_status) : ERR_MALFORMED, "%s",
                            x.grpc_message.len > 0 ? buffer_text(&x.grpc_message) : "no status");
    is_good = is_good && grpc_body_read(buffer_bytes(&x.answer), &answer, err) &&
              message_read(type, answer, MESSAGE_LOOSE, out, err);
    auto_fd(&x.fd);
    buffer_free(&x.answer);
    buffer_free(&x.grpc_message);
    return is_good || contextf(err, "%s", call->method);
}
