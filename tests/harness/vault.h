/*
 * A double of HashiCorp Vault, which cannot be run here: KV version 2 reads and the login by AppRole, as its HTTP API
 * documents them, over TLS on the loopback; and whatever a hostile one might answer instead.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "tests/harness/certificate.h"

enum { DOUBLE_HUNG_MAX = 16 };

struct vault_double {
    const char *path;      /* of the one secret: "/v1/secret/data/cloister/acme/key/1" */
    const char *data;      /* what stands at data.data: {"value":"..."} */
    const char *space;     /* namespace that is wanted; NULL: none */
    const char *role_id, *secret_id;
    unsigned    lease_s;
    atomic_bool is_sealed, hangs;
    const char *raw;       /* answer every read with this body and status 200 instead */
    size_t      raw_len;
    unsigned    raw_status;

    atomic_uint n_reads, n_logins, n_odd; /* odd: not as a client of Vault asks */
    atomic_uint valid_login; /* tokens are "hvs.double-N"; this N counts, 0 for the one that was given */
    struct MHD_Daemon     *daemon;
    struct buffer          ca, key_pem;
    char                   url[64];
    pthread_mutex_t        mutex;
    struct MHD_Connection *hung[DOUBLE_HUNG_MAX];
    size_t                 n_hung;
};

static inline enum MHD_Result vault_send(struct MHD_Connection *to, unsigned status, const char *text, size_t len)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *) (uintptr_t) text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      sent;

    if (MHD_add_response_header(r, "Content-Type", "application/json") != MHD_YES)
        abort();
    sent = MHD_queue_response(to, status, r);
    MHD_destroy_response(r);
    return sent;
}

static inline enum MHD_Result vault_says(struct MHD_Connection *to, unsigned status, const char *text)
{
    return vault_send(to, status, text, strlen(text));
}

static inline enum MHD_Result vault_login(struct vault_double *v, struct MHD_Connection *to, struct buffer *body)
{
    AUTO(json) struct json_object *read = NULL;
    AUTO(buffer) struct buffer     text = { 0 };
    const char                    *role, *id;
    struct err                     err;

    if (!json_read(buffer_bytes(body), 1 << 16, &read, &err) || !json_get_text(read, "role_id", &role, &err) ||
        !json_get_text(read, "secret_id", &id, &err))
        return vault_says(to, 400, "{\"errors\":[\"missing role_id\"]}");
    if (!v->role_id || strcmp(role, v->role_id) != 0 || strcmp(id, v->secret_id) != 0)
        return vault_says(to, 400, "{\"errors\":[\"invalid role or secret ID\"]}");
    v->n_logins++;
    v->valid_login = v->n_logins;
    buffer_printf(&text, "{\"request_id\":\"r\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":null,\"wrap_info\":null,"
                         "\"warnings\":null,\"auth\":{\"client_token\":\"hvs.double-%u\",\"accessor\":\"a\",\"policies\":[\"default\"],"
                         "\"token_policies\":[\"default\"],\"metadata\":{\"role_name\":\"broker\"},\"lease_duration\":%u,\"renewable\":true,"
                         "\"token_type\":\"service\",\"orphan\":true,\"num_uses\":0}}", (unsigned) v->n_logins, v->lease_s);
    return vault_says(to, 200, buffer_text(&text));
}

