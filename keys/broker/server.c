#include "keys/broker/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/log.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/broker/peer_certificate.h"

enum {
    CONNECTION_MEMORY = 128 << 10, /* of a request's head; a Bearer token alone may have KBS_TOKEN_MAX */
    BACKLOG           = 1024,
    TURN_MS_MAX       = 1000,
    HOUSEKEEPING_MS   = 60000,
    URL_MAX           = 96
};

struct exchange;
struct server;

/* One address where we listen, and whom it is for. */
struct entrance {
    struct server     *server;
    struct MHD_Daemon *daemon;
    struct loop_source web;   /* libmicrohttpd's own epoll descriptor */
    unsigned           faces; /* bits of enum face */
    char               url[URL_MAX];
};

enum { GUESTS, ADMINISTRATORS, ENTRANCES };

struct server {
    const struct server_options options;
    struct entrance             entrances[ENTRANCES]; /* the second one may be unused: its daemon is NULL */
    struct loop_source          timer; /* when it wants to be run without an event */
    struct loop_source          housekeeping;
    struct loop_source          grace;
    struct exchange            *waiting; /* answers that wait for the commit of this turn */
    size_t                      n_exchanges;
    bool                        is_draining;
};

/* One request and its answer. */
struct exchange {
    struct exchange       *next; /* in server->waiting */
    const struct entrance *entrance;
    struct MHD_Connection *connection;
    char                  *path;
    uint8_t               *body;
    size_t                 len, capacity;
    bool                   is_answered;
    bool                   too_large;
    bool                   no_length;
    struct answer          answer;
    struct timespec        began;
};

static int64_t now_s(void) { return (int64_t) time(NULL); }

/* A body may hold a secret that an administrator puts in. */
static void exchange_free(struct exchange *x)
{
    if (x->body) {
        OPENSSL_cleanse(x->body, x->capacity);
        free(x->body);
    }
    broker_answer_free(&x->answer);
    free(x->path);
    free(x);
}

/* ---- answering ---- */

static void log_answer(const struct exchange *x, const char *method)
{
    struct timespec ended;
    long            us;

    (void) clock_gettime(CLOCK_MONOTONIC, &ended); /* cannot fail for this clock */
    us = (ended.tv_sec - x->began.tv_sec) * 1000000 + (ended.tv_nsec - x->began.tv_nsec) / 1000;
    if (x->answer.reason[0])
        log_info("refused", "method=%s path=%s status=%u us=%ld why=\"%s\"", method, LOG_PEER(bytes_of_text(x->path)),
                 x->answer.status, us, LOG_PEER(bytes_of_text(x->answer.reason)));
    else
        log_info("answered", "method=%s path=%s status=%u us=%ld", method, LOG_PEER(bytes_of_text(x->path)),
                 x->answer.status, us);
}

static bool header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool cookie_set(struct MHD_Response *response, const struct answer *answer)
{
    char      cookie[160];
    char      date[64];
    time_t    expires = (time_t) answer->session_expires;
    struct tm tm;

    if (!answer->session[0])
        return true;
    if (!gmtime_r(&expires, &tm) || strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        return false;
    (void) snprintf(cookie, sizeof cookie, KBS_COOKIE "=%s; Expires=%s", answer->session, date); /* fits */
    return header(response, "Set-Cookie", cookie);
}

static enum MHD_Result answer_send(struct exchange *x)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(x->answer.body.len, x->answer.body.at, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result sent = MHD_NO;

    if (!response)
        return MHD_NO;
    if ((!x->answer.content_type || header(response, "Content-Type", x->answer.content_type)) &&
        header(response, "Cache-Control", "no-store") && cookie_set(response, &x->answer))
        sent = MHD_queue_response(x->connection, x->answer.status, response);
    MHD_destroy_response(response);
    return sent;
}

static void answer_plain(struct exchange *x, unsigned status, const char *text)
{
    x->answer.status       = status;
    x->answer.content_type = "text/plain";
    buffer_append_text(&x->answer.body, text);
    (void) snprintf(x->answer.reason, sizeof x->answer.reason, "%s", text); /* cut by design */
}

static const char *session_cookie(struct MHD_Connection *connection)
{
    return MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, KBS_COOKIE);
}

