/* One request under way: what its route may use, and where its answer goes. Private to the broker's routes. */
#pragma once

#include "keys/broker/administrators.h"
#include "keys/broker/audit.h"
#include "keys/broker/routes.h"

/* `variant` names the kind of error document if the call fails. */
struct call {
    struct broker        *broker;
    const struct request *request;
    const char           *rest;    /* of the path, behind the route's prefix */
    const char           *variant;
    struct caller         caller;  /* on routes for administrators */
    struct answer        *answer;
    struct outside_job   *wanting; /* what evidence needs first; NULL */
    unsigned              status; /* of a failure that the kind of the error does not tell; 0: it does */
};

enum { STATUS_OK = 200, STATUS_BAD = 400, STATUS_DENIED = 401, STATUS_FORBIDDEN = 403, STATUS_ABSENT = 404, STATUS_METHOD = 405, STATUS_LARGE = 413,
       STATUS_INTERNAL = 500, STATUS_BUSY = 503 };

#define JSON_TYPE "application/json"

/* A JSON array under way. */
struct listing {
    struct buffer       *out;
    const struct caller *caller; /* whose tenants' entries alone are listed */
    bool                 has_one;
};

static inline void listing_separate(struct listing *l)
{
    if (l->has_one)
        buffer_append_text(l->out, ",");
    l->has_one = true;
}

/* The token in the request's Authorization header. Fails DENIED. */
FALLIBLE call_bearer(const struct request *request, struct bytes *token, struct err *err);

/* Fails MALFORMED for what is no REPOSITORY/TYPE/TAG. */
FALLIBLE call_path_check(const char *path, struct err *err);

/* Writes the administrator's deed into the audit log. */
FALLIBLE call_audit(struct call *call, const char *action, const char *subject, struct err *err);
