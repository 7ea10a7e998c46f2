/*
 * The one function that asks a collateral service over the network: HTTPS GET by libcurl, bounded in size and time,
 * without redirects. A service that says "too many requests" is left alone for as long as it asks.
 */
#pragma once

#include "attestation/collateral/answer.h"

struct fetch_options {
    int64_t     timeout_ms;     /* of one request; 0 means 10 s */
    int64_t     patience_ms;    /* waiting that Retry-After may ask for within this call; beyond it fails LIMIT */
    const char *ca_file;        /* PEM; NULL uses the system's */
    bool        plain_http_allowed; /* for a cache on this machine: what is fetched is signed anyway */
};

enum { FETCH_RETRY_AFTER_DEFAULT_S = 30, FETCH_RETRY_AFTER_MAX_S = 3600 };

/*
 * Fills `out->body`, and `out->issuer_chain` when the answer has one of Intel's *-Issuer-Chain headers.
 *
 *   out              was empty; url, body and issuer_chain are filled only on success
 *   retry_after_s    after LIMIT for a busy service: how long to leave it alone; else 0
 *
 * Fails NOT_FOUND for 404, LIMIT for 429 and 503 beyond our patience or a body that is too large, TIMEOUT, CONFIG for
 * a URL that is not https, OS for what else libcurl and the service say.
 */
FALLIBLE fetch(const char *url, const struct fetch_options *options, struct answer *out, int64_t *retry_after_s,
               struct err *err);