static void exchange_answer(struct server *s, struct exchange *x, const char *method)
{
    uint8_t        fingerprint[SHA256_LEN];
    bool           is_known = (x->entrance->faces & FACE_ADMINISTRATORS) && peer_certificate_digest(x->connection, fingerprint);
    struct request request  = {
        .method        = method,
        .path          = x->path,
        .session       = session_cookie(x->connection),
        .authorization = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
        .certificate   = is_known ? fingerprint : NULL,
        .claims        = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, ADMIN_CLAIMS_HEADER),
        .faces         = x->entrance->faces,
        .body          = { x->body, x->len },
        .now           = now_s(),
    };

    if (x->too_large)
        answer_plain(x, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than this broker takes\n");
    else if (x->no_length)
        answer_plain(x, MHD_HTTP_LENGTH_REQUIRED, "a body needs a Content-Length\n");
    else
        broker_answer(s->options.broker, &request, &x->answer);
    x->is_answered = true;
    log_answer(x, method);
}

/* ---- libmicrohttpd's callbacks ---- */

/* Leaves the path as it came: %2F is no separator here, and no path of ours has a percent sign. */
static size_t path_untouched(void *owner, struct MHD_Connection *connection, char *text)
{
    (void) owner;
    (void) connection;
    return strlen(text);
}

/* The length that a request announces decides about it before a byte of its body is read. */
static void length_judge(struct exchange *x)
{
    const char        *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char              *end  = NULL;
    unsigned long long len;

    if (!text) {
        x->no_length = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
        return;
    }
    errno = 0;
    len   = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || len > KBS_BODY_MAX) {
        x->too_large = true;
        return;
    }
    x->capacity = (size_t) len;
    x->body     = len ? malloc(x->capacity) : NULL;
    if (len && !x->body)
        abort();
}

static enum MHD_Result request_began(struct entrance *e, struct MHD_Connection *connection, const char *path, void **owned)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x || !(x->path = strdup(path)))
        abort();
    (void) clock_gettime(CLOCK_MONOTONIC, &x->began); /* cannot fail for this clock */
    x->connection = connection;
    x->entrance   = e;
    *owned        = x;
    e->server->n_exchanges++;
    length_judge(x);
    return MHD_YES;
}

static enum MHD_Result request_served(void *owner, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *upload, size_t *upload_len,
                                      void **owned)
{
    struct entrance *e = owner;
    struct server   *s = e->server;
    struct exchange *x = *owned;

    (void) version;
    if (!x)
        return request_began(e, connection, path, owned);
    if (*upload_len > 0) {
        if (!x->too_large && !x->no_length) {
            if (*upload_len > x->capacity - x->len)
                return MHD_NO; /* more than it announced: closed */
            memcpy(x->body + x->len, upload, *upload_len);
            x->len += *upload_len;
        }
        *upload_len = 0;
        return MHD_YES;
    }
    if (!x->is_answered) {
        exchange_answer(s, x, method);
        if (store_is_dirty(s->options.broker->store)) {
            x->next    = s->waiting;
            s->waiting = x;
            MHD_suspend_connection(connection);
            return MHD_YES;
        }
    }
    return answer_send(x);
}

static void request_ended(void *owner, struct MHD_Connection *connection, void **owned,
                          enum MHD_RequestTerminationCode code)
{
    struct server *s = ((struct entrance *) owner)->server;

    (void) connection;
    (void) code;
    if (!*owned)
        return;
    exchange_free(*owned); /* never one that waits: a suspended connection does not end */
    *owned = NULL;
    s->n_exchanges--;
}

/* ---- turns ---- */

/* Makes this turn's writes durable, then lets its answers go. */
static void turn_commit(struct server *s)
{
    struct exchange *waiting = s->waiting;
    struct err       err     = { 0 };
    bool             durable = store_commit(s->options.broker->store, &err);

    if (!durable)
        log_error("commit failed", "why=\"%s\"", err.text);
    s->waiting = NULL;
    while (waiting) {
        struct exchange *x = waiting;

        waiting = x->next;
        if (!durable)
            answer_not_durable(&x->answer, &err);
        MHD_resume_connection(x->connection);
    }
}

static void timer_arm(struct server *s)
{
    MHD_UNSIGNED_LONG_LONG ms   = TURN_MS_MAX;
    struct itimerspec      when = { 0 };

    for (int i = 0; i < ENTRANCES; i++) {
        MHD_UNSIGNED_LONG_LONG asked;

        if (s->entrances[i].daemon && MHD_get_timeout(s->entrances[i].daemon, &asked) == MHD_YES && asked < ms)
            ms = asked;
    }
    if (s->waiting)
        ms = 0; /* for their commit */
    when.it_value.tv_sec  = (time_t) (ms / 1000);
    when.it_value.tv_nsec = ms == 0 ? 1 : (long) (ms % 1000) * 1000000; /* zero would disarm it */
    (void) timerfd_settime(s->timer.fd, 0, &when, NULL); /* a valid time on a valid timer */
}

