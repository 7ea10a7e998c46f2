/*
 * HTTPS to one server, a broker or a key store, by libcurl: only the CA given counts, no proxy, no redirect, HTTP/1.1, one
 * connection kept.
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

struct http;

struct http_options {
    const char  *url; /* "https://HOST[:PORT]" */
    bool         plain_on_loopback; /* "http://" too, to 127.0.0.1, [::1] and localhost; no CA is asked for then */
    struct bytes ca_pem;
    struct bytes certificate_pem, key_pem; /* of ours; empty: none is shown */
    uint32_t     timeout_ms; /* 0: one minute */
    const char  *peer;       /* what errors call the server; NULL: "broker"; outlives the result */
    size_t       answer_most; /* bytes of an answer; 0: KBS_ANSWER_MAX. Else a body never moves: wiping it once is enough */
    int        (*connect)(void *owner, struct err *err); /* see kbs_options */
    void        *owner;
};

struct http_header {
    const char *name, *value;
};

struct http_request {
    const char  *method;       /* "GET", "POST", "DELETE" */
    const char  *path;         /* "/kbs/v0/auth" */
    const char  *bearer;       /* NULL: none */
    const char  *cookie;       /* "name=value"; NULL: none */
    const char  *claims;       /* of an administrator without a token, see keys/api/admin.h; NULL: none */
    const char  *content_type; /* of `body`, for POST */
    struct bytes body;
    const struct http_header *more; /* further headers */
    size_t       n_more;
};

enum { HTTP_COOKIE_MAX = 256, HTTP_COOKIE_ATTRIBUTES_MAX = 128 };

struct http_answer {
    long          status;
    struct buffer body; /* wiped */
    char          content_type[64]; /* cut; "" when the answer names none */
    char          cookie[HTTP_COOKIE_MAX]; /* "name=value" of the cookie asked for; "" when the answer sets none */
    char          cookie_attributes[HTTP_COOKIE_ATTRIBUTES_MAX]; /* what follows it, "; Expires=..."; cut */
};

static inline void auto_http_answer(struct http_answer *a) { buffer_free(&a->body); }

/* Fails CONFIG for another scheme than https or an empty CA. */
FALLIBLE http_open(const struct http_options *options, struct http **out, struct err *err);
void     http_close(struct http *http);
DEFINE_AUTO(http, struct http *, http_close)

/*
 * One request, one bounded answer, any status.
 *
 *   cookie_name    the one cookie to pick from the answer; NULL: none
 *   out            its body is replaced
 *
 * Fails UNTRUSTED when the certificate does not chain to the CA or names another host; TIMEOUT, LIMIT; OS when the
 * broker cannot be reached; or as `connect` failed.
 */
FALLIBLE http_exchange(struct http *http, const struct http_request *request, const char *cookie_name,
                       struct http_answer *out, struct err *err);

/*
 * Turns an answer other than 2xx into an error: the detail of a JSON error document, escaped and cut, else the
 * status. Returns true for 2xx. Fails DENIED for 401 and 403, NOT_FOUND for 404, LIMIT for 413 and 429, OS else.
 */
FALLIBLE http_succeeded(const struct http_answer *answer, struct err *err);

/* Whether the answer is an error document of this kind ("PolicyDeny"). */
bool http_error_is(const struct http_answer *answer, const char *variant);
