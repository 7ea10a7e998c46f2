#include "keys/client/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/un.h>

#include "base/auto.h"
#include "base/ossl.h"

#define ADDRESS_LEN_OF(path) ((socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1))

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void) close(*fd); /* a socket: nothing waits to be written by us */
    *fd = NO_FD;
}

static void listener_close(struct relay *relay)
{
    if (relay->path[0])
        (void) unlink(relay->path); /* ours, and of no use to anyone */
    relay->path[0] = 0;
    close_fd(&relay->listener);
}

void relay_close(struct relay *relay)
{
    listener_close(relay);
    close_fd(&relay->near);
    close_fd(&relay->far);
}

/*
 * Binds to a short path where that is possible, else to an abstract name that the kernel finds: libcurl keeps a
 * connection for the next request only when its peer's name can be printed.
 */
static bool listener_bind(struct relay *relay)
{
    static const char *const FOLDERS[] = { "/run", "/tmp" };
    struct sockaddr_un       name      = { .sun_family = AF_UNIX };
    uint32_t                 random;
    struct err               ignored; /* without randomness the kernel's name will do */

    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) {
        if (!random_bytes((uint8_t *) &random, sizeof random, &ignored))
            break;
        (void) snprintf(relay->path, sizeof relay->path, "%s/k%06x", FOLDERS[i], random & 0xffffff); /* fits */
        (void) snprintf(name.sun_path, sizeof name.sun_path, "%s", relay->path); /* fits */
        if (bind(relay->listener, (struct sockaddr *) &name, ADDRESS_LEN_OF(relay->path)) == 0)
            return true;
    }
    relay->path[0] = 0;
    return bind(relay->listener, (struct sockaddr *) &name, sizeof name.sun_family) == 0;
}

FALLIBLE relay_open(struct relay *relay, int far_take, struct sockaddr *address, socklen_t *len, struct err *err)
{
    struct sockaddr_un name     = { 0 };
    socklen_t          name_len = sizeof name;
    int                flags    = fcntl(far_take, F_GETFL);

    relay_close(relay);
    *relay          = NO_RELAY;
    relay->far      = far_take;
    relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (flags < 0 || fcntl(far_take, F_SETFL, flags | O_NONBLOCK) < 0 || relay->listener < 0 ||
        !listener_bind(relay) || listen(relay->listener, 1) < 0) {
        relay_close(relay);
        return err_os(err, "relay to the broker");
    }
    if (getsockname(relay->listener, (struct sockaddr *) &name, &name_len) < 0 || name_len > sizeof *address) {
        relay_close(relay);
        return err_os(err, "relay to the broker");
    }
    memcpy(address, &name, name_len);
    *len = name_len;
    return true;
}

/* Abstract names are open to all in this network namespace: only our own process is let in. */
static void accept_near(struct relay *relay)
{
    int          fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer;
    socklen_t    len = sizeof peer;

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid != getpid()) {
        close_fd(&fd);
        return;
    }
    relay->near = fd;
    listener_close(relay);
}

static bool would_wait(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static void way_move(struct relay_way *way, int from, int to)
{
    ssize_t n;

    if (way->from == way->to && !way->ended) {
        way->from = way->to = 0;
        n = recv(from, way->room, sizeof way->room, 0);
        if (n > 0)
            way->to = (size_t) n;
        else if (n == 0 || !would_wait())
            way->ended = true;
    }
    if (way->from < way->to) {
        n = send(to, way->room + way->from, way->to - way->from, MSG_NOSIGNAL);
        if (n > 0)
            way->from += (size_t) n;
        else if (!would_wait())
            way->from = way->to; /* the other side is gone: nobody is left to tell */
    }
    if (way->ended && way->from == way->to && !way->passed) {
        (void) shutdown(to, SHUT_WR); /* the other side may be gone already */
        way->passed = true;
    }
}

void relay_move(struct relay *relay)
{
    if (relay->listener >= 0)
        accept_near(relay);
    if (relay->near < 0)
        return;
    way_move(&relay->out, relay->near, relay->far);
    way_move(&relay->in, relay->far, relay->near);
    if (relay->out.passed && relay->in.passed)
        relay_close(relay);
}

static bool has_bytes(const struct relay_way *way) { return way->from < way->to; }

static short events_of(const struct relay_way *reads, const struct relay_way *writes)
{
    short events = 0;

    if (!reads->ended && !has_bytes(reads))
        events |= POLLIN;
    if (has_bytes(writes))
        events |= POLLOUT;
    return events;
}

unsigned relay_wants(const struct relay *relay, struct pollfd fds[static RELAY_FDS])
{
    unsigned n = 0;
    short    near, far;

    if (relay->listener >= 0)
        fds[n++] = (struct pollfd){ .fd = relay->listener, .events = POLLIN };
    if (relay->near < 0)
        return n;
    near = events_of(&relay->out, &relay->in);
    far  = events_of(&relay->in, &relay->out);
    if (near) /* one without events would report a hang-up over and over */
        fds[n++] = (struct pollfd){ .fd = relay->near, .events = near };
    if (far)
        fds[n++] = (struct pollfd){ .fd = relay->far, .events = far };
    return n;
}
