#include "guest/workload/endpoints.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "guest/api/connection.h"
#include "guest/workload/request.h"
#include "guest/workload/visits.h"

enum {
    BACKLOG           = 32,       /* what waits in the kernel */
    CONNECTIONS_MAX   = VISITS_MAX + BACKLOG, /* those that are being closed among them: what a share allows always fits */
    CONNECTION_MEMORY = 16 << 10, /* bytes for a request's line and headers */
    IDLE_SECONDS      = 20,       /* a connection on which nothing comes is closed */
    TICK_MS           = 5000,     /* how often idle connections are looked for */
    RUNS_OF_TURN      = 64,       /* of libmicrohttpd, until it has nothing to do at once */
};

const struct ttrpc_service workload_service = { "cloister.workload", &workload__workload__descriptor };

struct endpoints {
    struct loop             *loop;
    struct MHD_Daemon       *daemon;
    struct loop_source       web, tick;
    struct ttrpc_connection *desk;
    caller_fn               *caller;
    uint16_t                 port;
    struct visits            visits;
    bool                     is_running, runs_again; /* libmicrohttpd; it must */
};

struct seat { /* of one connection, as long as it is open */
    struct visit     visit;
    int              fd; /* libmicrohttpd's */
    struct exchange *exchange;
};

/* One request, from its headers to its answer. While the desk is asked its connection is suspended: others go on. */
struct exchange {
    struct endpoints      *endpoints;
    struct MHD_Connection *connection;
    struct seat           *seat;
    struct buffer          body;
    bool                   is_too_large, is_answered, is_too_many;
    enum workload_kind     kind;
    struct workload_request request; /* while it waits for its turn, too */
    struct err             why;    /* when it was answered with a refusal */
    struct buffer          answer; /* else; wiped */
};

static const struct ttrpc_method ask_method = { &workload_service, "Ask" };

/* With one more header, unless it is NULL. */
static enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned status, struct bytes content, const char *type,
                                   const char *name, const char *value)
{
    struct MHD_Response *response;
    enum MHD_Result      result;
    uint8_t             *copy = zeroed(content.len, 1);

    if (content.len > 0)
        memcpy(copy, content.at, content.len);
    response = MHD_create_response_from_buffer_with_free_callback(content.len, copy, wiped_free); /* a copy of libmicrohttpd's would stay behind */
    if (!response) {
        wiped_free(copy);
        return MHD_NO;
    }
    (void) MHD_add_response_header(response, "Content-Type", type); /* fails without memory: then without the header */
    (void) MHD_add_response_header(response, "Cache-Control", "no-store");
    if (name)
        (void) MHD_add_response_header(response, name, value); /* as above */
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct bytes content, const char *type)
{
    return answer_with(connection, status, content, type, NULL, NULL);
}

static unsigned status_of(const struct err *why)
{
    return why->kind == ERR_NOT_FOUND                             ? MHD_HTTP_NOT_FOUND
           : why->kind == ERR_DENIED                              ? MHD_HTTP_FORBIDDEN
           : why->kind == ERR_MALFORMED || why->kind == ERR_LIMIT ? MHD_HTTP_BAD_REQUEST
           : why->kind == ERR_UNSUPPORTED                         ? MHD_HTTP_NOT_IMPLEMENTED
                                                                  : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* The caller's port on 127.0.0.1; 0 for one from elsewhere, whom no socket of ours hears. */
static uint16_t caller_port(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct sockaddr_in              from = { 0 };

    if (!info || !info->client_addr || info->client_addr->sa_family != AF_INET)
        return 0;
    memcpy(&from, info->client_addr, sizeof from);
    return from.sin_addr.s_addr == htonl(INADDR_LOOPBACK) ? ntohs(from.sin_port) : 0;
}

struct values {
    const char *name, *value; /* the last one */
    size_t      n;
};

static enum MHD_Result on_value(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct values *named = owner;

    (void) kind;
    if (strcmp(name, named->name) == 0) {
        named->value = value;
        named->n++;
    }
    return MHD_YES;
}

/* A value of the query, unescaped into `into`; NULL when there is none. One that is too long or holds a zero is malformed. */
static FALLIBLE query(struct MHD_Connection *connection, const char *name, char into[static WORKLOAD_PATH_MAX + 1],
                      const char **out, struct err *err)
{
    struct values named = { .name = name };
    (void) MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_value, &named); /* gives their number */
    const char *value = named.value;
    size_t      len   = value ? strnlen(value, 3 * WORKLOAD_PATH_MAX + 1) : 0;
    char        raw[3 * WORKLOAD_PATH_MAX + 1]; /* every byte may be escaped */

    *out = NULL;
    if (named.n > 1)
        return fail_with(err, ERR_MALFORMED, "%s: given twice", name);
    if (!value)
        return true;
    if (len == sizeof raw)
        return fail_with(err, ERR_LIMIT, "%s: over %d bytes", name, WORKLOAD_PATH_MAX);
    memcpy(raw, value, len);
    raw[len] = 0;
    len      = MHD_http_unescape(raw);
    if (len > WORKLOAD_PATH_MAX || strlen(raw) != len)
        return fail_with(err, ERR_MALFORMED, "%s: over %d bytes, or with a zero among them", name, WORKLOAD_PATH_MAX);
    memcpy(into, raw, len + 1);
    *out = into;
    return true;
}

