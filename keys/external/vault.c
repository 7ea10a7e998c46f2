#include "keys/external/vault.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "keys/client/http.h"
#include "keys/external/vault_answer.h"
#include "keys/jose/jcs.h"

enum { IDLE_MAX = 8, LEASE_KEPT_TENTHS = 8 };

struct vault {
    char         *url, *mount, *folder, *space, *role_id;
    struct buffer ca_pem;
    struct secret secret_id;
    uint32_t      timeout_ms;
    bool          by_role;

    pthread_mutex_t mutex; /* over all below; held while one thread logs in for all */
    struct secret   token; /* with a zero behind it; empty: not logged in */
    int64_t         token_until; /* by the monotonic clock; 0: it does not end */
    uint64_t        token_number; /* counts logins */
    struct http    *idle[IDLE_MAX];
    size_t          n_idle;
};

void vault_free(struct vault *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_idle; i++)
        http_close(v->idle[i]);
    (void) pthread_mutex_destroy(&v->mutex); /* nobody asks any more */
    secret_free(&v->token);
    secret_free(&v->secret_id);
    buffer_free(&v->ca_pem);
    free(v->url);
    free(v->mount);
    free(v->folder);
    free(v->space);
    free(v->role_id);
    free(v);
}

static int64_t monotonic_s(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return t.tv_sec;
}

/* Names with single slashes between them, nothing that a URL would read otherwise. */
static bool is_folder(const char *text)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    size_t            len       = strlen(text);

    return len > 0 && len <= VAULT_NAME_MAX && strspn(text, ALLOWED) == len && text[0] != '/' && text[len - 1] != '/' &&
           !strstr(text, "//") && !strstr(text, "..");
}

static FALLIBLE options_check(const struct vault_options *o, struct err *err)
{
    if (!is_folder(o->mount) || (o->folder && !is_folder(o->folder)))
        return fail_with(err, ERR_CONFIG, "Vault: mount and folder are names with single slashes between, such as \"secret\"");
    if (o->space && (!is_folder(o->space)))
        return fail_with(err, ERR_CONFIG, "Vault: a namespace is names with single slashes between");
    if (!o->token == !o->role_id)
        return fail_with(err, ERR_CONFIG, "Vault: give either a token or an AppRole");
    return !o->role_id || o->secret_id || fail_with(err, ERR_CONFIG, "Vault: an AppRole needs its secret id");
}

static char *copied(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        abort();
    return copy;
}

/* Copies with a zero behind, as a header's value. */
static FALLIBLE token_set(struct vault *v, struct bytes text, struct err *err)
{
    AUTO(secret) struct secret token = { 0 };

    if (!secret_new(text.len + 1, &token, err))
        return false;
    memcpy(token.held, text.at, text.len);
    secret_free(&v->token);
    v->token = TAKE(token);
    return true;
}

static FALLIBLE given_set(struct vault *v, const struct vault_options *o, struct err *err)
{
    struct bytes token = o->token ? secret_expose(o->token) : (struct bytes){ 0 };

    if (!o->token)
        return secret_copy(secret_expose(o->secret_id), &v->secret_id, err);
    for (size_t i = 0; i < token.len; i++) {
        if (token.at[i] <= 0x20 || token.at[i] >= 0x7f)
            return fail_with(err, ERR_CONFIG, "Vault: the token has a blank or what is not printable in it");
    }
    return token.len > 0 && token.len <= VAULT_TOKEN_MAX ? token_set(v, token, err)
                                                         : fail_with(err, ERR_CONFIG, "Vault: the token is empty or too long");
}

static FALLIBLE connection_open(const struct vault *v, struct http **out, struct err *err)
{
    struct http_options options = { .url = v->url, .ca_pem = buffer_bytes(&v->ca_pem), .timeout_ms = v->timeout_ms,
                                    .peer = "Vault", .answer_most = VAULT_ANSWER_MAX };

    return http_open(&options, out, err);
}

FALLIBLE vault_new(const struct vault_options *options, struct vault **out, struct err *err)
{
    AUTO(vault) struct vault *v     = calloc(1, sizeof *v);
    AUTO(http) struct http   *probe = NULL; /* whether URL and CA can be used at all; it asks nothing */

    if (!v || pthread_mutex_init(&v->mutex, NULL) != 0)
        abort();
    if (!options_check(options, err))
        return false;
    v->url        = copied(options->url);
    v->mount      = copied(options->mount);
    v->folder     = copied(options->folder);
    v->space      = copied(options->space);
    v->role_id    = copied(options->role_id);
    v->by_role    = options->role_id != NULL;
    v->timeout_ms = options->timeout_ms;
    buffer_append(&v->ca_pem, options->ca_pem);
    if (!given_set(v, options, err) || !connection_open(v, &probe, err))
        return false;
    *out = TAKE(v);
    return true;
}

/* ---- connections ---- */

static FALLIBLE connection_take(struct vault *v, struct http **out, struct err *err)
{
    *out = NULL;
    (void) pthread_mutex_lock(&v->mutex); /* fails only for a mutex that is none */
    if (v->n_idle > 0)
        *out = v->idle[--v->n_idle];
    (void) pthread_mutex_unlock(&v->mutex);
    return *out || connection_open(v, out, err);
}

static void connection_give(struct vault *v, struct http **http_take)
{
    (void) pthread_mutex_lock(&v->mutex);
    if (v->n_idle < IDLE_MAX)
        v->idle[v->n_idle++] = TAKE(*http_take);
    (void) pthread_mutex_unlock(&v->mutex);
    http_close(TAKE(*http_take));
}

