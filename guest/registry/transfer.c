#include "guest/registry/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/text.h"
#include "guest/registry/limits.h"

enum { REDIRECTS_MAX = 5, REASON_MAX = 160 };

struct transfers {
    struct loop       *loop;
    CURLM             *multi;
    struct loop_source timer;
    struct buffer      ca_pem;
    char              *https_proxy, *http_proxy, *no_proxy;
    uint32_t           patience_s;
};

struct transfer {
    struct transfers       *all;
    struct transfer_request request;
    CURL                   *curl;
    struct curl_slist      *headers;
    bool                    is_added;
    size_t                  header_bytes;
    bool                    has_headers; /* all of the last answer's */
    char                    errors[CURL_ERROR_SIZE];
};

/* One of libcurl's sockets on our loop. */
struct watch {
    struct transfers  *all;
    struct loop_source source;
};

static enum err_kind kind_of(CURLcode code)
{
    switch ((int) code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return ERR_UNTRUSTED;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_RECV_ERROR:
        return ERR_MALFORMED;
    case CURLE_TOO_MANY_REDIRECTS:
        return ERR_LIMIT;
    case CURLE_UNSUPPORTED_PROTOCOL: /* a scheme, also of a redirect; HTTP/0.9 */
        return ERR_UNSUPPORTED;
    case CURLE_URL_MALFORMAT:
        return ERR_CONFIG;
    default:
        return ERR_OS;
    }
}

static void tell_done(struct transfer *t, CURLcode code)
{
    AUTO(buffer) struct buffer why  = { 0 };
    const char                *text = t->errors[0] ? t->errors : curl_easy_strerror(code);
    struct err                 err;

    (void) curl_multi_remove_handle(t->all->multi, t->curl); /* it was added */
    t->is_added = false;
    if (code == CURLE_OK && t->has_headers) {
        t->request.done(t->request.owner, t, NULL);
        return;
    }
    printable_append(&why, bytes_of_text(text), REASON_MAX);
    if (t->header_bytes > HEADERS_MAX)
        (void) fail_with(&err, ERR_LIMIT, "over %d bytes of headers", HEADERS_MAX); /* false is what it returns */
    else if (code == CURLE_OK) /* what libcurl calls an answer whose headers do not end */
        (void) fail_with(&err, ERR_MALFORMED, "the answer breaks off in its headers"); /* likewise */
    else if (code == CURLE_OUT_OF_MEMORY) /* what libcurl calls a header that it finds too long */
        (void) fail_with(&err, ERR_LIMIT, "a header that is too long"); /* likewise */
    else
        (void) fail_with(&err, kind_of(code), "%s", buffer_text(&why)); /* likewise */
    t->request.done(t->request.owner, t, &err);
}

/* `done` may start and free transfers: nothing of a message is used after it. */
static void tell_all_done(struct transfers *all)
{
    int left = 0;

    for (CURLMsg *message; (message = curl_multi_info_read(all->multi, &left));) {
        struct transfer *t    = NULL;
        CURLcode         code = message->data.result;

        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &t) == CURLE_OK && t)
            tell_done(t, code);
    }
}

static void act(struct transfers *all, curl_socket_t fd, int events)
{
    int running;

    (void) curl_multi_socket_action(all->multi, fd, events, &running); /* a transfer's failure is in its message */
    tell_all_done(all);
}

