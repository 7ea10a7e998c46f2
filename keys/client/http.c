#include "keys/client/http.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/relay.h"

enum { TIMEOUT_MS = 60000, TIMEOUT_MS_MAX = 600000, URL_MAX = 2048, WAIT_MS = 1000 };

struct http {
    CURL              *curl;
    CURLM             *multi; /* keeps the connection; holds `curl` during an exchange */
    struct relay       relay; /* with a hook */
    char               url[URL_MAX];
    struct curl_slist *connect_to; /* with a hook: no name is ever resolved */
    int              (*connect)(void *owner, struct err *err);
    void              *owner;
    struct err         connect_err; /* why the hook gave no socket */
    const char        *peer;
    size_t             answer_most;
    struct buffer     *body;        /* of the exchange under way */
    bool               body_over;
    bool               is_fixed;    /* the body's room is made before it comes */
    char               errors[CURL_ERROR_SIZE];
};

DEFINE_AUTO(slist, struct curl_slist *, curl_slist_free_all)

void http_close(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    (void) curl_multi_cleanup(http->multi); /* holds no handle between exchanges */
    relay_close(&http->relay);
    curl_slist_free_all(http->connect_to);
    free(http);
    curl_global_cleanup();
}

static size_t body_arrived(char *at, size_t size, size_t n, void *owner)
{
    struct http *http = owner;

    if (size * n > http->answer_most - http->body->len) {
        http->body_over = true;
        return 0; /* aborts the transfer */
    }
    buffer_append(http->body, (struct bytes){ (uint8_t *) at, size * n });
    return size * n;
}

/* libcurl connects what it gets here to `address`, as it is left: to our relay. */
static curl_socket_t socket_opened(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http    *http = owner;
    int             far  = http->connect(http->owner, &http->connect_err);
    struct sockaddr near;
    socklen_t       len;
    int             fd;

    (void) purpose;
    if (far < 0 || !relay_open(&http->relay, far, &near, &len, &http->connect_err))
        return CURL_SOCKET_BAD;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void) err_os(&http->connect_err, "open a socket");
        return CURL_SOCKET_BAD;
    }
    address->family   = AF_UNIX;
    address->protocol = 0;
    address->addrlen  = len;
    memcpy(&address->addr, &near, len);
    return fd;
}

static bool set_fixed(struct http *http, const struct http_options *options)
{
    uint32_t         ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    CURL            *c  = http->curl;

    return curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->errors) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && /* nor the environment's */
           curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long) (ms < TIMEOUT_MS_MAX ? ms : TIMEOUT_MS_MAX)) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "cloister/0.1") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, body_arrived) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, http) == CURLE_OK;
}

static bool set_certificate(struct http *http, const struct http_options *options)
{
    struct curl_blob certificate = { (void *) (uintptr_t) options->certificate_pem.at, options->certificate_pem.len, CURL_BLOB_COPY };
    struct curl_blob key         = { (void *) (uintptr_t) options->key_pem.at, options->key_pem.len, CURL_BLOB_COPY };

    return options->certificate_pem.len == 0 || (curl_easy_setopt(http->curl, CURLOPT_SSLCERT_BLOB, &certificate) == CURLE_OK &&
                                                 curl_easy_setopt(http->curl, CURLOPT_SSLKEY_BLOB, &key) == CURLE_OK);
}

/* Records are decrypted in OpenSSL's own buffer: what was in it is wiped as soon as libcurl has it. */
static CURLcode wipe_records(CURL *curl, void *context, void *owner)
{
    (void) curl;
    (void) owner;
    (void) SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT); /* gives all options */
    return CURLE_OK;
}

static bool set_trust(struct http *http, const struct http_options *options)
{
    struct curl_blob ca = { (void *) (uintptr_t) options->ca_pem.at, options->ca_pem.len, CURL_BLOB_COPY };
    CURL            *c  = http->curl;

    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAINFO, NULL) == CURLE_OK && /* the system's roots do not count */
           curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, wipe_records) == CURLE_OK && set_certificate(http, options);
}

static bool set_plain(struct http *http) { return curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK; }

static bool set_hook(struct http *http)
{
    http->connect_to = curl_slist_append(NULL, "::127.0.0.1:");
    return http->connect_to && curl_easy_setopt(http->curl, CURLOPT_CONNECT_TO, http->connect_to) == CURLE_OK &&
           curl_easy_setopt(http->curl, CURLOPT_OPENSOCKETFUNCTION, socket_opened) == CURLE_OK &&
           curl_easy_setopt(http->curl, CURLOPT_OPENSOCKETDATA, http) == CURLE_OK;
}

/* By name alone: libcurl never asks anybody where localhost is. */
static bool is_loopback_http(const char *url)
{
    static const char *const HOSTS[] = { "http://127.0.0.1", "http://[::1]", "http://localhost" };

    for (size_t i = 0; i < sizeof HOSTS / sizeof *HOSTS; i++) {
        size_t len = strlen(HOSTS[i]);

        if (strncmp(url, HOSTS[i], len) == 0 && strspn(url + len + (url[len] == ':'), "0123456789/") == strlen(url + len + (url[len] == ':')))
            return url[len] == 0 || url[len] == ':' || url[len] == '/';
    }
    return false;
}