static inline enum MHD_Result vault_read(struct vault_double *v, struct MHD_Connection *to, const char *path)
{
    AUTO(buffer) struct buffer text  = { 0 };
    const char                *token = MHD_lookup_connection_value(to, MHD_HEADER_KIND, "X-Vault-Token");
    const char                *space = MHD_lookup_connection_value(to, MHD_HEADER_KIND, "X-Vault-Namespace");
    char                       valid[64];

    v->n_reads++;
    if (v->raw)
        return vault_send(to, v->raw_status, v->raw, v->raw_len);
    (void) snprintf(valid, sizeof valid, "hvs.double-%u", (unsigned) v->valid_login); /* fits */
    if (!token || strcmp(token, valid) != 0)
        return vault_says(to, 403, "{\"errors\":[\"permission denied\"]}");
    if ((v->space || space) && (!v->space || !space || strcmp(space, v->space) != 0))
        return vault_says(to, 404, "{\"errors\":[\"no handler for route\"]}");
    if (strcmp(path, v->path) != 0)
        return vault_says(to, 404, "{\"errors\":[]}");
    buffer_printf(&text, "{\"request_id\":\"r\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":{\"data\":%s,\"metadata\":{"
                         "\"created_time\":\"2026-01-01T00:00:00.000000000Z\",\"custom_metadata\":{\"value\":\"not this\"},\"deletion_time\":\"\","
                         "\"destroyed\":false,\"version\":1}},\"wrap_info\":null,\"warnings\":null,\"auth\":null}\n", v->data);
    return vault_says(to, 200, buffer_text(&text));
}

static inline enum MHD_Result vault_asked(void *owner, struct MHD_Connection *from, const char *path, const char *method,
                                          const char *version, const char *upload, size_t *len, void **state)
{
    struct vault_double *v    = owner;
    struct buffer       *body = *state;

    (void) version;
    if (!body) {
        *state = calloc(1, sizeof *body);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*len > 0) {
        buffer_append(body, (struct bytes){ (const uint8_t *) upload, *len });
        *len = 0;
        return MHD_YES;
    }
    if (v->hangs) {
        (void) pthread_mutex_lock(&v->mutex);
        assert_true(v->n_hung < DOUBLE_HUNG_MAX);
        v->hung[v->n_hung++] = from;
        MHD_suspend_connection(from);
        (void) pthread_mutex_unlock(&v->mutex);
        return MHD_YES;
    }
    if (v->is_sealed)
        return vault_says(from, 503, "{\"errors\":[\"Vault is sealed\"]}");
    if (strcmp(method, "POST") == 0 && strcmp(path, "/v1/auth/approle/login") == 0)
        return vault_login(v, from, body);
    v->n_odd += strcmp(method, "GET") != 0 || !MHD_lookup_connection_value(from, MHD_HEADER_KIND, "X-Vault-Request");
    return vault_read(v, from, path);
}

static inline void vault_ended(void *owner, struct MHD_Connection *from, void **state, enum MHD_RequestTerminationCode code)
{
    (void) owner;
    (void) from;
    (void) code;
    if (*state)
        buffer_free(*state);
    free(*state);
    *state = NULL;
}

static inline void vault_double_start(struct vault_double *v)
{
    test_certificate_make(&v->ca, &v->key_pem);
    assert_int_equal(pthread_mutex_init(&v->mutex, NULL), 0);
    v->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, vault_asked, v,
                                 MHD_OPTION_HTTPS_MEM_CERT, buffer_text(&v->ca), MHD_OPTION_HTTPS_MEM_KEY, buffer_text(&v->key_pem),
                                 MHD_OPTION_NOTIFY_COMPLETED, vault_ended, v, MHD_OPTION_END);
    assert_non_null(v->daemon);
    (void) snprintf(v->url, sizeof v->url, "https://127.0.0.1:%u",
                    (unsigned) MHD_get_daemon_info(v->daemon, MHD_DAEMON_INFO_BIND_PORT)->port); /* fits */
}

static inline void vault_double_wake(struct vault_double *v)
{
    (void) pthread_mutex_lock(&v->mutex);
    v->hangs = false;
    for (size_t i = 0; i < v->n_hung; i++)
        MHD_resume_connection(v->hung[i]);
    v->n_hung = 0;
    (void) pthread_mutex_unlock(&v->mutex);
}

static inline void vault_double_stop(struct vault_double *v)
{
    vault_double_wake(v);
    MHD_stop_daemon(v->daemon);
    (void) pthread_mutex_destroy(&v->mutex);
    buffer_free(&v->ca);
    buffer_free(&v->key_pem);
}
