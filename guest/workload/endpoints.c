#include "guest/workload/endpoints.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "guest/api/call.h"
#include "guest/workload/request.h"

enum {
    CONNECTIONS_MAX   = 32,       /* at once; more wait in the kernel */
    BACKLOG           = 32,
    CONNECTION_MEMORY = 16 << 10, /* bytes for a request's line and headers */
    IDLE_SECONDS      = 20,       /* a connection on which nothing comes is closed */
    ASK_TIMEOUT_MS    = 90000,    /* an attestation may be part of it */
};

const struct ttrpc_service workload_service = { "cloister.workload", &workload__workload__descriptor };

struct endpoints {
    struct MHD_Daemon  *daemon;
    struct ttrpc_client desk;
    bool                is_over;
};

static const struct ttrpc_method ask_method = { &workload_service, "Ask" };

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct bytes content, const char *type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(content.len, (void *) (uintptr_t) content.at, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      result;

    if (!response)
        return MHD_NO;
    (void) MHD_add_response_header(response, "Content-Type", type); /* fails without memory: then without the header */
    (void) MHD_add_response_header(response, "Cache-Control", "no-store");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_error(struct MHD_Connection *connection, const struct err *why)
{
    unsigned status = why->kind == ERR_NOT_FOUND                                    ? MHD_HTTP_NOT_FOUND
                      : why->kind == ERR_DENIED                                     ? MHD_HTTP_FORBIDDEN
                      : why->kind == ERR_MALFORMED || why->kind == ERR_LIMIT        ? MHD_HTTP_BAD_REQUEST
                      : why->kind == ERR_UNSUPPORTED                                ? MHD_HTTP_NOT_IMPLEMENTED
                                                                                    : MHD_HTTP_INTERNAL_SERVER_ERROR;

    return answer(connection, status, bytes_of_text(why->text), "text/plain");
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

/* A value of the query, unescaped into `into`; NULL when there is none. One that is too long or holds a zero is malformed. */
static FALLIBLE query(struct MHD_Connection *connection, const char *name, char into[static WORKLOAD_PATH_MAX + 1],
                      const char **out, struct err *err)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    size_t      len   = value ? strnlen(value, 3 * WORKLOAD_PATH_MAX + 1) : 0;
    char        raw[3 * WORKLOAD_PATH_MAX + 1]; /* every byte may be escaped */

    *out = NULL;
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

static FALLIBLE read_request(struct MHD_Connection *connection, const char *method, const char *path,
                             struct workload_request *out, struct err *err)
{
    char                  texts[3][WORKLOAD_PATH_MAX + 1];
    struct workload_query asked;

    return query(connection, "token_type", texts[0], &asked.token_type, err) &&
           query(connection, "runtime_data", texts[1], &asked.runtime_data, err) &&
           query(connection, "encoding", texts[2], &asked.encoding, err) &&
           workload_request_read(method, path, &asked, out, err);
}

static enum MHD_Result ask_desk(struct endpoints *e, struct MHD_Connection *connection, struct workload_request *asked)
{
    static const Workload__Kind kinds[] = {
        [WORKLOAD_RESOURCE] = WORKLOAD__KIND__KIND_RESOURCE, [WORKLOAD_TOKEN] = WORKLOAD__KIND__KIND_TOKEN,
        [WORKLOAD_EVIDENCE] = WORKLOAD__KIND__KIND_EVIDENCE, [WORKLOAD_INFO] = WORKLOAD__KIND__KIND_INFO,
    };
    Workload__AskRequest            request  = WORKLOAD__ASK_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;
    struct err                      why;

    request.kind         = kinds[asked->kind];
    request.resource     = asked->resource;
    request.runtime_data = (ProtobufCBinaryData){ asked->runtime_data_len, asked->runtime_data };
    request.port         = caller_port(connection);
    if (!ttrpc_call(&e->desk, &ask_method, &request.base, ASK_TIMEOUT_MS, &response, &why)) {
        e->is_over = e->desk.is_broken;
        return answer_error(connection, &why);
    }
    const Workload__AskResponse *got = (const Workload__AskResponse *) response;
    return answer(connection, MHD_HTTP_OK, (struct bytes){ got->content.data, got->content.len },
                  asked->kind == WORKLOAD_INFO ? "application/json" : "application/octet-stream");
}

/* Called for the headers, for each piece of a body, and at the end: a body is passed over, we take none. */
static enum MHD_Result serve(void *owner, struct MHD_Connection *connection, const char *path, const char *method,
                             const char *version, const char *body, size_t *body_len, void **state)
{
    static int              seen;
    struct endpoints       *e = owner;
    struct workload_request request;
    struct err              why;

    (void) version;
    (void) body;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0;
        return MHD_YES;
    }
    if (!read_request(connection, method, path, &request, &why))
        return answer_error(connection, &why);
    return ask_desk(e, connection, &request);
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

int endpoints_run(int listen_fd, int control_fd)
{
    struct endpoints e = { 0 };
    struct err       err;

    if (!ttrpc_client_over(control_fd, &e.desk, &err))
        return 1;
    e.daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, serve, &e, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                                MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                (unsigned) IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
                                MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, untouched, NULL,
                                MHD_OPTION_END);
    if (!e.daemon)
        return 1;
    while (!e.is_over && MHD_run_wait(e.daemon, -1) == MHD_YES)
        ;
    MHD_stop_daemon(e.daemon);
    auto_ttrpc_client(&e.desk);
    return e.is_over ? 0 : 1;
}
