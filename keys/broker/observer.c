#include "keys/broker/observer.h"

#include <microhttpd.h>
#include <string.h>
#include <sys/epoll.h>

#include "keys/broker/listener.h"

enum { CONNECTIONS = 32, SILENCE_S = 10, HEAD_MAX = 8 << 10 };

struct observer {
    struct observer_options options;
    struct MHD_Daemon      *daemon;
    struct loop_source      web;
    char                    url[LISTENER_ADDRESS_MAX + 8];
};

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, struct bytes body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(body.len, (void *) (uintptr_t) body.at, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      sent     = MHD_NO;

    if (response && MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8") == MHD_YES)
        sent = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result request_served(void *owner, struct MHD_Connection *connection, const char *path, const char *method,
                                      const char *version, const char *upload, size_t *upload_len, void **owned)
{
    struct observer           *o    = owner;
    AUTO(buffer) struct buffer body = { 0 }, more = { 0 };
    unsigned                   status = MHD_HTTP_OK;
    struct err                 err;

    (void) version;
    (void) upload;
    (void) owned;
    *upload_len = 0; /* no body means anything here */
    if (strcmp(method, "GET") != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
    } else if (strcmp(path, "/metrics") == 0) {
        o->options.metrics(o->options.owner, &body);
    } else if (strcmp(path, "/readyz") == 0) {
        status = o->options.ready(o->options.owner, &more, &err) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
        buffer_append_text(&body, status == MHD_HTTP_OK ? "ready\n" : "not ready; the log says why\n");
        buffer_append(&body, buffer_bytes(&more));
    } else if (strcmp(path, "/healthz") == 0) {
        buffer_append_text(&body, "ok\n");
    } else {
        status = MHD_HTTP_NOT_FOUND;
    }
    return send_text(connection, status, buffer_bytes(&body));
}

static void web_ready(struct loop_source *source, uint32_t events)
{
    (void) events;
    observer_tick(source->owner);
}

void observer_tick(struct observer *observer)
{
    (void) MHD_run(observer->daemon); /* fails only for a daemon with its own threads */
}

const char *observer_url(const struct observer *observer) { return observer->url; }

FALLIBLE observer_start(const struct observer_options *options, struct observer **out, struct err *err)
{
    AUTO(observer) struct observer *o = calloc(1, sizeof *o);
    char                            address[LISTENER_ADDRESS_MAX];
    int                             listener = NO_FD;

    if (!o)
        abort();
    o->options = *options;
    if (!listener_open(options->listen, "metrics", &listener, address, err))
        return context(err, "metrics");
    (void) snprintf(o->url, sizeof o->url, "http://%s", address); /* fits */
    o->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, request_served, o, MHD_OPTION_LISTEN_SOCKET, listener,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) SILENCE_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) HEAD_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                 MHD_OPTION_END);
    if (!o->daemon) {
        (void) close(listener); /* never used */
        return fail_with(err, ERR_OS, "metrics: start HTTP");
    }
    o->web = (struct loop_source){ .fd = MHD_get_daemon_info(o->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                                   .ready = web_ready, .owner = o };
    if (!loop_add(options->loop, &o->web, EPOLLIN, err))
        return false;
    *out = TAKE(o);
    return true;
}

void observer_free(struct observer *observer)
{
    if (!observer)
        return;
    if (observer->daemon) {
        loop_remove(&observer->web); /* its descriptor is the daemon's */
        MHD_stop_daemon(observer->daemon);
    }
    free(observer);
}
