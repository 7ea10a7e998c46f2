#include "runtime/sandbox/tunnel_service.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/*
 * Theory of operation: each connection is a non-blocking socket. At most one Receive and one Send of the guest wait
 * for it; the socket is watched for exactly what is waited for, so a fast peer fills the kernel's buffers, not ours.
 */
struct tunnel_connection {
    struct tunnel_service *service;
    struct loop_source     source;       /* fd is NO_FD while the slot is free */
    uint32_t               id;
    bool                   is_connecting;
    bool                   has_reader, has_writer, has_opener;
    struct ttrpc_pending   reader, writer, opener;
    uint32_t               reader_most;
    struct buffer          to_send;      /* the writer's bytes; `sent` of them have left */
    size_t                 sent;
};

struct tunnel_service {
    struct loop              *loop;
    struct ttrpc_connection  *port;
    struct addrinfo          *addresses;
    uint32_t                  next_id;
    struct tunnel_connection  connections[TUNNEL_CONNECTIONS_MAX];
};

FALLIBLE broker_address_read(const char *url, struct broker_address *out, struct err *err)
{
    const char *host     = strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
    bool        is_ipv6  = host && host[0] == '[';
    size_t      host_len = host ? strcspn(host + is_ipv6, is_ipv6 ? "]" : ":/") : 0;
    const char *rest     = host ? host + is_ipv6 + host_len : NULL;
    const char *tail;
    size_t      port_len;

    if (rest && is_ipv6)
        rest = rest[0] == ']' ? rest + 1 : NULL;
    if (!rest || host_len == 0 || host_len >= sizeof out->host || (rest[0] != 0 && rest[0] != ':' && rest[0] != '/'))
        return fail_with(err, ERR_CONFIG, "broker URL \"%s\": https://HOST[:PORT] is wanted", url);
    port_len = rest[0] == ':' ? strspn(rest + 1, "0123456789") : 0;
    tail = rest + (rest[0] == ':') + port_len;
    if ((rest[0] == ':' && (port_len == 0 || port_len >= sizeof out->port)) || (tail[0] != 0 && strcmp(tail, "/") != 0))
        return fail_with(err, ERR_CONFIG, "broker URL \"%s\": https://HOST[:PORT] is wanted", url);
    *out = (struct broker_address){ 0 };
    memcpy(out->host, host + is_ipv6, host_len);
    memcpy(out->port, port_len > 0 ? rest + 1 : "443", port_len > 0 ? port_len : 3);
    return true;
}

static void watch(struct tunnel_connection *c)
{
    uint32_t   events = (c->has_reader ? EPOLLIN : 0U) | (c->has_writer || c->is_connecting ? EPOLLOUT : 0U);
    struct err err;

    if (c->source.loop && !events) { /* an error event would come again and again with no one to tell */
        loop_remove(&c->source);
    } else if (c->source.loop ? !loop_change(&c->source, events, &err)
                              : events && !loop_add(c->service->loop, &c->source, events, &err)) {
        if (c->has_reader)
            ttrpc_refuse(c->reader, &err);
        c->has_reader = false;
    }
}

static void end_connection(struct tunnel_connection *c, const struct err *why)
{
    if (c->has_reader)
        ttrpc_refuse(c->reader, why);
    if (c->has_writer)
        ttrpc_refuse(c->writer, why);
    if (c->has_opener)
        ttrpc_refuse(c->opener, why);
    loop_remove(&c->source);
    auto_fd(&c->source.fd);
    buffer_free(&c->to_send);
    *c = (struct tunnel_connection){ .service = c->service, .source = { .fd = NO_FD } };
}

static void fail_connection(struct tunnel_connection *c, const char *what)
{
    struct err err;

    (void) err_os(&err, "broker connection: %s", what); /* only fills the record */
    end_connection(c, &err);
}

