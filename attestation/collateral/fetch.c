#include "attestation/collateral/fetch.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { TIMEOUT_DEFAULT_MS = 10000, ATTEMPTS_MAX = 8 };

DEFINE_AUTO(curl, CURL *, curl_easy_cleanup)

/* What one transfer collects. */
struct transfer {
    struct buffer body, chain; /* chain: still percent-encoded */
    long          status;
    int64_t       retry_after_s;
    bool          too_large;
};

static void transfer_free(struct transfer *t)
{
    buffer_free(&t->body);
    buffer_free(&t->chain);
}
static inline void auto_transfer(struct transfer *t) { transfer_free(t); }

static size_t on_body(char *at, size_t one, size_t n, void *owner)
{
    struct transfer *t = owner;

    (void) one; /* always 1 */
    if (n > ANSWER_BODY_LEN_MAX - t->body.len) {
        t->too_large = true;
        return 0;
    }
    buffer_append(&t->body, (struct bytes){ (const uint8_t *) at, n });
    return n;
}

/* The value of "Name: value\r\n" when the name ends in `name`, else the empty view. */
static struct bytes header_value(const char *at, size_t len, const char *name, bool is_suffix)
{
    const char *colon = memchr(at, ':', len);
    size_t      n     = strlen(name), before = colon ? (size_t) (colon - at) : 0;

    if (before < n || (!is_suffix && before != n) || strncasecmp(colon - n, name, n) != 0)
        return (struct bytes){ 0 };

    struct bytes value = { (const uint8_t *) colon + 1, len - before - 1 };

    while (value.len > 0 && (value.at[0] == ' ' || value.at[0] == '\t')) {
        value.at++;
        value.len--;
    }
    while (value.len > 0 && (value.at[value.len - 1] == '\n' || value.at[value.len - 1] == '\r' ||
                             value.at[value.len - 1] == ' '))
        value.len--;
    return value;
}

/* Seconds; a date or nonsense counts as the default. */
static int64_t seconds_of(struct bytes value)
{
    int64_t seconds = 0;

    if (value.len == 0 || value.len > 9)
        return FETCH_RETRY_AFTER_DEFAULT_S;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return FETCH_RETRY_AFTER_DEFAULT_S;
        seconds = 10 * seconds + (value.at[i] - '0');
    }
    return seconds < FETCH_RETRY_AFTER_MAX_S ? seconds : FETCH_RETRY_AFTER_MAX_S;
}

static size_t on_header(char *at, size_t one, size_t n, void *owner)
{
    struct transfer *t     = owner;
    struct bytes     retry = header_value(at, n, "Retry-After", false);
    struct bytes     chain = header_value(at, n, "-Issuer-Chain", true);

    (void) one; /* always 1 */
    if (retry.len > 0)
        t->retry_after_s = seconds_of(retry);
    if (chain.len > ANSWER_HEADER_LEN_MAX - t->chain.len) {
        t->too_large = true;
        return 0;
    }
    if (chain.len > 0 && t->chain.len == 0)
        buffer_append(&t->chain, chain);
    return n;
}

static CURL *prepared(const char *url, const struct fetch_options *options, struct transfer *t)
{
    CURL *curl    = curl_easy_init();
    long  timeout = options->timeout_ms > 0 ? (long) options->timeout_ms : TIMEOUT_DEFAULT_MS;
    bool  ok      = curl && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, options->plain_http_allowed ? "https,http" : "https") ==
                  CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, NULL) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEDATA, t) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_HEADERDATA, t) == CURLE_OK &&
              (!options->ca_file || curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file) == CURLE_OK);

    if (ok)
        return curl;
    curl_easy_cleanup(curl);
    return NULL;
}

static FALLIBLE ask_once(const char *url, const struct fetch_options *options, struct transfer *t, struct err *err)
{
    AUTO(curl) CURL *curl = prepared(url, options, t);
    CURLcode         code;

    if (!curl)
        return fail_with(err, ERR_BUG, "libcurl cannot be set up");
    code = curl_easy_perform(curl);
    if (t->too_large)
        return fail_with(err, ERR_LIMIT, "answer is over %d bytes", ANSWER_BODY_LEN_MAX);
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
        return fail_with(err, ERR_CONFIG, "not an https URL");
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail_with(err, ERR_TIMEOUT, "no answer in time");
    if (code != CURLE_OK)
        return fail_with(err, ERR_OS, "%s", curl_easy_strerror(code));
    return curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &t->status) == CURLE_OK ||
           fail_with(err, ERR_BUG, "libcurl knows no status");
}

static bool is_busy(long status)
{
    return status == 429 || status == 503;
}

static void rest(int64_t seconds)
{
    struct timespec t = { .tv_sec = (time_t) seconds };

    while (nanosleep(&t, &t) != 0)
        ;
}

static FALLIBLE taken(const char *url, struct transfer *t, struct answer *out, struct err *err)
{
    char *chain = NULL;
    int   len   = 0;

    if (t->status == 404)
        return fail_with(err, ERR_NOT_FOUND, "the service knows no such thing (404)");
    if (t->status != 200)
        return fail_with(err, ERR_OS, "the service answers with status %ld", t->status);
    if (t->chain.len > 0) {
        chain = curl_easy_unescape(NULL, buffer_text(&t->chain), (int) t->chain.len, &len);
        if (!chain)
            return fail_with(err, ERR_MALFORMED, "issuer chain is not percent-encoded");
        buffer_append(&out->issuer_chain, (struct bytes){ (const uint8_t *) chain, (size_t) len });
        curl_free(chain);
    }
    buffer_append_text(&out->url, url);
    out->body = TAKE(t->body);
    return true;
}

FALLIBLE fetch(const char *url, const struct fetch_options *options, struct answer *out, int64_t *retry_after_s,
               struct err *err)
{
    int64_t patience_s = options->patience_ms / 1000;

    *retry_after_s = 0;
    for (int attempt = 0;; attempt++) {
        AUTO(transfer) struct transfer t = { .retry_after_s = FETCH_RETRY_AFTER_DEFAULT_S };

        if (!ask_once(url, options, &t, err) || (!is_busy(t.status) && !taken(url, &t, out, err)))
            return contextf(err, "fetch %.100s", url);
        if (!is_busy(t.status))
            return true;
        if (t.retry_after_s > patience_s || attempt + 1 == ATTEMPTS_MAX) {
            *retry_after_s = t.retry_after_s;
            return fail_with(err, ERR_LIMIT, "fetch %.100s: the service is busy (%ld), to be asked again in %lld s", url,
                             t.status, (long long) t.retry_after_s);
        }
        patience_s -= t.retry_after_s;
        rest(t.retry_after_s);
    }
}
