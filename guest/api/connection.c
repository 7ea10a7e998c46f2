#include "guest/api/connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "guest/api/vsock.h"

enum { READ_LEN = 60 << 10, /* with what a buffer adds, 64 KiB */ INPUT_MAX = TTRPC_HEADER_LEN + MESSAGE_LEN_MAX };

struct outstanding_call {
    uint32_t                          stream; /* 0: free slot */
    const ProtobufCMessageDescriptor *type;
    ttrpc_reply_fn                   *reply;
    void                             *owner;
};

struct ttrpc_connection {
    struct ttrpc_connection_options options;
    struct loop_source              port;  /* the descriptor itself */
    struct loop_source              retry; /* a timer, while a port has no host */
    bool                            is_port;
    bool                            is_listening; /* `port` is a socket that no peer has come to yet */
    uint32_t                        host;    /* counts those that went: their tokens are void */
    bool                            has_met; /* a port's host: bytes went or came since it was last waited for */
    bool                            is_over;   /* `closed` was or is being told */
    bool                            is_doomed; /* freed inside a callback: the outermost frame does it */
    unsigned                        depth;     /* of our callbacks on the stack */
    uint32_t                        watched;   /* epoll events asked for */
    struct buffer                   input;
    struct buffer                   output;
    uint32_t                        pending[CONNECTION_PENDING_MAX]; /* stream ids; 0: free slot */
    struct outstanding_call         calls[CONNECTION_CALLS_MAX];
    uint32_t                        next_stream;
};

static void destroy(struct ttrpc_connection *c)
{
    loop_remove(&c->port);
    loop_remove(&c->retry);
    if (c->retry.fd >= 0)
        (void) close(c->retry.fd);
    (void) close(c->port.fd); /* nothing of ours is left to be flushed */
    buffer_free(&c->input);
    buffer_free(&c->output);
    free(c);
}

static void leave(struct ttrpc_connection *c)
{
    c->depth--;
    if (c->depth == 0 && c->is_doomed)
        destroy(c);
}

static void fail_calls(struct ttrpc_connection *c, const struct err *why)
{
    struct err gone = { 0 };

    (void) fail_with(&gone, why->kind == ERR_NONE ? ERR_OS : why->kind, "%s", /* false is what it returns */
                     why->kind == ERR_NONE ? "the peer closed the connection" : why->text);
    for (size_t i = 0; i < CONNECTION_CALLS_MAX && !c->is_doomed; i++) {
        struct outstanding_call call = TAKE(c->calls[i]);

        if (call.stream != 0)
            call.reply(call.owner, NULL, &gone);
    }
}

static void end(struct ttrpc_connection *c, const struct err *why)
{
    if (c->is_over)
        return;
    c->is_over = true;
    loop_remove(&c->port);
    loop_remove(&c->retry);
    ttrpc_drop(&c->output, c->output.len);
    memset(c->pending, 0, sizeof c->pending);
    c->depth++;
    fail_calls(c, why);
    if (!c->is_doomed)
        c->options.closed(c->options.owner, why);
    leave(c);
}

static void watch(struct ttrpc_connection *c)
{
    uint32_t   wanted = c->output.len < CONNECTION_OUTPUT_FULL ? EPOLLIN : 0U;
    struct err err;

    if (c->output.len > 0)
        wanted |= EPOLLOUT;
    if (c->is_over || c->is_listening || !c->port.loop || wanted == c->watched)
        return;
    c->watched = wanted;
    if (!loop_change(&c->port, wanted, &err))
        end(c, &err);
}

/* Sends what the peer takes now; the rest goes when the descriptor is writable. */
static void flush(struct ttrpc_connection *c)
{
    size_t     sent = 0;
    struct err err;

    if (c->is_over || c->is_listening || (c->is_port && !c->port.loop))
        return; /* no one to send to, or none yet */
    while (sent < c->output.len) {
        ssize_t n = ttrpc_write(c->port.fd, c->is_port, (struct bytes){ c->output.at + sent, c->output.len - sent });

        if (n > 0) {
            sent += (size_t) n;
            c->has_met = true;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || errno == EAGAIN)
            break;
        (void) err_os(&err, "write to the peer"); /* false is what it returns */
        end(c, &err);
        return;
    }
    ttrpc_drop(&c->output, sent);
    if (c->output.len == 0)
        buffer_free(&c->output);
    if (c->output.len > CONNECTION_OUTPUT_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "the peer does not take its answers"); /* as above */
        end(c, &err);
        return;
    }
    watch(c);
}

