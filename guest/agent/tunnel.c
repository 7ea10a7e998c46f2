#include "guest/agent/tunnel.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest/api/connection.h"
#include "guest/init/heap.h"

enum { PIECE_LEN = 64 << 10, ANSWER_TEXT_MAX = 255, CONNECT_TIMEOUT_S = 60 };

static const struct ttrpc_method open_method    = { &tunnel_service, "Open" };
static const struct ttrpc_method send_method    = { &tunnel_service, "Send" };
static const struct ttrpc_method receive_method = { &tunnel_service, "Receive" };
static const struct ttrpc_method close_method   = { &tunnel_service, "Close" };

/* What the tunnel answers to a request for a connection: an error kind (0: open), then text. */
struct answer {
    int32_t kind;
    char    text[ANSWER_TEXT_MAX + 1];
};

struct flow {
    struct tunnel     *tunnel;
    struct loop_source local;      /* our end of the stream socket; NO_FD: the slot is free */
    uint32_t           id;         /* the host's number for it */
    unsigned           n_calls;    /* that still will tell us their outcome: the slot cannot be used again before */
    bool               is_open;
    bool               has_ended;
};

struct tunnel {
    struct loop             *loop;
    struct ttrpc_connection *host;
    struct loop_source       control;
    struct flow              flows[TUNNEL_CONNECTIONS_MAX];
};

static void answer_request(struct tunnel *t, const struct err *why)
{
    struct answer answer = { .kind = why ? (int32_t) why->kind : 0 };

    if (why)
        (void) snprintf(answer.text, sizeof answer.text, "%s", why->text); /* a cut reason will do */
    if (send(t->control.fd, &answer, sizeof answer, MSG_NOSIGNAL) < 0)
        loop_stop(t->loop);
}

/* Counts the call before it is made: when the connection ends, its outcome is told before this returns. */
static bool call(struct flow *flow, const struct ttrpc_method *method, const ProtobufCMessage *request,
                 ttrpc_reply_fn *reply, struct err *err)
{
    flow->n_calls++;
    if (ttrpc_connection_call(flow->tunnel->host, method, request, reply, flow, err))
        return true;
    flow->n_calls--;
    return false;
}

static void ignore_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct flow *flow = owner;

    (void) response;
    (void) why;
    flow->n_calls--;
}

static void end_flow(struct flow *flow)
{
    Tunnel__CloseRequest request = TUNNEL__CLOSE_REQUEST__INIT;
    struct err           err;

    if (flow->has_ended)
        return;
    flow->has_ended = true;
    loop_remove(&flow->local);
    (void) close(TAKE_FD(flow->local.fd)); /* all that came was written to it */
    heap_give_back();                      /* it may be long until the next */
    request.id = flow->id;
    if (flow->is_open && !call(flow, &close_method, &request.base, ignore_reply, &err))
        loop_stop(flow->tunnel->loop); /* the host is gone, or does not answer */
}

static bool write_local(const struct flow *flow, struct bytes b)
{
    while (b.len > 0) { /* blocking: the reader is the keeper, and what is owed is bounded by one message */
        ssize_t n = send(flow->local.fd, b.at, b.len, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            b = (struct bytes){ b.at + n, b.len - (size_t) n };
    }
    return true;
}

static void ask_for_more(struct flow *flow);

static void on_received(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct flow                   *flow   = owner;
    const Tunnel__ReceiveResponse *answer = (const Tunnel__ReceiveResponse *) response;

    (void) why; /* the socket's end is all that its reader can be told */
    flow->n_calls--;
    if (flow->has_ended)
        return;
    if (!answer || answer->data.len > TRANSFER_LEN_MAX ||
        !write_local(flow, (struct bytes){ answer->data.data, answer->data.len }) || answer->eof)
        end_flow(flow);
    else
        ask_for_more(flow);
}

static void ask_for_more(struct flow *flow)
{
    Tunnel__ReceiveRequest request = TUNNEL__RECEIVE_REQUEST__INIT;
    struct err             err;

    request.id   = flow->id;
    request.most = TRANSFER_LEN_MAX;
    if (!call(flow, &receive_method, &request.base, on_received, &err))
        end_flow(flow);
}

static void on_sent(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct flow *flow = owner;
    struct err   err;

    (void) why;
    flow->n_calls--;
    if (flow->has_ended)
        return;
    if (!response || !loop_add(flow->tunnel->loop, &flow->local, EPOLLIN, &err))
        end_flow(flow);
}

static void on_local(struct loop_source *source, uint32_t events)
{
    struct flow        *flow    = source->owner;
    Tunnel__SendRequest request = TUNNEL__SEND_REQUEST__INIT;
    static uint8_t      piece[PIECE_LEN]; /* of the one thread: on its stack it would be cleared at each call */
    struct err          err;

    (void) events;
    ssize_t n = recv(source->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end_flow(flow);
        return;
    }
    loop_remove(source); /* until the host has taken this piece: one Send at a time keeps the order */
    request.id   = flow->id;
    request.data = (ProtobufCBinaryData){ (size_t) n, piece };
    if (!call(flow, &send_method, &request.base, on_sent, &err))
        end_flow(flow);
}

static void on_opened(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct flow                *flow   = owner;
    const Tunnel__OpenResponse *answer = (const Tunnel__OpenResponse *) response;
    struct err                  err;

    flow->n_calls--;
    if (!answer) {
        end_flow(flow);
        answer_request(flow->tunnel, why);
        return;
    }
    flow->id      = answer->id;
    flow->is_open = true;
    if (!loop_add(flow->tunnel->loop, &flow->local, EPOLLIN, &err)) {
        end_flow(flow);
        answer_request(flow->tunnel, &err);
        return;
    }
    answer_request(flow->tunnel, NULL);
    ask_for_more(flow);
}

static FALLIBLE open_flow(struct tunnel *t, int fd_take, struct err *err)
{
    AUTO(fd) int        fd      = fd_take;
    Tunnel__OpenRequest request = TUNNEL__OPEN_REQUEST__INIT;

    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX; i++) {
        struct flow *flow = &t->flows[i];

        if (flow->local.fd >= 0 || flow->n_calls > 0)
            continue;
        *flow       = (struct flow){ .tunnel = t };
        flow->local = (struct loop_source){ .fd = TAKE_FD(fd), .ready = on_local, .owner = flow };
        if (call(flow, &open_method, &request.base, on_opened, err))
            return true;
        auto_fd(&flow->local.fd);
        flow->local.fd = NO_FD;
        return false;
    }
    return fail_with(err, ERR_LIMIT, "over %d connections", TUNNEL_CONNECTIONS_MAX);
}