static void finish_connect(struct tunnel_connection *c)
{
    Tunnel__OpenResponse response = TUNNEL__OPEN_RESPONSE__INIT;
    int                  why      = 0;
    socklen_t            len      = sizeof why;

    if (getsockopt(c->source.fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 || why != 0) {
        errno = why ? why : errno;
        fail_connection(c, "connect");
        return;
    }
    c->is_connecting = false;
    c->has_opener    = false;
    response.id      = c->id;
    ttrpc_answer(c->opener, &response.base);
    watch(c);
}

static void send_more(struct tunnel_connection *c)
{
    Tunnel__SendResponse response = TUNNEL__SEND_RESPONSE__INIT;
    ssize_t n = send(c->source.fd, c->to_send.at + c->sent, c->to_send.len - c->sent, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fail_connection(c, "send");
        return;
    }
    c->sent += n > 0 ? (size_t) n : 0;
    if (c->sent < c->to_send.len)
        return;
    c->has_writer = false;
    ttrpc_answer(c->writer, &response.base);
    watch(c);
}

static void receive_more(struct tunnel_connection *c)
{
    Tunnel__ReceiveResponse    response = TUNNEL__RECEIVE_RESPONSE__INIT;
    AUTO(buffer) struct buffer piece    = { 0 };
    ssize_t                    n = recv(c->source.fd, buffer_grow(&piece, c->reader_most), c->reader_most, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        fail_connection(c, "receive");
        return;
    }
    response.data = (ProtobufCBinaryData){ (size_t) n, piece.at };
    response.eof  = n == 0;
    c->has_reader = false;
    ttrpc_answer(c->reader, &response.base);
    watch(c);
}

static void connection_ready(struct loop_source *source, uint32_t events)
{
    struct tunnel_connection *c = source->owner;

    if (c->is_connecting) {
        finish_connect(c);
        return;
    }
    if (c->has_writer && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        send_more(c);
    if (c->source.fd >= 0 && c->has_reader && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        receive_more(c);
}

static struct tunnel_connection *find(struct tunnel_service *service, uint32_t id)
{
    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        if (service->connections[i].source.fd >= 0 && service->connections[i].id == id)
            return &service->connections[i];
    return NULL;
}

static void refuse(struct ttrpc_pending pending, enum err_kind kind, const char *what)
{
    struct err err;

    (void) fail_with(&err, kind, "broker connection: %s", what); /* only fills the record */
    ttrpc_refuse(pending, &err);
}

static void serve_open(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct tunnel_service    *service = owner;
    struct tunnel_connection *c       = NULL;
    struct addrinfo          *to      = service->addresses;

    (void) message; /* it has no fields */
    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX && !c; i++)
        if (service->connections[i].source.fd < 0)
            c = &service->connections[i];
    if (!c) {
        refuse(pending, ERR_LIMIT, "too many at once");
        return;
    }
    c->source = (struct loop_source){ .fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                                      .ready = connection_ready, .owner = c };
    c->id            = service->next_id++;
    c->opener        = pending;
    c->has_opener    = true;
    c->is_connecting = true;
    if (c->source.fd < 0 || (connect(c->source.fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS))
        fail_connection(c, "connect");
    else
        watch(c);
}

static void serve_send(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Tunnel__SendRequest *request = (const Tunnel__SendRequest *) message;
    struct tunnel_connection  *c       = find(owner, request->id);

    if (!c || c->is_connecting || c->has_writer || request->data.len == 0 || request->data.len > TRANSFER_LEN_MAX) {
        refuse(pending, c ? ERR_LIMIT : ERR_NOT_FOUND, c ? "not now, or not so much" : "no such connection");
        return;
    }
    c->to_send.len = 0;
    c->sent        = 0;
    buffer_append(&c->to_send, (struct bytes){ request->data.data, request->data.len });
    c->writer     = pending;
    c->has_writer = true;
    watch(c);
}

static void serve_receive(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Tunnel__ReceiveRequest *request = (const Tunnel__ReceiveRequest *) message;
    struct tunnel_connection     *c       = find(owner, request->id);

    if (!c || c->is_connecting || c->has_reader || request->most == 0 || request->most > TRANSFER_LEN_MAX) {
        refuse(pending, c ? ERR_LIMIT : ERR_NOT_FOUND, c ? "not now, or not so much" : "no such connection");
        return;
    }
    c->reader      = pending;
    c->reader_most = request->most;
    c->has_reader  = true;
    watch(c);
}

static void serve_close(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Tunnel__CloseRequest *request  = (const Tunnel__CloseRequest *) message;
    struct tunnel_connection   *c        = find(owner, request->id);
    Tunnel__CloseResponse       response = TUNNEL__CLOSE_RESPONSE__INIT;
    struct err                  err;

    if (c) {
        (void) fail_with(&err, ERR_NOT_FOUND, "broker connection: closed"); /* only fills the record */
        end_connection(c, &err);
    }
    ttrpc_answer(pending, &response.base);
}

/* The VM's own end is seen elsewhere; open connections are closed with the service. */
static void port_closed(void *owner, const struct err *why)
{
    (void) owner;
    (void) why;
}

static FALLIBLE resolve(const char *url, struct addrinfo **out, struct err *err)
{
    struct addrinfo       hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct broker_address address;
    int                   why;

    if (!broker_address_read(url, &address, err))
        return false;
    why = getaddrinfo(address.host, address.port, &hints, out);
    return why == 0 || fail_with(err, ERR_NOT_FOUND, "broker host %s: %s", address.host, gai_strerror(why));
}

FALLIBLE tunnel_service_new(struct loop *loop, const char *broker_url, int fd_take, struct tunnel_service **out,
                            struct err *err)
{
    static const struct ttrpc_row rows[] = { { "Open", serve_open }, { "Send", serve_send },
                                             { "Receive", serve_receive }, { "Close", serve_close } };
    AUTO(fd) int                                fd      = fd_take;
    AUTO(tunnel_service) struct tunnel_service *service = calloc(1, sizeof *service);

    if (!service)
        abort();
    service->loop    = loop;
    service->next_id = 1;
    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        service->connections[i] = (struct tunnel_connection){ .service = service, .source = { .fd = NO_FD } };

    struct ttrpc_connection_options options = { .loop = loop, .service = &tunnel_service, .rows = rows, .n_rows = 4,
                                                .closed = port_closed, .owner = service };

    if (!resolve(broker_url, &service->addresses, err) ||
        !ttrpc_connection_new(&options, TAKE_FD(fd), &service->port, err))
        return false;
    *out = TAKE(service);
    return true;
}

void tunnel_service_free(struct tunnel_service *service)
{
    struct err err;

    if (!service)
        return;
    (void) fail_with(&err, ERR_NOT_FOUND, "broker connection: closed"); /* only fills the record */
    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        if (service->connections[i].source.fd >= 0)
            end_connection(&service->connections[i], &err);
    ttrpc_connection_free(service->port);
    if (service->addresses)
        freeaddrinfo(service->addresses);
    free(service);
}