/* ---- what Vault says ---- */

static FALLIBLE status_check(const struct http_answer *a, const char *what, struct err *err)
{
    AUTO(buffer) struct buffer words = { 0 };
    enum err_kind              kind  = a->status == 404 ? ERR_NOT_FOUND : a->status == 403 ? ERR_DENIED : a->status == 429 ? ERR_LIMIT : ERR_OS;

    if (a->status == 200)
        return true;
    vault_error_append(buffer_bytes(&a->body), &words);
    if (kind == ERR_NOT_FOUND)
        return fail_with(err, kind, "Vault has no %s", what);
    return fail_with(err, kind, "Vault answers %s with status %ld%s%s", what, a->status, words.len ? ": " : "", buffer_text(&words));
}

static size_t headers_of(const struct vault *v, const char *token, struct http_header out[3])
{
    size_t n = 0;

    out[n++] = (struct http_header){ "X-Vault-Request", "true" };
    if (token)
        out[n++] = (struct http_header){ "X-Vault-Token", token };
    if (v->space)
        out[n++] = (struct http_header){ "X-Vault-Namespace", v->space };
    return n;
}

/* Holds the mutex: whoever else wants a token waits for this one. */
static FALLIBLE login(struct vault *v, struct http *http, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           body   = WIPED_BUFFER;
    AUTO(secret) struct secret            token  = { 0 };
    struct http_header                    more[3];
    struct http_request                   r = { .method = "POST", .path = "/v1/auth/approle/login", .content_type = "application/json",
                                                .more = more, .n_more = headers_of(v, NULL, more) };
    uint64_t                              lease_s = 0;

    (void) buffer_grow(&body, 6 * (v->secret_id.len + strlen(v->role_id)) + 64); /* room: it does not move after this */
    body.len = 0;
    buffer_append_text(&body, "{\"role_id\":");
    jcs_append_text(bytes_of_text(v->role_id), &body);
    buffer_append_text(&body, ",\"secret_id\":");
    jcs_append_text(secret_expose(&v->secret_id), &body);
    buffer_append_text(&body, "}");
    r.body = buffer_bytes(&body);
    if (!http_exchange(http, &r, NULL, &answer, err))
        return false;
    if (!status_check(&answer, "the login by AppRole", err)) {
        err->kind = err->kind == ERR_OS && answer.status == 400 ? ERR_DENIED : err->kind; /* a wrong role or secret id */
        return false;
    }
    if (!vault_login_read(buffer_bytes(&answer.body), &token, &lease_s, err) || !token_set(v, secret_expose(&token), err))
        return context(err, "Vault");
    v->token_number++;
    v->token_until = lease_s ? monotonic_s() + (int64_t) lease_s * LEASE_KEPT_TENTHS / 10 : 0;
    return true;
}

/*
 * A copy of the token in force.
 *
 *   number    in: the login whose token Vault refused, 0 for none; out: the login that this one is of
 */
static FALLIBLE token_copy(struct vault *v, struct http *http, uint64_t *number, struct secret *out, struct err *err)
{
    bool is_fine = true;

    (void) pthread_mutex_lock(&v->mutex);
    if (v->by_role && (v->token.len == 0 || v->token_number == *number || (v->token_until && monotonic_s() >= v->token_until)))
        is_fine = login(v, http, err);
    is_fine = is_fine && secret_copy(secret_expose(&v->token), out, err);
    *number = v->token_number;
    (void) pthread_mutex_unlock(&v->mutex);
    return is_fine;
}

static FALLIBLE ask(struct vault *v, struct http *http, const char *path, uint64_t *number, struct http_answer *answer, struct err *err)
{
    AUTO(secret) struct secret token = { 0 };
    AUTO(buffer) struct buffer url   = { 0 };
    struct http_header         more[3];
    struct http_request        r = { .method = "GET", .more = more };

    if (!token_copy(v, http, number, &token, err))
        return false;
    buffer_printf(&url, "/v1/%s/data/%s%s%s", v->mount, v->folder ? v->folder : "", v->folder ? "/" : "", path);
    r.path   = buffer_text(&url);
    r.n_more = headers_of(v, (const char *) secret_expose(&token).at, more);
    return http_exchange(http, &r, NULL, answer, err);
}

static FALLIBLE secret_ask(struct vault *v, struct http *http, const char *path, struct secret *out, struct err *err)
{
    AUTO(http_answer) struct http_answer first = { 0 }, second = { 0 };
    struct http_answer                   *answer = &first;
    uint64_t                              number = 0;
    AUTO(buffer) struct buffer            what   = { 0 };

    if (!ask(v, http, path, &number, &first, err))
        return false;
    if (first.status == 403 && v->by_role) { /* the token may have been revoked: once more with another */
        answer = &second;
        if (!ask(v, http, path, &number, &second, err))
            return false;
    }
    buffer_printf(&what, "secret %s", path);
    return status_check(answer, buffer_text(&what), err) &&
           (vault_value_read(buffer_bytes(&answer->body), out, err) || contextf(err, "Vault: %s", path));
}

FALLIBLE vault_get(struct vault *vault, const char *path, struct secret *out, struct err *err)
{
    AUTO(http) struct http *http = NULL;

    if (!connection_take(vault, &http, err))
        return false;
    if (!secret_ask(vault, http, path, out, err))
        return false; /* the connection may be in any state: not kept */
    connection_give(vault, &http);
    return true;
}