FALLIBLE http_open(const struct http_options *options, struct http **out, struct err *err)
{
    AUTO(http) struct http *http = NULL;
    size_t                  len  = strlen(options->url);
    const char             *peer = options->peer ? options->peer : "broker";
    bool                    is_plain = options->plain_on_loopback && is_loopback_http(options->url);

    if (!is_plain && strncmp(options->url, "http://", 7) == 0)
        return fail_with(err, ERR_CONFIG, "%s: %s", peer, options->plain_on_loopback
                         ? "plain HTTP is spoken with 127.0.0.1, [::1] and localhost only"
                         : "http:// proves to nobody who answers: the URL must begin with https://");
    if ((!is_plain && strncmp(options->url, "https://", 8) != 0) || len >= URL_MAX / 2)
        return fail_with(err, ERR_CONFIG, "%s: the URL must begin with https:// and be short", peer);
    if (!is_plain && options->ca_pem.len == 0)
        return fail_with(err, ERR_CONFIG, "%s: no CA certificate to trust", peer);
    http = calloc(1, sizeof *http);
    if (!http || curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiped_free, wiped_realloc, strdup, calloc) != CURLE_OK)
        abort(); /* wiped: its headers have tokens */
    while (len > 0 && options->url[len - 1] == '/')
        len--;
    (void) snprintf(http->url, sizeof http->url, "%.*s", (int) len, options->url); /* fits: asked above */
    http->peer        = peer;
    http->answer_most = options->answer_most ? options->answer_most : KBS_ANSWER_MAX;
    http->is_fixed    = options->answer_most != 0;
    http->connect = options->connect;
    http->owner   = options->owner;
    http->relay   = NO_RELAY;
    http->curl    = curl_easy_init();
    http->multi   = curl_multi_init();
    if (!http->curl || !http->multi || !set_fixed(http, options) || !(is_plain ? set_plain(http) : set_trust(http, options)) ||
        (http->connect && !set_hook(http)))
        return fail_with(err, ERR_BUG, "%s: libcurl refuses our options", peer);
    *out = TAKE(http);
    return true;
}

static FALLIBLE header_add(struct curl_slist **list, const char *name, const char *value, struct err *err)
{
    AUTO(buffer) struct buffer line = WIPED_BUFFER;
    struct curl_slist         *more;

    if (value && strpbrk(value, "\r\n"))
        return fail_with(err, ERR_MALFORMED, "a line end in the header %s", name);
    buffer_printf(&line, "%s:%s%s", name, value ? " " : "", value ? value : "");
    more = curl_slist_append(*list, buffer_text(&line));
    if (!more)
        abort();
    *list = more;
    return true;
}

static FALLIBLE set_request(struct http *http, const struct http_request *r, struct curl_slist **headers,
                            struct err *err)
{
    AUTO(buffer) struct buffer bearer = WIPED_BUFFER;
    bool                       posts  = strcmp(r->method, "POST") == 0;
    char                       url[URL_MAX];

    if ((size_t) snprintf(url, sizeof url, "%s%s", http->url, r->path) >= sizeof url)
        return fail_with(err, ERR_LIMIT, "%s: the path is too long", http->peer);
    if (r->bearer) {
        buffer_printf(&bearer, "Bearer %s", r->bearer);
        if (!header_add(headers, "Authorization", buffer_text(&bearer), err))
            return false;
    }
    if (!header_add(headers, "Expect", NULL, err) || (r->cookie && !header_add(headers, "Cookie", r->cookie, err)) ||
        (r->claims && !header_add(headers, ADMIN_CLAIMS_HEADER, r->claims, err)) ||
        (r->content_type && !header_add(headers, "Content-Type", r->content_type, err)))
        return false;
    for (size_t i = 0; i < r->n_more; i++) {
        if (!header_add(headers, r->more[i].name, r->more[i].value, err))
            return false;
    }
    if (curl_easy_setopt(http->curl, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, *headers) != CURLE_OK ||
        curl_easy_setopt(http->curl, posts ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) != CURLE_OK ||
        curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, r->method) != CURLE_OK ||
        (posts && (curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) r->body.len) != CURLE_OK ||
                   curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, r->body.len ? (const char *) r->body.at : "") !=
                       CURLE_OK)))
        return fail_with(err, ERR_BUG, "%s: libcurl refuses the request", http->peer);
    return true;
}

static bool transfer_failed(struct http *http, CURLcode code, struct err *err)
{
    AUTO(buffer) struct buffer why  = { 0 };
    const char                *text = http->errors[0] ? http->errors : curl_easy_strerror(code);
    enum err_kind              kind = ERR_OS;

    if (http->connect_err.kind != ERR_NONE) {
        *err = http->connect_err;
        return context(err, http->peer);
    }
    if (http->body_over)
        return fail_with(err, ERR_LIMIT, "%s: an answer of more than %zu bytes", http->peer, http->answer_most);
    if (code == CURLE_OPERATION_TIMEDOUT)
        kind = ERR_TIMEOUT;
    else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM)
        kind = ERR_UNTRUSTED;
    else if (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_BAD_CONTENT_ENCODING)
        kind = ERR_MALFORMED;
    printable_append(&why, bytes_of_text(text), KBS_REASON_MAX);
    return fail_with(err, kind, "%s %s: %s", http->peer, http->url, buffer_text(&why));
}