/* The source is gone when libcurl is done with its socket: it is not touched afterwards. */
static void socket_is_ready(struct loop_source *source, uint32_t events)
{
    const struct watch *watch = source->owner;

    act(watch->all, source->fd,
        ((events & (EPOLLIN | EPOLLHUP)) ? CURL_CSELECT_IN : 0) | ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
            ((events & EPOLLERR) ? CURL_CSELECT_ERR : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *of_socket)
{
    struct transfers *all    = owner;
    struct watch     *watch  = of_socket;
    uint32_t          events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    struct err        err;

    (void) easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            loop_remove(&watch->source);
        free(watch);
        (void) curl_multi_assign(all->multi, fd, NULL); /* the socket is libcurl's own */
        return 0;
    }
    if (watch)
        return loop_change(&watch->source, events, &err) ? 0 : -1;
    watch = calloc(1, sizeof *watch);
    if (!watch)
        abort();
    *watch = (struct watch){ all, { .fd = fd, .ready = socket_is_ready, .owner = watch } };
    if (!loop_add(all->loop, &watch->source, events, &err)) {
        free(watch);
        return -1;
    }
    (void) curl_multi_assign(all->multi, fd, watch); /* as above */
    return 0;
}

static int on_timer(CURLM *multi, long delay_ms, void *owner)
{
    struct transfers *all  = owner;
    struct itimerspec when = { 0 };

    (void) multi;
    if (delay_ms >= 0)
        when.it_value = (struct timespec){ delay_ms / 1000, delay_ms % 1000 * 1000000 + (delay_ms == 0) };
    return timerfd_settime(all->timer.fd, 0, &when, NULL) == 0 ? 0 : -1;
}

static void timer_is_over(struct loop_source *source, uint32_t events)
{
    uint64_t n;

    (void) events;
    if (read(source->fd, &n, sizeof n) < 0 && errno == EAGAIN)
        return;
    act(source->owner, CURL_SOCKET_TIMEOUT, 0);
}

static char *copy_or_null(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        abort();
    return copy;
}

FALLIBLE transfers_new(const struct transfers_options *options, struct transfers **out, struct err *err)
{
    AUTO(transfers) struct transfers *all = calloc(1, sizeof *all);

    if (!all || curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiped_free, wiped_realloc, strdup, calloc) != CURLE_OK)
        abort(); /* wiped: its headers have what lets us in */
    all->loop  = options->loop;
    all->timer = (struct loop_source){ .fd = NO_FD, .ready = timer_is_over, .owner = all };
    all->multi = curl_multi_init();
    buffer_append(&all->ca_pem, options->ca_pem);
    all->https_proxy = copy_or_null(options->https_proxy);
    all->http_proxy  = copy_or_null(options->http_proxy);
    all->no_proxy    = copy_or_null(options->no_proxy);
    all->patience_s  = options->patience_s;
    if (!all->multi || curl_multi_setopt(all->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(all->multi, CURLMOPT_SOCKETDATA, all) != CURLM_OK ||
        curl_multi_setopt(all->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(all->multi, CURLMOPT_TIMERDATA, all) != CURLM_OK)
        return fail_with(err, ERR_BUG, "libcurl refuses our options");
    all->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (all->timer.fd < 0)
        return err_os(err, "timer");
    if (!loop_add(all->loop, &all->timer, EPOLLIN, err))
        return false;
    *out = TAKE(all);
    return true;
}

void transfers_free(struct transfers *all)
{
    if (!all)
        return;
    (void) curl_multi_cleanup(all->multi); /* its last sockets are told to on_socket */
    loop_remove(&all->timer);
    auto_fd(&all->timer.fd);
    buffer_free(&all->ca_pem);
    free(all->https_proxy);
    free(all->http_proxy);
    free(all->no_proxy);
    free(all);
    curl_global_cleanup();
}

static size_t on_body(char *at, size_t size, size_t n, void *owner)
{
    struct transfer *t = owner;

    switch (t->request.piece(t->request.owner, t, (struct bytes){ (const uint8_t *) at, size * n })) {
    case PIECE_TAKEN:
        return size * n;
    case PIECE_LATER:
        return CURL_WRITEFUNC_PAUSE;
    case PIECE_STOP:
        break;
    }
    return size * n + 1; /* any other number ends it */
}

/* libcurl bounds a header, and keeps as many as come. */
static size_t on_header(char *at, size_t size, size_t n, void *owner)
{
    struct transfer *t = owner;

    t->header_bytes += size * n;
    if (size * n >= 5 && memcmp(at, "HTTP/", 5) == 0)
        t->has_headers = false;
    else if (size * n <= 2) /* the empty line behind them; trailers have none */
        t->has_headers = true;
    return t->header_bytes <= HEADERS_MAX ? size * n : size * n + 1; /* any other number ends it */
}

static CURLcode wipe_records(CURL *curl, void *context, void *owner)
{
    (void) curl;
    (void) owner;
    (void) SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT); /* gives all options */
    return CURLE_OK;
}

static bool set_trust(struct transfer *t)
{
    const struct transfers *all = t->all;
    struct curl_blob        ca  = { all->ca_pem.at, all->ca_pem.len, CURL_BLOB_NOCOPY };
    const char             *schemes = t->request.allows_http ? "http,https" : "https";
    CURL                   *c   = t->curl;

    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, schemes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, schemes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAINFO, NULL) == CURLE_OK && /* the system's roots do not count */
           curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           (!t->request.is_secret || curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, wipe_records) == CURLE_OK) &&
           (ca.len == 0 || (curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca) == CURLE_OK &&
                            curl_easy_setopt(c, CURLOPT_PROXY_CAINFO_BLOB, &ca) == CURLE_OK));
}

/* The scheme decides which proxy; with none, libcurl would look into the environment. */
static bool set_proxy(struct transfer *t)
{
    bool        is_plain = strncmp(t->request.url, "http://", 7) == 0;
    const char *proxy    = is_plain ? t->all->http_proxy : t->all->https_proxy;

    return curl_easy_setopt(t->curl, CURLOPT_PROXY, proxy ? proxy : "") == CURLE_OK &&
           curl_easy_setopt(t->curl, CURLOPT_NOPROXY, t->all->no_proxy ? t->all->no_proxy : "") == CURLE_OK;
}