static uint32_t *find_pending(struct ttrpc_connection *c, uint32_t stream)
{
    for (size_t i = 0; i < CONNECTION_PENDING_MAX; i++)
        if (c->pending[i] == stream)
            return &c->pending[i];
    return NULL;
}

bool ttrpc_is_pending(struct ttrpc_pending pending)
{
    return pending.connection && pending.stream != 0 && pending.host == pending.connection->host &&
           find_pending(pending.connection, pending.stream);
}

void ttrpc_refuse(struct ttrpc_pending pending, const struct err *why)
{
    struct ttrpc_connection *c = pending.connection;

    if (!ttrpc_is_pending(pending))
        return;
    *find_pending(c, pending.stream) = 0;
    ttrpc_append_refusal(&c->output, pending.stream, why);
    flush(c);
}

void ttrpc_answer(struct ttrpc_pending pending, const ProtobufCMessage *response)
{
    struct ttrpc_connection *c = pending.connection;
    struct err               err;

    if (!ttrpc_is_pending(pending))
        return;
    *find_pending(c, pending.stream) = 0;
    if (!ttrpc_append_response(&c->output, pending.stream, response, &err))
        ttrpc_append_refusal(&c->output, pending.stream, &err);
    flush(c);
}

static const struct ttrpc_service *find_service(const struct ttrpc_connection *c, const char *name)
{
    if (c->options.service && strcmp(name, c->options.service->name) == 0)
        return c->options.service;
    for (size_t i = 0; i < c->options.n_more; i++)
        if (strcmp(name, c->options.more[i]->name) == 0)
            return c->options.more[i];
    return NULL;
}

static const struct ttrpc_row *find_row(const struct ttrpc_connection *c, const char *method)
{
    for (size_t i = 0; i < c->options.n_rows; i++)
        if (strcmp(method, c->options.rows[i].method) == 0)
            return &c->options.rows[i];
    return NULL;
}

/* What is not in the table is refused, and so is a payload that is not the method's message; neither ends it all. */
static FALLIBLE serve(struct ttrpc_connection *c, struct ttrpc_pending pending, struct bytes message, struct err *err)
{
    AUTO(message) ProtobufCMessage *envelope = NULL;
    AUTO(message) ProtobufCMessage *payload  = NULL;

    if (!ttrpc_request_read(message, &envelope, err))
        return false;
    const Envelope__Request         *request  = (const Envelope__Request *) envelope;
    const struct ttrpc_service      *service  = find_service(c, request->service);
    const struct ttrpc_row          *row      = find_row(c, request->method);
    const ProtobufCMethodDescriptor *contract = service && row ? service_method(service, row->method) : NULL;

    if (!contract)
        return fail_with(err, ERR_UNSUPPORTED, "no such method");
    if (!message_read(contract->input, (struct bytes){ request->payload.data, request->payload.len }, service->form,
                      &payload, err))
        return context(err, row->method);
    if (c->options.admit && !c->options.admit(c->options.owner, row->method, payload, err))
        return false;
    row->serve(c->options.rows_owner ? c->options.rows_owner : c->options.owner, pending, payload);
    return true;
}

static FALLIBLE take_request(struct ttrpc_connection *c, const struct ttrpc_frame *frame, struct err *err)
{
    struct ttrpc_pending pending = { c, frame->stream, c->host };
    uint32_t            *slot    = find_pending(c, 0);
    struct err           why;

    if (find_pending(c, frame->stream))
        return fail_with(err, ERR_MALFORMED, "ttrpc: stream %u is in use", frame->stream);
    if (!slot) {
        (void) fail_with(&why, ERR_LIMIT, "over %d requests wait", CONNECTION_PENDING_MAX); /* false by contract */
        ttrpc_append_refusal(&c->output, frame->stream, &why);
        flush(c);
        return true;
    }
    *slot = frame->stream;
    if (!serve(c, pending, frame->message, &why))
        ttrpc_refuse(pending, &why);
    return true;
}

