#include "keys/grpc/grpc_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BLOCK_LEN = 64 << 10, UNSENT_MAX = 4 << 20 }; /* bytes that a peer may leave unread before nothing more is read from it */

struct connection {
    struct loop_source   source; /* fd NO_FD: free */
    struct grpc_session *session;
    struct buffer        unsent;
};

struct grpc_server {
    struct loop      *loop;
    struct loop_source listener;
    grpc_call_fn     *call;
    void             *owner;
    struct sockaddr_un address; /* sun_path "": on the loopback */
    char               where[GRPC_ADDRESS_MAX];
    struct connection  connections[GRPC_CONNECTIONS_MAX];
};

static void hang_up(struct connection *c)
{
    loop_remove(&c->source);
    auto_fd(&c->source.fd);
    c->source.fd = NO_FD;
    grpc_session_free(TAKE(c->session));
    buffer_free(&c->unsent);
}

/* False when the peer is gone. */
static bool send_unsent(struct connection *c)
{
    while (c->unsent.len > 0) {
        ssize_t n = send(c->source.fd, c->unsent.at, c->unsent.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        memmove(c->unsent.at, c->unsent.at + n, c->unsent.len - (size_t) n);
        c->unsent.len -= (size_t) n;
    }
    return true;
}

/* False when the peer is gone, or said what cannot be understood. */
static bool receive(struct connection *c)
{
    uint8_t    block[BLOCK_LEN];
    struct err err;
    ssize_t    n = recv(c->source.fd, block, sizeof block, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && grpc_session_feed(c->session, (struct bytes){ block, (size_t) n }, &c->unsent, &err);
}

static void connection_is_ready(struct loop_source *source, uint32_t events)
{
    struct connection *c = source->owner;
    struct err         err;

    bool is_alive = !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || receive(c);
    is_alive      = send_unsent(c) && is_alive;
    uint32_t wanted = (c->unsent.len < UNSENT_MAX ? EPOLLIN : 0u) | (c->unsent.len > 0 ? EPOLLOUT : 0u);
    if (!is_alive || !loop_change(source, wanted, &err))
        hang_up(c);
}

static void peer_came(struct loop_source *source, uint32_t events)
{
    struct grpc_server *s  = source->owner;
    AUTO(fd) int        fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct connection  *c  = NULL;
    struct err          err;

    (void) events;
    for (size_t i = 0; i < GRPC_CONNECTIONS_MAX; i++)
        if (s->connections[i].source.fd < 0)
            c = &s->connections[i];
    if (fd < 0 || !c || !grpc_session_new(s->call, s->owner, &c->session, &err))
        return; /* one too many is closed */
    c->source = (struct loop_source){ .fd = TAKE_FD(fd), .ready = connection_is_ready, .owner = c };
    if (!grpc_session_feed(c->session, (struct bytes){ 0 }, &c->unsent, &err) ||
        !loop_add(s->loop, &c->source, EPOLLIN | EPOLLOUT, &err))
        hang_up(c);
}

static FALLIBLE listen_at_path(struct grpc_server *s, const char *path, struct err *err)
{
    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof s->address.sun_path)
        return fail_with(err, ERR_CONFIG, "socket %.100s: at most %zu bytes of path are possible", path,
                         sizeof s->address.sun_path - 1);
    s->address.sun_family = AF_UNIX;
    memcpy(s->address.sun_path, path, strlen(path) + 1);
    (void) unlink(path); /* of an earlier life; bind says what else is wrong */
    mode_t before = umask(0177);
    bool   bound  = fd >= 0 && bind(fd, (struct sockaddr *) &s->address, sizeof s->address) == 0 && listen(fd, 16) == 0;
    (void) umask(before);
    if (!bound)
        return err_os(err, "socket %s", path);
    s->listener = (struct loop_source){ .fd = TAKE_FD(fd), .ready = peer_came, .owner = s };
    return loop_add(s->loop, &s->listener, EPOLLIN, err);
}

/* "127.0.0.1:PORT" or "[::1]:PORT", nothing else: there is no authentication. */
static FALLIBLE loopback_read(const char *where, struct sockaddr_storage *out, socklen_t *len, struct err *err)
{
    struct sockaddr_in  *four = (struct sockaddr_in *) out;
    struct sockaddr_in6 *six  = (struct sockaddr_in6 *) out;
    bool                 is_six = strncmp(where, "[::1]:", 6) == 0, is_four = strncmp(where, "127.0.0.1:", 10) == 0;
    const char          *digits = where + (is_six ? 6 : is_four ? 10 : 0);
    char                *end    = NULL;
    unsigned long        port   = strtoul(digits, &end, 10);

    if ((!is_six && !is_four) || *digits < '0' || *digits > '9' || *end != 0 || port > UINT16_MAX)
        return fail_with(err, ERR_CONFIG, "%.100s is neither an absolute path nor 127.0.0.1:PORT nor [::1]:PORT", where);
    memset(out, 0, sizeof *out);
    if (is_six)
        *six = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons((uint16_t) port) };
    else
        *four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t) port) };
    *len = is_six ? sizeof *six : sizeof *four;
    return true;
}

static FALLIBLE listen_at_loopback(struct grpc_server *s, const char *where, struct err *err)
{
    struct sockaddr_storage at;
    socklen_t               len;
    const int               yes = 1;
    AUTO(fd) int            fd  = NO_FD;

    if (!loopback_read(where, &at, &len, err))
        return false;
    fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 || bind(fd, (struct sockaddr *) &at, len) < 0 ||
        listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *) &at, &len) < 0)
        return err_os(err, "listen on %s", where);
    (void) snprintf(s->where, sizeof s->where, at.ss_family == AF_INET6 ? "[::1]:%u" : "127.0.0.1:%u",
                    ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *) &at)->sin6_port : ((struct sockaddr_in *) &at)->sin_port)); /* fits */
    s->listener = (struct loop_source){ .fd = TAKE_FD(fd), .ready = peer_came, .owner = s };
    return loop_add(s->loop, &s->listener, EPOLLIN, err);
}

const char *grpc_server_address(const struct grpc_server *server) { return server->where; }

FALLIBLE grpc_server_new(struct loop *loop, const char *where, grpc_call_fn *call, void *owner, struct grpc_server **out,
                         struct err *err)
{
    AUTO(grpc_server) struct grpc_server *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    *s = (struct grpc_server){ .loop = loop, .call = call, .owner = owner, .listener.fd = NO_FD };
    for (size_t i = 0; i < GRPC_CONNECTIONS_MAX; i++)
        s->connections[i].source.fd = NO_FD;
    if (where[0] == '/')
        (void) snprintf(s->where, sizeof s->where, "%s", where); /* fits, or the socket is not made */
    if (where[0] == '/' ? !listen_at_path(s, where, err) : !listen_at_loopback(s, where, err))
        return false;
    *out = TAKE(s);
    return true;
}

void grpc_server_free(struct grpc_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < GRPC_CONNECTIONS_MAX; i++)
        hang_up(&server->connections[i]);
    loop_remove(&server->listener);
    if (server->listener.fd >= 0 && server->address.sun_path[0])
        (void) unlink(server->address.sun_path); /* nobody listens there any more */
    auto_fd(&server->listener.fd);
    free(server);
}
