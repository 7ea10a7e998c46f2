/* What a registry asks for before it gives anything, and what its token service answers. [RFC 9110 11.6.1; RFC 6750] */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"
#include "guest/registry/limits.h"

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    char                  realm[CHALLENGE_REALM_MAX + 1]; /* of Bearer: the token service's URL */
    char                  service[CHALLENGE_SERVICE_MAX + 1];
};

/*
 * Reads one WWW-Authenticate header. Of several challenges Bearer is taken, then Basic; others are passed over. The
 * scope that a challenge names is not read: what we ask for is what we need.
 * Fails MALFORMED, LIMIT; UNSUPPORTED when there is neither.
 */
FALLIBLE challenge_read(struct bytes header, struct challenge *out, struct err *err);

/* The token in a token service's answer, appended. Fails MALFORMED, LIMIT. */
FALLIBLE token_answer_read(struct bytes json, struct buffer *token, struct err *err);