/* "name=value" from the last Set-Cookie of that name. Its expiry is not looked at: a guest's clock may be wrong. */
static void cookie_pick(struct http *http, const char *name, struct http_answer *out)
{
    struct curl_header *header;
    size_t              name_len = strlen(name);

    for (size_t i = 0; curl_easy_header(http->curl, "Set-Cookie", i, CURLH_HEADER, -1, &header) == CURLHE_OK; i++) {
        size_t len = strcspn(header->value, "; \t");

        if (strncmp(header->value, name, name_len) != 0 || header->value[name_len] != '=' || len >= HTTP_COOKIE_MAX)
            continue;
        memcpy(out->cookie, header->value, len);
        out->cookie[len] = 0;
        (void) snprintf(out->cookie_attributes, sizeof out->cookie_attributes, "%s", header->value + len); /* cut by design */
    }
}

/* Runs the transfer to its end, and the relay beside it. */
static CURLcode transfer_run(struct http *http)
{
    int running = 1;

    if (curl_multi_add_handle(http->multi, http->curl) != CURLM_OK)
        return CURLE_FAILED_INIT;
    while (curl_multi_perform(http->multi, &running) == CURLM_OK && running > 0) {
        struct pollfd      wanted[RELAY_FDS];
        struct curl_waitfd fds[RELAY_FDS];
        unsigned           n = relay_wants(&http->relay, wanted);

        for (unsigned i = 0; i < n; i++)
            fds[i] = (struct curl_waitfd){ .fd     = wanted[i].fd,
                                           .events = (short) ((wanted[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) |
                                                              (wanted[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0)) };
        if (curl_multi_poll(http->multi, fds, n, WAIT_MS, NULL) != CURLM_OK)
            break;
        relay_move(&http->relay);
    }

    CURLcode code  = CURLE_FAILED_INIT;
    int      after = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &after));)
        code = message->msg == CURLMSG_DONE ? message->data.result : code;
    (void) curl_multi_remove_handle(http->multi, http->curl); /* it was added above */
    return code;
}

FALLIBLE http_exchange(struct http *http, const struct http_request *request, const char *cookie_name,
                       struct http_answer *out, struct err *err)
{
    AUTO(slist) struct curl_slist *headers = NULL;
    CURLcode                       code;
    char                          *type = NULL;

    buffer_free(&out->body);
    *out              = (struct http_answer){ .body = WIPED_BUFFER };
    http->body        = &out->body;
    http->body_over   = false;
    http->connect_err = (struct err){ 0 };
    http->errors[0]   = 0;
    if (http->is_fixed) {
        (void) buffer_grow(&out->body, http->answer_most); /* room alone */
        out->body.len = 0;
    }
    if (!set_request(http, request, &headers, err))
        return false;
    code = transfer_run(http);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &out->status);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(http->curl, CURLINFO_CONTENT_TYPE, &type);
    if (code != CURLE_OK)
        return transfer_failed(http, code, err);
    (void) snprintf(out->content_type, sizeof out->content_type, "%s", type ? type : ""); /* cut by design */
    if (cookie_name)
        cookie_pick(http, cookie_name, out);
    return true;
}

static struct json_object *error_document(const struct http_answer *answer)
{
    struct json_object *document = NULL;
    struct err          ignored; /* no document is an answer too */

    return json_read(buffer_bytes(&answer->body), KBS_ERROR_BODY_MAX, &document, &ignored) ? document : NULL;
}

bool http_error_is(const struct http_answer *answer, const char *variant)
{
    AUTO(json) struct json_object *document = error_document(answer);
    const char                    *type;
    struct err                     ignored; /* no type, no match */

    return json_get_text(document, "type", &type, &ignored) && strncmp(type, KBS_ERROR_TYPE, strlen(KBS_ERROR_TYPE)) == 0 &&
           strcmp(type + strlen(KBS_ERROR_TYPE), variant) == 0;
}

static enum err_kind kind_of_status(long status)
{
    switch (status) {
    case 401:
    case 403: return ERR_DENIED;
    case 404: return ERR_NOT_FOUND;
    case 413:
    case 429: return ERR_LIMIT;
    default:  return ERR_OS;
    }
}

FALLIBLE http_succeeded(const struct http_answer *answer, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    AUTO(buffer) struct buffer     shown    = { 0 };
    const char                    *detail;
    struct err                     ignored; /* without a detail the status speaks */

    if (answer->status >= 200 && answer->status < 300)
        return true;
    document = error_document(answer);
    if (!json_get_text(document, "detail", &detail, &ignored))
        return fail_with(err, kind_of_status(answer->status), "the broker answers with status %ld", answer->status);
    printable_append(&shown, bytes_of_text(detail), KBS_REASON_MAX);
    return fail_with(err, kind_of_status(answer->status), "%s", buffer_text(&shown));
}
