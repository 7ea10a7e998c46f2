/* Requests to a broker of tests as a client writes them, one connection for several. */
#pragma once

#include "keys/client/http.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "tests/harness/broker.h"

/* `url`: one of the broker's. */
static inline struct http *http_at(const struct test_broker *b, const char *url)
{
    struct http_options options = { .url = url, .ca_pem = buffer_bytes(&b->ca), .timeout_ms = 60000 };
    struct http        *http    = NULL;
    struct err          err;

    assert_fine(http_open(&options, &http, &err), &err);
    return http;
}

/* `token` and `body` may be NULL. The status. */
static inline long ask(struct http *http, const char *method, const char *path, const char *token, const char *body, struct http_answer *answer)
{
    struct http_request r = { .method = method, .path = path, .bearer = token, .content_type = "application/json",
                              .body = bytes_of_text(body ? body : "") };
    struct err          err;

    assert_fine(http_exchange(http, &r, KBS_COOKIE, answer, &err), &err);
    return answer->status;
}

/* A file in the broker's folder. */
static inline void file_in(const struct test_broker *b, const char *name, const char *text)
{
    char       path[PATH_MAX];
    struct err err;

    test_broker_path(b, name, path);
    assert_fine(file_write(path, bytes_of_text(text), 0600, &err), &err);
}