/* A request is one byte that carries the other end of a stream socket. */
static void on_control(struct loop_source *source, uint32_t events)
{
    struct tunnel *t = source->owner;
    char           byte;
    union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec   part    = { &byte, 1 };
    struct msghdr  message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                               .msg_controllen = sizeof control };
    struct err     err;
    int            fd;

    (void) events;
    ssize_t n = recvmsg(source->fd, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof fd)) {
        loop_stop(t->loop); /* the agent's other process is gone */
        return;
    }
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    if (!open_flow(t, fd, &err))
        answer_request(t, &err);
}

static void on_host_closed(void *owner, const struct err *why)
{
    struct tunnel *t = owner;

    (void) why; /* every flow was told through its own call */
    loop_stop(t->loop);
}

int tunnel_run(int control_fd, int port_fd)
{
    struct tunnel                   t       = { 0 };
    struct ttrpc_connection_options options = { .closed = on_host_closed, .owner = &t };
    struct err                      err;

    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        t.flows[i].local.fd = NO_FD;
    t.control = (struct loop_source){ .fd = control_fd, .ready = on_control, .owner = &t };
    if (!loop_new(&t.loop, &err))
        return 1;
    options.loop = t.loop;
    bool is_good = ttrpc_connection_new(&options, port_fd, &t.host, &err) &&
                   loop_add(t.loop, &t.control, EPOLLIN, &err) && loop_run(t.loop, &err);
    ttrpc_connection_free(t.host);
    loop_free(t.loop);
    for (size_t i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        auto_fd(&t.flows[i].local.fd);
    (void) close(control_fd); /* nothing is left to be said */
    return is_good ? 0 : 1;
}

static FALLIBLE send_end(int control_fd, int fd, struct err *err)
{
    char           byte = 'c';
    union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control = { .room = { 0 } };
    struct iovec   part    = { &byte, 1 };
    struct msghdr  message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                               .msg_controllen = sizeof control };
    struct cmsghdr *head   = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type  = SCM_RIGHTS;
    head->cmsg_len   = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(control_fd, &message, MSG_NOSIGNAL) == 1 || err_os(err, "tunnel");
}

int tunnel_connect(int control_fd, struct err *err)
{
    static const struct timeval patience = { .tv_sec = CONNECT_TIMEOUT_S };
    AUTO(fd) int                ours = NO_FD, theirs = NO_FD;
    struct answer               answer = { 0 };
    int                         ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
        setsockopt(control_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
        (void) err_os(err, "tunnel"); /* false is what it returns */
        return NO_FD;
    }
    ours   = ends[0];
    theirs = ends[1];
    if (!send_end(control_fd, theirs, err))
        return NO_FD;
    ssize_t n = recv(control_fd, &answer, sizeof answer, 0);
    if (n < 0) {
        (void) err_os(err, "tunnel"); /* as above */
        return NO_FD;
    }
    answer.text[ANSWER_TEXT_MAX] = 0;
    if (n != (ssize_t) sizeof answer || answer.kind != 0) {
        (void) fail_with(err, n > 0 ? (enum err_kind) answer.kind : ERR_OS, "tunnel: %s",
                         n > 0 ? answer.text : "gone"); /* as above */
        return NO_FD;
    }
    return TAKE_FD(ours);
}