static FALLIBLE read_request(const struct exchange *x, const char *method, const char *path, struct workload_request *out,
                             struct err *err)
{
    char                  texts[3][WORKLOAD_PATH_MAX + 1];
    struct workload_query asked;

    if (x->is_too_large)
        return fail_with(err, ERR_LIMIT, "over %d bytes were sent", WORKLOAD_BODY_MAX);
    return query(x->connection, "token_type", texts[0], &asked.token_type, err) &&
           query(x->connection, "runtime_data", texts[1], &asked.runtime_data, err) &&
           query(x->connection, "encoding", texts[2], &asked.encoding, err) &&
           workload_request_read(method, path, &asked, buffer_bytes(&x->body), out, err);
}

/* libmicrohttpd says nothing of connections that were resumed: it runs until nothing is left to do at once. */
static void turn(struct endpoints *e)
{
    MHD_UNSIGNED_LONG_LONG ms;

    e->runs_again = true;
    if (e->is_running) /* the desk failed within serve() */
        return;
    e->is_running = true;
    for (int i = 0; i < RUNS_OF_TURN && e->runs_again; i++) {
        e->runs_again = false;
        (void) MHD_run(e->daemon); /* fails only for a daemon with its own threads */
        e->runs_again = e->runs_again || (MHD_get_timeout(e->daemon, &ms) == MHD_YES && ms == 0);
    }
    e->is_running = false;
}

static void ask_desk(struct exchange *x);

static void on_answer(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct exchange             *x   = owner;
    const Workload__AskResponse *got = (const Workload__AskResponse *) message;

    x->is_answered = true;
    if (got) {
        x->answer = (struct buffer) WIPED_BUFFER;
        buffer_append(&x->answer, (struct bytes){ got->content.data, got->content.len });
    } else if (why != &x->why) {
        x->why = *why;
    }
    struct visit *next = visits_answered(&x->seat->visit);
    MHD_resume_connection(x->connection);
    if (next)
        ask_desk(((struct seat *) next)->exchange);
    turn(x->endpoints);
}

static void ask_desk(struct exchange *x)
{
    static const Workload__Kind kinds[] = {
        [WORKLOAD_RESOURCE] = WORKLOAD__KIND__KIND_RESOURCE, [WORKLOAD_TOKEN] = WORKLOAD__KIND__KIND_TOKEN,
        [WORKLOAD_EVIDENCE] = WORKLOAD__KIND__KIND_EVIDENCE, [WORKLOAD_INFO] = WORKLOAD__KIND__KIND_INFO,
        [WORKLOAD_EVENTS] = WORKLOAD__KIND__KIND_EVENTS,     [WORKLOAD_MEASURE] = WORKLOAD__KIND__KIND_MEASURE,
        [WORKLOAD_DEVICES] = WORKLOAD__KIND__KIND_DEVICES,
    };
    Workload__AskRequest     request = WORKLOAD__ASK_REQUEST__INIT;
    struct workload_request *asked   = &x->request;

    request.kind         = kinds[asked->kind];
    request.resource     = asked->resource;
    request.runtime_data = (ProtobufCBinaryData){ asked->runtime_data_len, asked->runtime_data };
    request.port         = caller_port(x->connection);
    request.domain       = asked->domain;
    request.operation    = asked->operation;
    request.content      = asked->content;
    if (!ttrpc_connection_call(x->endpoints->desk, &ask_method, &request.base, on_answer, x, &x->why))
        on_answer(x, NULL, &x->why);
}

