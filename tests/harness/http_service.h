/* A small HTTP service on the loopback for tests of clients: answers from a table, counts what it was asked. */
#pragma once

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"

struct http_row {
    const char  *path;    /* with the query */
    unsigned     status;
    struct bytes body;
    const char  *header, *value; /* one header of the answer, or NULL */
    unsigned     busy_first;     /* this many 429 answers, with Retry-After, come before */
    unsigned     delay_ms;
};

struct http_service {
    const struct http_row *rows;
    size_t                 n_rows;
    const char            *retry_after; /* of the 429 answers */
    const char            *certificate_pem, *key_pem; /* https with these; NULL: http */
    atomic_uint            n_asked;
    struct MHD_Daemon     *daemon;
    char                   base[64]; /* "http://127.0.0.1:PORT", or https */
};

struct http_query { char text[1024]; };

static inline enum MHD_Result http_query_add(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct http_query *q  = owner;
    size_t             at = strlen(q->text);

    (void) kind; /* only arguments are asked for */
    (void) snprintf(q->text + at, sizeof q->text - at, "%c%s=%s", strchr(q->text, '?') ? '&' : '?', name, value); /* fits */
    return MHD_YES;
}

static inline enum MHD_Result http_send(struct MHD_Connection *to, unsigned status, struct bytes body, const char *header,
                                        const char *value)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(body.len, (void *) (uintptr_t) body.at, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result      sent;

    if (header && MHD_add_response_header(r, header, value) != MHD_YES)
        abort();
    sent = MHD_queue_response(to, status, r);
    MHD_destroy_response(r);
    return sent;
}

static inline enum MHD_Result http_answer(void *owner, struct MHD_Connection *to, const char *url, const char *method,
                                          const char *version, const char *upload, size_t *upload_len, void **connection)
{
    struct http_service *s = owner;
    struct http_query    q;
    unsigned             asked = atomic_fetch_add(&s->n_asked, 1);

    (void) method;
    (void) version;
    (void) upload;
    (void) upload_len;
    (void) connection;
    (void) snprintf(q.text, sizeof q.text, "%s", url); /* test paths are short */
    (void) MHD_get_connection_values(to, MHD_GET_ARGUMENT_KIND, http_query_add, &q); /* their number is not needed */
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct http_row *row   = &s->rows[i];
        const struct timespec  delay = { .tv_nsec = (long) row->delay_ms * 1000000L };

        if (strcmp(row->path, q.text) != 0)
            continue;
        if (asked < row->busy_first)
            return http_send(to, 429, (struct bytes){ (const uint8_t *) "", 0 }, "Retry-After", s->retry_after);
        (void) nanosleep(&delay, NULL); /* about */
        return http_send(to, row->status, row->body, row->header, row->value);
    }
    return http_send(to, 404, (struct bytes){ (const uint8_t *) "", 0 }, NULL, NULL);
}

static inline void http_service_start(struct http_service *s)
{
    struct sockaddr_in          at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const union MHD_DaemonInfo *port;

    struct MHD_OptionItem       tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) (uintptr_t) s->certificate_pem },
                                          { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) s->key_pem },
                                          { MHD_OPTION_END, 0, NULL } };
    struct MHD_OptionItem       none[] = { { MHD_OPTION_END, 0, NULL } };

    s->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | (s->key_pem ? MHD_USE_TLS : 0), 0,
                                 NULL, NULL, http_answer, s, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_ARRAY, s->key_pem ? tls : none,
                                 MHD_OPTION_END);
    if (!s->daemon || !(port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)))
        abort();
    (void) snprintf(s->base, sizeof s->base, "http%s://127.0.0.1:%u", s->key_pem ? "s" : "", port->port); /* fits */
}

static inline void http_service_stop(struct http_service *s)
{
    MHD_stop_daemon(s->daemon);
}