static FALLIBLE take_response(struct ttrpc_connection *c, const struct ttrpc_frame *frame, struct err *err)
{
    for (size_t i = 0; i < CONNECTION_CALLS_MAX; i++) {
        AUTO(message) ProtobufCMessage *response = NULL;
        struct err                      why      = { 0 };

        if (c->calls[i].stream != frame->stream)
            continue;
        struct outstanding_call call = TAKE(c->calls[i]);
        if (ttrpc_response_read(frame->message, call.type, &response, &why))
            call.reply(call.owner, response, &why);
        else
            call.reply(call.owner, NULL, &why);
        return true;
    }
    return fail_with(err, ERR_MALFORMED, "ttrpc: answer on stream %u, which waits for none", frame->stream);
}

/* Serves every whole frame that is here, as long as the peer takes the answers. */
static void take_frames(struct ttrpc_connection *c)
{
    size_t done = 0;

    while (!c->is_over && !c->is_doomed && c->output.len < CONNECTION_OUTPUT_FULL) {
        struct ttrpc_frame frame = { 0 };
        struct bytes       left  = { c->input.at + done, c->input.len - done };
        size_t             used;
        struct err         err;

        if (left.len == 0)
            break;
        bool is_good = ttrpc_frame_read(left, &frame, &used, &err);
        if (is_good && used == 0)
            break;
        is_good = is_good && (frame.type == TTRPC_REQUEST ? take_request(c, &frame, &err)
                                                          : take_response(c, &frame, &err));
        if (!is_good) {
            end(c, &err);
            return;
        }
        done += used;
    }
    ttrpc_drop(&c->input, done);
    if (c->input.len == 0)
        buffer_free(&c->input); /* room for a read is more than all else that a process holds which waits */
}

/* The host's end of a port is closed: what was half said is void, and epoll would report it without pause. */
static void wait_for_host(struct ttrpc_connection *c)
{
    struct err err;

    if (c->has_met) {
        c->has_met    = false;
        c->host++;
        ttrpc_drop(&c->input, c->input.len);
        ttrpc_drop(&c->output, c->output.len);
        memset(c->pending, 0, sizeof c->pending);
        (void) fail_with(&err, ERR_OS, "the host closed the port"); /* false is what it returns */
        fail_calls(c, &err);
    }
    if (c->is_over || c->is_doomed)
        return;
    loop_remove(&c->port);
    if (c->retry.fd < 0 && !loop_timer_fd(CONNECTION_RETRY_MS, CONNECTION_RETRY_MS, &c->retry.fd, &err))
        end(c, &err);
    else if (!c->retry.loop && !loop_add(c->options.loop, &c->retry, EPOLLIN, &err))
        end(c, &err);
}

static void on_retry(struct loop_source *source, uint32_t events)
{
    struct ttrpc_connection *c = source->owner;
    uint64_t                 n;
    struct err               err;

    (void) events;
    if (read(source->fd, &n, sizeof n) < 0 && errno != EAGAIN)
        return;
    loop_remove(&c->retry);
    c->watched = c->output.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (!loop_add(c->options.loop, &c->port, c->watched, &err))
        end(c, &err);
}

static void read_port(struct ttrpc_connection *c)
{
    struct err why  = { 0 };
    size_t     had  = c->input.len;
    size_t     room = had < INPUT_MAX ? INPUT_MAX - had : 0;

    if (room == 0)
        return;
    room         = room < READ_LEN ? room : READ_LEN;
    ssize_t n    = read(c->port.fd, buffer_extend(&c->input, room), room);
    c->input.len = had + (n > 0 ? (size_t) n : 0);
    if (n <= 0 && had == 0)
        buffer_free(&c->input);
    if (n > 0) {
        c->has_met = true;
        take_frames(c);
    } else if (n == 0 && c->is_port) {
        wait_for_host(c);
    } else if (n == 0) {
        end(c, &why);
    } else if (errno != EAGAIN && errno != EINTR) {
        (void) err_os(&why, "read from the peer"); /* false is what it returns */
        end(c, &why);
    }
}