/* Suspended before the desk is asked, which may tell its failure at once. */
static void ask_in_turn(struct exchange *x)
{
    enum visit_turn when = visits_ask(&x->seat->visit);

    x->kind        = x->request.kind;
    x->is_too_many = when == VISIT_TOO_MANY;
    if (x->is_too_many)
        return;
    MHD_suspend_connection(x->connection);
    if (when == VISIT_NOW)
        ask_desk(x);
}

static void take_body(struct exchange *x, const char *piece, size_t len)
{
    x->is_too_large = x->is_too_large || len > WORKLOAD_BODY_MAX - x->body.len;
    if (!x->is_too_large)
        buffer_append(&x->body, (struct bytes){ (const uint8_t *) piece, len });
}

/* For an event CoCo's clients look for "success", a text; for all else there is one line. */
static enum MHD_Result give_refusal(const struct exchange *x)
{
    AUTO(json) struct json_object *said = json_object_new_object();
    AUTO(buffer) struct buffer     text = { 0 };

    if (x->kind != WORKLOAD_MEASURE)
        return answer(x->connection, status_of(&x->why), bytes_of_text(x->why.text), "text/plain");
    json_add_text(said, "success", "false");
    json_add_text(said, "message", x->why.text);
    json_write(said, &text);
    return answer(x->connection, status_of(&x->why), buffer_bytes(&text), "application/json");
}

static enum MHD_Result give_answer(struct exchange *x)
{
    bool is_json = x->kind == WORKLOAD_INFO || x->kind == WORKLOAD_EVENTS || x->kind == WORKLOAD_MEASURE;

    if (x->why.kind != ERR_NONE)
        return give_refusal(x);
    return answer(x->connection, MHD_HTTP_OK, buffer_bytes(&x->answer), is_json ? "application/json" : "application/octet-stream");
}

static enum MHD_Result give_too_many(const struct exchange *x)
{
    return answer_with(x->connection, MHD_HTTP_SERVICE_UNAVAILABLE, bytes_of_text("this container has too many questions without an answer"),
                       "text/plain", "Retry-After", "1");
}

static enum MHD_Result give_other_method(const struct exchange *x, const char *path)
{
    char text[32];

    (void) snprintf(text, sizeof text, "only %s", workload_method_of(path)); /* fits */
    return answer_with(x->connection, MHD_HTTP_METHOD_NOT_ALLOWED, bytes_of_text(text), "text/plain", "Allow", workload_method_of(path));
}

/* "http://HOST/path", as clients of a proxy write it: a server has to take that. [RFC 9112 3.2.2] */
static const char *path_of(const char *target)
{
    const char *slash;

    if (strncasecmp(target, "http://", 7) != 0 || target[7] == '/')
        return target;
    slash = strchr(target + 7, '/');
    return slash ? slash : "/";
}

/* Called for the headers, for each piece of a body, at its end, and once more when the desk has answered. */
static enum MHD_Result serve(void *owner, struct MHD_Connection *connection, const char *path, const char *method,
                             const char *version, const char *body, size_t *body_len, void **state)
{
    struct exchange *x = *state;

    (void) version;
    if (!x) {
        x             = zeroed(1, sizeof *x);
        x->endpoints  = owner;
        x->connection = connection;
        x->seat       = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        *state        = x;
        x->seat->exchange = x;
        return MHD_YES;
    }
    if (x->is_answered)
        return give_answer(x);
    if (*body_len > 0) {
        take_body(x, body, *body_len);
        *body_len = 0;
        return MHD_YES;
    }
    path = path_of(path);
    if (strcmp(method, workload_method_of(path)) != 0)
        return give_other_method(x, path);
    if (!read_request(x, method, path, &x->request, &x->why)) {
        x->kind = strcmp(path, "/aa/aael") == 0 ? WORKLOAD_MEASURE : WORKLOAD_RESOURCE; /* how its refusal looks */
        return give_answer(x);
    }
    ask_in_turn(x);
    return x->is_too_many ? give_too_many(x) : MHD_YES;
}

