/*
 * One answer of a collateral service, as it is kept: by the URL that was asked, with its body, the issuer chain that
 * Intel sends in a header, and its times. Nothing here is trusted: the verifier checks every signature and date.
 */
#pragma once

#include "base/json.h"

enum {
    ANSWER_URL_LEN_MAX    = 1024,
    ANSWER_BODY_LEN_MAX   = 4 << 20, /* Intel's platform CRL is the largest, well below 1 MiB */
    ANSWER_HEADER_LEN_MAX = 32 * 1024,
    ANSWER_TEXT_LEN_MAX   = 8 << 20
};

struct answer {
    struct buffer url;
    struct buffer body;
    struct buffer issuer_chain; /* PEM, percent-decoded; empty when the service sent none */
    int64_t       fetched_at, expires_at; /* seconds since 1970 */
};

void answer_free(struct answer *answer);
static inline void auto_answer(struct answer *answer) { answer_free(answer); }

void answer_copy(const struct answer *from, struct answer *to); /* `to` was empty */

/* The JSON object that stands in cache files and in bundles. The caller releases it. */
struct json_object *answer_to_json(const struct answer *answer);

/* `out` is written only on success. Fails MALFORMED with the member's name. */
FALLIBLE answer_from_json(struct json_object *from, struct answer *out, struct err *err);