static void entrances_run(struct server *s)
{
    for (int i = 0; i < ENTRANCES; i++) {
        if (s->entrances[i].daemon)
            (void) MHD_run(s->entrances[i].daemon); /* fails only for a daemon with its own threads */
    }
}

static void turn(struct server *s)
{
    entrances_run(s);
    if (s->waiting || store_is_dirty(s->options.broker->store)) {
        turn_commit(s);
        entrances_run(s); /* MHD_get_timeout is silent about resumed connections: let their answers go now */
    }
    timer_arm(s);
    if (s->is_draining && s->n_exchanges == 0)
        loop_stop(s->options.loop);
}

static void timer_drain(struct loop_source *source)
{
    uint64_t n;

    (void) !read(source->fd, &n, sizeof n); /* a timer that did not fire has nothing to read */
}

static void web_ready(struct loop_source *source, uint32_t events)
{
    (void) events;
    turn(source->owner);
}

static void timer_ready(struct loop_source *source, uint32_t events)
{
    (void) events;
    timer_drain(source);
    turn(source->owner);
}

static void housekeeping_ready(struct loop_source *source, uint32_t events)
{
    struct server *s = source->owner;
    struct err     err;

    (void) events;
    timer_drain(source);
    if (!store_sessions_expire(s->options.broker->store, now_s(), &err) ||
        !store_commit(s->options.broker->store, &err))
        log_error("housekeeping failed", "why=\"%s\"", err.text);
}

static void grace_ended(struct loop_source *source, uint32_t events)
{
    struct server *s = source->owner;

    (void) events;
    loop_stop(s->options.loop);
}

/* ---- starting and stopping ---- */

struct address {
    union {
        struct sockaddr     any;
        struct sockaddr_in  v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t len;
};

/* "127.0.0.1:8443" or "[::1]:8443": numbers only, nothing is resolved. */
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
        return fail_with(err, ERR_CONFIG, "listen: \"%.80s\" is not ADDRESS:PORT", text);
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
    return fail_with(err, ERR_CONFIG, "listen: \"%.80s\" is neither an IPv4 address nor an IPv6 address in brackets", host);
}

static FALLIBLE socket_listen(struct entrance *e, const char *where, int *out, struct err *err)
{
    AUTO(fd) int   fd  = NO_FD;
    int            on  = 1;
    char           host[INET6_ADDRSTRLEN];
    struct address address;

    if (!address_read(where, &address, err))
        return false;
    fd = socket(address.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, &address.at.any, address.len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, &address.at.any, &address.len) < 0)
        return err_os(err, "listen on %s", where);
    if (address.at.any.sa_family == AF_INET6)
        (void) snprintf(e->url, sizeof e->url, "https://[%s]:%u", inet_ntop(AF_INET6, &address.at.v6.sin6_addr, host, sizeof host),
                        (unsigned) ntohs(address.at.v6.sin6_port)); /* fits */
    else
        (void) snprintf(e->url, sizeof e->url, "https://%s:%u", inet_ntop(AF_INET, &address.at.v4.sin_addr, host, sizeof host),
                        (unsigned) ntohs(address.at.v4.sin_port)); /* fits */
    *out = TAKE_FD(fd);
    return true;
}

static FALLIBLE daemon_start(struct entrance *e, int listener, struct err *err)
{
    const struct config      *c       = e->server->options.config;
    const struct credentials *keys    = e->server->options.credentials;
    AUTO(buffer) struct buffer chain  = { 0 };
    AUTO(buffer) struct buffer ca     = { 0 };
    struct MHD_OptionItem      more[] = { { MHD_OPTION_END, 0, NULL }, { MHD_OPTION_END, 0, NULL } };

    buffer_append(&chain, buffer_bytes(&keys->tls_certificate));
    buffer_append(&ca, buffer_bytes(&keys->admin_client_ca));
    if ((e->faces & FACE_ADMINISTRATORS) && ca.len > 0) /* certificates are asked for, and may be withheld */
        more[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *) (uintptr_t) buffer_text(&ca) };
    e->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, request_served, e,
        MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_HTTPS_MEM_KEY, (const char *) secret_expose(&keys->tls_key).at,
        MHD_OPTION_HTTPS_MEM_CERT, buffer_text(&chain),
        MHD_OPTION_HTTPS_PRIORITIES, "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE",
        MHD_OPTION_CONNECTION_LIMIT, (unsigned) c->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned) c->connections_per_peer,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) c->request_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, path_untouched, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, request_ended, e,
        MHD_OPTION_ARRAY, more,
        MHD_OPTION_END);
    if (!e->daemon) {
        (void) close(listener); /* never used */
        return fail_with(err, ERR_CONFIG, "start HTTPS: the certificate or its key is not usable");
    }
    return true;
}