/* Of each connection the first and the last that we hear. Who is gone already is a caller whom nobody knows. */
static void on_connection(void *owner, struct MHD_Connection *connection, void **state, enum MHD_ConnectionNotificationCode what)
{
    struct endpoints *e    = owner;
    struct seat      *seat = *state;
    uint64_t          cgroup;
    struct err        why;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        visits_end(&seat->visit);
        free(seat);
        return;
    }
    seat     = zeroed(1, sizeof *seat);
    seat->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *state   = seat;
    struct visit *gone = visits_begin(&e->visits, e->caller(caller_port(connection), e->port, &cgroup, &why) ? cgroup : 0, &seat->visit);
    if (gone)
        (void) shutdown(((struct seat *) gone)->fd, SHUT_RDWR); /* libmicrohttpd sees its end; it may have seen one already */
}

/* Never one that waits: a suspended connection does not end. */
static void exchange_ended(void *owner, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode how)
{
    struct exchange *x = *state;

    (void) owner;
    (void) connection;
    (void) how;
    if (!x)
        return;
    x->seat->exchange = NULL;
    buffer_free(&x->answer);
    buffer_free(&x->body);
    free(x);
    *state = NULL;
}

/* The path is compared as it came: what is escaped in it names nothing of ours. Values are unescaped in query(). */
static size_t untouched(void *owner, struct MHD_Connection *connection, char *text)
{
    (void) owner;
    (void) connection;
    return strlen(text);
}

FALLIBLE endpoints_listen(uint16_t port, int *out_fd, struct err *err)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                on = 1;
    AUTO(fd) int       fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (const struct sockaddr *) &at, sizeof at) < 0 || listen(fd, BACKLOG) < 0)
        return err_os(err, "listen on 127.0.0.1:%u", port);
    *out_fd = TAKE_FD(fd);
    return true;
}

static void on_web(struct loop_source *source, uint32_t events)
{
    (void) events;
    turn(source->owner);
}

static void on_tick(struct loop_source *source, uint32_t events)
{
    uint64_t n;

    (void) events;
    (void) !read(source->fd, &n, sizeof n); /* a timer that did not fire has nothing to read */
    turn(source->owner);
}

/* All who wait were told: their connections are no longer suspended. */
static void on_desk_closed(void *owner, const struct err *why)
{
    struct endpoints *e = owner;

    (void) why; /* PID 1 is the only peer: when it is gone, so is the guest */
    loop_stop(e->loop);
}

static FALLIBLE start(struct endpoints *e, int listen_fd, struct err *err)
{
    e->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, serve, e, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned) IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
                                 MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, untouched, NULL,
                                 MHD_OPTION_NOTIFY_COMPLETED, exchange_ended, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, e, MHD_OPTION_END);
    if (!e->daemon)
        return fail_with(err, ERR_OS, "start the workload services");
    e->web  = (struct loop_source){ .fd = MHD_get_daemon_info(e->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .ready = on_web, .owner = e };
    e->tick = (struct loop_source){ .fd = NO_FD, .ready = on_tick, .owner = e };
    return loop_add(e->loop, &e->web, EPOLLIN, err) && loop_timer_fd(TICK_MS, TICK_MS, &e->tick.fd, err) &&
           loop_add(e->loop, &e->tick, EPOLLIN, err);
}

int endpoints_run(int listen_fd, int control_fd, caller_fn *caller)
{
    struct endpoints                e       = { .tick = { .fd = NO_FD }, .caller = caller };
    struct ttrpc_connection_options options = { .closed = on_desk_closed, .owner = &e };
    struct sockaddr_in              at      = { 0 };
    struct err                      err;

    if (getsockname(listen_fd, (struct sockaddr *) &at, &(socklen_t){ sizeof at }) < 0 || !loop_new(&e.loop, &err))
        return 1;
    e.port       = ntohs(at.sin_port);
    options.loop = e.loop;
    bool is_good = ttrpc_connection_new(&options, control_fd, &e.desk, &err) && start(&e, listen_fd, &err) && loop_run(e.loop, &err);
    loop_remove(&e.web);
    loop_remove(&e.tick);
    if (e.daemon)
        MHD_stop_daemon(e.daemon);
    auto_fd(&e.tick.fd);
    ttrpc_connection_free(TAKE(e.desk));
    loop_free(e.loop);
    return is_good ? 0 : 1;
}