static bool set_limits(struct transfer *t)
{
    long  patience = (long) t->all->patience_s;
    CURL *c        = t->curl;

    return curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long) REDIRECTS_MAX) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, patience > 0 ? patience * 1000 : (long) FETCH_CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long) FETCH_SPEED_MIN) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, patience > 0 ? patience : (long) FETCH_SILENCE_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK;
}

static void header_add(struct transfer *t, const char *name, const char *value)
{
    AUTO(buffer) struct buffer line = { 0 };
    struct curl_slist         *more;

    buffer_printf(&line, "%s: %s", name, value);
    more = curl_slist_append(t->headers, buffer_text(&line));
    if (!more)
        abort();
    t->headers = more;
}

/* Who we are goes to the host of the URL only: libcurl does not repeat it where a redirect leads elsewhere. */
static bool set_request(struct transfer *t)
{
    const struct transfer_request *r = &t->request;
    char                           range[32];
    CURL                          *c = t->curl;

    if (r->accept)
        header_add(t, "Accept", r->accept);
    (void) snprintf(range, sizeof range, "%llu-", (unsigned long long) r->offset); /* fits any number */
    return curl_easy_setopt(c, CURLOPT_URL, r->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "cloister/" CLOISTER_VERSION) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->errors) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           (r->offset == 0 || curl_easy_setopt(c, CURLOPT_RANGE, range) == CURLE_OK) &&
           (!r->basic || (curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC) == CURLE_OK &&
                          curl_easy_setopt(c, CURLOPT_USERPWD, r->basic) == CURLE_OK)) &&
           (!r->bearer || (curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER) == CURLE_OK &&
                           curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, r->bearer) == CURLE_OK));
}

FALLIBLE transfer_start(struct transfers *all, const struct transfer_request *request, struct transfer **out,
                        struct err *err)
{
    AUTO(transfer) struct transfer *t = calloc(1, sizeof *t);

    if (!t)
        abort();
    t->all     = all;
    t->request = *request;
    t->curl    = curl_easy_init();
    if (!t->curl)
        abort();
    if (!request->allows_http && strncmp(request->url, "https://", 8) != 0)
        return fail_with(err, ERR_CONFIG, "%.120s: https:// is wanted", request->url);
    if (all->ca_pem.len == 0 && strncmp(request->url, "https://", 8) == 0)
        return fail_with(err, ERR_CONFIG, "no CA certificate to trust: extra_root_certificates is empty");
    if (!set_trust(t) || !set_proxy(t) || !set_limits(t) || !set_request(t))
        return fail_with(err, ERR_CONFIG, "libcurl refuses the request");
    t->request.url = t->request.accept = t->request.basic = t->request.bearer = NULL; /* libcurl has its copies */
    if (curl_multi_add_handle(all->multi, t->curl) != CURLM_OK)
        return fail_with(err, ERR_BUG, "libcurl refuses the transfer");
    t->is_added = true;
    *out        = TAKE(t);
    return true;
}

void transfer_resume(struct transfer *transfer)
{
    (void) curl_easy_pause(transfer->curl, CURLPAUSE_CONT); /* a failure ends the transfer, which is told */
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    if (transfer->is_added)
        (void) curl_multi_remove_handle(transfer->all->multi, transfer->curl); /* it was added */
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    free(transfer);
}

long transfer_status(const struct transfer *transfer)
{
    long status = 0;

    return curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK ? status : 0;
}

const char *transfer_header(const struct transfer *transfer, const char *name, size_t i)
{
    struct curl_header *header;

    return curl_easy_header(transfer->curl, name, i, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

/* "bytes FIRST-LAST/TOTAL"; a total of "*" is no total. */
static bool content_range(const struct transfer *transfer, uint64_t *first, uint64_t *total)
{
    const char        *text = transfer_header(transfer, "Content-Range", 0);
    unsigned long long from, to, of;
    int                read = 0;

    if (!text || strspn(text, "bytes 0123456789-/") != strlen(text) ||
        sscanf(text, "bytes %18llu-%18llu/%18llu%n", &from, &to, &of, &read) != 3 || text[read] || to < from || of <= to)
        return false;
    *first = from;
    *total = of;
    return true;
}

bool transfer_first(const struct transfer *transfer, uint64_t *first)
{
    uint64_t total;

    *first = 0;
    return transfer_status(transfer) != 206 || content_range(transfer, first, &total);
}

bool transfer_total(const struct transfer *transfer, uint64_t *total)
{
    uint64_t   first;
    curl_off_t length = -1;

    if (transfer_status(transfer) == 206)
        return content_range(transfer, &first, total);
    if (curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) != CURLE_OK || length < 0)
        return false;
    *total = (uint64_t) length;
    return true;
}