/* One peer is all that may come: the listener is closed behind it. A stranger is sent away. */
static void meet_peer(struct ttrpc_connection *c)
{
    AUTO(fd) int fd = accept4(c->port.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct err   err;

    if (fd < 0 || !vsock_is_guest(c->port.fd, fd))
        return; /* it was gone again, or is nobody of ours; the listener stays */
    loop_remove(&c->port);
    (void) close(c->port.fd); /* nothing was written to it */
    c->port.fd      = TAKE_FD(fd);
    c->is_listening = false;
    c->watched      = EPOLLIN;
    if (!loop_add(c->options.loop, &c->port, c->watched, &err))
        end(c, &err);
    else
        flush(c);
}

static void on_port(struct loop_source *source, uint32_t events)
{
    struct ttrpc_connection *c = source->owner;

    c->depth++;
    if (c->is_listening) {
        meet_peer(c);
        leave(c);
        return;
    }
    if (events & EPOLLOUT) {
        flush(c);
        take_frames(c); /* those that waited for room in the output */
    }
    if (!c->is_over && !c->is_doomed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        read_port(c);
    if (!c->is_over && !c->is_doomed)
        watch(c);
    leave(c);
}

FALLIBLE ttrpc_connection_new(const struct ttrpc_connection_options *options, int fd_take,
                              struct ttrpc_connection **out, struct err *err)
{
    AUTO(fd) int fd    = fd_take;
    int          flags = fcntl(fd, F_GETFL);
    int          listens = 0;
    socklen_t    len     = sizeof listens;
    struct stat  about;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fstat(fd, &about) < 0)
        return err_os(err, "ttrpc connection on descriptor %d", fd);

    struct ttrpc_connection *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->options     = *options;
    c->is_port     = S_ISCHR(about.st_mode);
    c->next_stream = 1;
    c->input       = c->output = (struct buffer) WIPED_BUFFER;
    c->is_listening = S_ISSOCK(about.st_mode) && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
    c->watched     = EPOLLIN;
    c->port        = (struct loop_source){ .fd = TAKE_FD(fd), .ready = on_port, .owner = c };
    c->retry       = (struct loop_source){ .fd = NO_FD, .ready = on_retry, .owner = c };
    if (!loop_add(options->loop, &c->port, EPOLLIN, err)) {
        destroy(c);
        return false;
    }
    *out = c;
    return true;
}

bool ttrpc_connection_is_over(const struct ttrpc_connection *connection)
{
    return connection->is_over;
}

bool ttrpc_connection_is_idle(const struct ttrpc_connection *connection)
{
    bool is_idle = connection->input.len == 0 && connection->output.len == 0;

    for (size_t i = 0; i < CONNECTION_PENDING_MAX; i++)
        is_idle = is_idle && connection->pending[i] == 0;
    for (size_t i = 0; i < CONNECTION_CALLS_MAX; i++)
        is_idle = is_idle && connection->calls[i].stream == 0;
    return is_idle;
}

void ttrpc_connection_free(struct ttrpc_connection *connection)
{
    if (!connection)
        return;
    connection->is_over = true;
    connection->is_doomed = true;
    loop_remove(&connection->port);
    loop_remove(&connection->retry);
    if (connection->depth == 0)
        destroy(connection);
}

FALLIBLE ttrpc_connection_call(struct ttrpc_connection *connection, const struct ttrpc_method *method,
                               const ProtobufCMessage *request, ttrpc_reply_fn *reply, void *owner, struct err *err)
{
    const ProtobufCMethodDescriptor *contract = service_method(method->service, method->name);
    struct outstanding_call         *slot     = NULL;

    assert(contract && request->descriptor == contract->input);
    if (connection->is_over || connection->next_stream > UINT32_MAX - 2)
        return fail_with(err, ERR_OS, "%s: the connection is over", method->name);
    for (size_t i = 0; i < CONNECTION_CALLS_MAX && !slot; i++)
        slot = connection->calls[i].stream == 0 ? &connection->calls[i] : NULL;
    if (!slot)
        return fail_with(err, ERR_LIMIT, "%s: over %d calls wait", method->name, CONNECTION_CALLS_MAX);
    if (!ttrpc_append_request(&connection->output, connection->next_stream, method, request, err))
        return context(err, method->name);
    *slot = (struct outstanding_call){ connection->next_stream, contract->output, reply, owner };
    connection->next_stream += 2;
    flush(connection);
    return true;
}
