/* What the cases share: the broker that is tried, the last answer, and what it must look like. */
#pragma once

#include <stdio.h>

#include "base/json.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jwk.h"

struct suite {
    struct http       *http;
    struct http       *admin; /* where administrators are served; may be the same */
    EVP_PKEY          *admin_key; /* NULL: administration is not tried */
    struct http_answer answer; /* of the last request */
    FILE              *transcript; /* NULL: none is kept */
    bool               sample;
    const char        *resource; /* "a/b/c" that a sample guest may have; NULL */
    EVP_PKEY          *key;
    struct jwk         jwk;
    char               nonce[KBS_NONCE_MAX + 1];
    char               cookie[HTTP_COOKIE_MAX];
    char               attributes[HTTP_COOKIE_ATTRIBUTES_MAX]; /* what stands behind it */
};

struct test_case {
    const char *name;
    FALLIBLE  (*run)(struct suite *s, struct err *err);
    bool        needs_sample;
};

#define CASE(fn, needs_sample) { #fn, fn, needs_sample }

FALLIBLE suite_exchange(struct suite *s, const struct http_request *r, struct err *err);
/* A JSON body; `cookie` may be NULL. */
FALLIBLE suite_ask(struct suite *s, const char *method, const char *path, const char *cookie, const char *body,
                   struct err *err);

/* All fail MALFORMED with what was found. */
FALLIBLE wants_status(struct suite *s, long status, struct err *err);
FALLIBLE wants_type(struct suite *s, const char *type, struct err *err);
/* [KBS 10]: {"type":"…/errors/<Variant>","detail":"…"}, without a Content-Type; `variant`, `part` of the detail: NULL for any */
FALLIBLE wants_error(struct suite *s, long status, const char *variant, const char *part, struct err *err);

/* A new challenge: its nonce and cookie are kept. */
FALLIBLE suite_challenge(struct suite *s, struct err *err);
/* Evidence of TEE sample, over the digest or over a changed one. */
FALLIBLE suite_attest(struct suite *s, const char *nonce, bool spoils_report_data, struct err *err);
/* The token of the last answer; it lives as long as `body`, which is yours. */
FALLIBLE suite_token(struct suite *s, struct json_object **body, const char **token, struct err *err);

extern const struct test_case RESOURCE_CASES[];
extern const size_t           N_RESOURCE_CASES;
/* Cases of an administrator with Trustee's calls; they change the broker's policies and leave the one that denies all. */
extern const struct test_case ADMIN_CASES[];
extern const size_t           N_ADMIN_CASES;
