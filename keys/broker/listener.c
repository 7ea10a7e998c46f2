#include "keys/broker/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 1024, FIRST_PASSED = 3, PASSED_MAX = 16, NAME_MAX_LEN = 64 };

struct address {
    union {
        struct sockaddr     any;
        struct sockaddr_in  v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t len;
};

static FALLIBLE address_read(const char *text, struct address *out, struct err *err)
{
    const char   *colon = strrchr(text, ':');
    char          host[64];
    size_t        len  = colon ? (size_t) (colon - text) : 0;
    char         *end  = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    bool          is_v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';

    *out = (struct address){ 0 };
    if (!colon || len >= sizeof host || colon[1] < '0' || colon[1] > '9' || *end != 0 || port > UINT16_MAX)
        return fail_with(err, ERR_CONFIG, "\"%.80s\" is not ADDRESS:PORT", text);
    (void) snprintf(host, sizeof host, "%.*s", (int) (is_v6 ? len - 2 : len), is_v6 ? text + 1 : text); /* fits */
    if (is_v6 && inet_pton(AF_INET6, host, &out->at.v6.sin6_addr) == 1) {
        out->at.v6.sin6_family = AF_INET6;
        out->at.v6.sin6_port   = htons((uint16_t) port);
        out->len               = sizeof out->at.v6;
        return true;
    }
    if (!is_v6 && inet_pton(AF_INET, host, &out->at.v4.sin_addr) == 1) {
        out->at.v4.sin_family = AF_INET;
        out->at.v4.sin_port   = htons((uint16_t) port);
        out->len              = sizeof out->at.v4;
        return true;
    }
    return fail_with(err, ERR_CONFIG, "\"%.80s\" is neither an IPv4 address nor an IPv6 address in brackets", host);
}

FALLIBLE listener_address_check(const char *address, struct err *err)
{
    struct address ignored;

    return address_read(address, &ignored, err);
}

bool listener_is_loopback(const char *address)
{
    struct address read;
    struct err     ignored; /* no address, no loopback */

    if (!address_read(address, &read, &ignored))
        return false;
    if (read.at.any.sa_family == AF_INET)
        return ntohl(read.at.v4.sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&read.at.v6.sin6_addr);
}

/* The passed descriptor of that name; NO_FD when systemd passed none to this process. */
static int passed_fd(const char *name)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    size_t      len = strlen(name);

    if (!pid || !count || !names || strtol(pid, NULL, 10) != (long) getpid())
        return NO_FD;
    for (int i = 0; i < PASSED_MAX && i < atoi(count); i++) {
        size_t n = strcspn(names, ":");

        if (n == len && strncmp(names, name, n) == 0)
            return FIRST_PASSED + i;
        names += n + (names[n] == ':');
    }
    return NO_FD;
}

static FALLIBLE passed_take(int fd, const char *name, struct err *err)
{
    int       listens = 0;
    socklen_t len     = sizeof listens;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
        return fail_with(err, ERR_CONFIG, "the socket passed as \"%.40s\" does not listen", name);
    return (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) || err_os(err, "socket %.40s", name);
}

static FALLIBLE socket_open(const char *where, int *out, struct err *err)
{
    AUTO(fd) int   fd = NO_FD;
    int            on = 1;
    struct address address;

    if (!address_read(where, &address, err))
        return context(err, "listen");
    fd = socket(address.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, &address.at.any, address.len) < 0 || listen(fd, BACKLOG) < 0)
        return err_os(err, "listen on %s", where);
    *out = TAKE_FD(fd);
    return true;
}

static void address_write(const struct address *a, char out[static LISTENER_ADDRESS_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (a->at.any.sa_family == AF_INET6)
        (void) snprintf(out, LISTENER_ADDRESS_MAX, "[%s]:%u", inet_ntop(AF_INET6, &a->at.v6.sin6_addr, host, sizeof host),
                        (unsigned) ntohs(a->at.v6.sin6_port)); /* fits */
    else
        (void) snprintf(out, LISTENER_ADDRESS_MAX, "%s:%u", inet_ntop(AF_INET, &a->at.v4.sin_addr, host, sizeof host),
                        (unsigned) ntohs(a->at.v4.sin_port)); /* fits */
}

FALLIBLE listener_open(const char *where, const char *name, int *out, char address[static LISTENER_ADDRESS_MAX],
                       struct err *err)
{
    AUTO(fd) int   fd    = passed_fd(name);
    struct address taken = { .len = sizeof taken.at };

    if (fd >= 0 ? !passed_take(fd, name, err) : !socket_open(where, &fd, err))
        return false;
    if (getsockname(fd, &taken.at.any, &taken.len) < 0)
        return err_os(err, "listen on %s", where);
    address_write(&taken, address);
    *out = TAKE_FD(fd);
    return true;
}