static FALLIBLE entrance_open(struct server *s, int which, const char *where, unsigned faces, struct err *err)
{
    struct entrance *e = &s->entrances[which];
    int              listener;

    *e = (struct entrance){ .server = s, .faces = faces, .web = { .fd = NO_FD } };
    if (!socket_listen(e, where, &listener, err) || !daemon_start(e, listener, err))
        return false;
    e->web = (struct loop_source){ .fd = MHD_get_daemon_info(e->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                                   .ready = web_ready, .owner = s };
    return loop_add(s->options.loop, &e->web, EPOLLIN, err);
}

/* One entrance for all, or one of its own for administrators. */
static FALLIBLE entrances_open(struct server *s, struct err *err)
{
    const struct config *c       = s->options.config;
    bool                 is_same = strcmp(c->admin_listen, CONFIG_ADMIN_SAME) == 0;

    return entrance_open(s, GUESTS, c->listen, is_same ? FACE_GUESTS | FACE_ADMINISTRATORS : FACE_GUESTS, err) &&
           (is_same || entrance_open(s, ADMINISTRATORS, c->admin_listen, FACE_ADMINISTRATORS, err) ||
            context(err, "administration"));
}

static FALLIBLE timers_add(struct server *s, struct err *err)
{
    struct loop *loop = s->options.loop;

    s->timer        = (struct loop_source){ .fd = NO_FD, .ready = timer_ready, .owner = s };
    s->housekeeping = (struct loop_source){ .fd = NO_FD, .ready = housekeeping_ready, .owner = s };
    return loop_timer_fd(TURN_MS_MAX, 0, &s->timer.fd, err) &&
           loop_timer_fd(HOUSEKEEPING_MS, HOUSEKEEPING_MS, &s->housekeeping.fd, err) &&
           loop_add(loop, &s->timer, EPOLLIN, err) && loop_add(loop, &s->housekeeping, EPOLLIN, err);
}

FALLIBLE server_start(const struct server_options *options, struct server **out, struct err *err)
{
    struct server              start = { .options = *options, .timer = { .fd = NO_FD }, .housekeeping = { .fd = NO_FD },
                                         .grace = { .fd = NO_FD } };
    AUTO(server) struct server *s    = malloc(sizeof *s);

    if (!s)
        abort();
    memcpy(s, &start, sizeof start);
    if (!timers_add(s, err) || !entrances_open(s, err))
        return false;
    *out = TAKE(s);
    return true;
}

const char *server_url(const struct server *server) { return server->entrances[GUESTS].url; }

const char *server_admin_url(const struct server *server)
{
    return server->entrances[server->entrances[ADMINISTRATORS].daemon ? ADMINISTRATORS : GUESTS].url;
}

void server_drain(struct server *server, uint32_t grace_ms)
{
    struct err err;

    for (int i = 0; i < ENTRANCES; i++) {
        MHD_socket listener = server->entrances[i].daemon ? MHD_quiesce_daemon(server->entrances[i].daemon) : MHD_INVALID_SOCKET;

        if (listener != MHD_INVALID_SOCKET)
            (void) close(listener); /* it only ever accepted */
    }
    server->is_draining = true;
    server->grace       = (struct loop_source){ .fd = NO_FD, .ready = grace_ended, .owner = server };
    if (server->n_exchanges == 0 || !loop_timer_fd(grace_ms, 0, &server->grace.fd, &err) ||
        !loop_add(server->options.loop, &server->grace, EPOLLIN, &err))
        loop_stop(server->options.loop);
}

static void source_close(struct loop_source *source)
{
    loop_remove(source);
    if (source->fd >= 0)
        (void) close(source->fd); /* a timer */
}

void server_free(struct server *server)
{
    if (!server)
        return;
    turn_commit(server); /* a suspended connection must not outlive its daemon */
    for (int i = 0; i < ENTRANCES; i++) {
        if (!server->entrances[i].daemon)
            continue;
        loop_remove(&server->entrances[i].web); /* its descriptor is the daemon's */
        MHD_stop_daemon(server->entrances[i].daemon);
    }
    source_close(&server->timer);
    source_close(&server->housekeeping);
    source_close(&server->grace);
    free(server);
}
