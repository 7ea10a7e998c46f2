/*
 * Questions whose answers are on other machines: external key stores, collateral services. Threads of their own wait for
 * them, so that nobody else's answer has to; what came is handed over on the loop's thread. Threads are made when there is
 * something to ask.
 */
#pragma once

#include "base/loop.h"
#include "keys/broker/collateral_sources.h"
#include "keys/external/external.h"

enum { OUTSIDE_URLS_MAX = 8 };

/* A question, and later what came of it. Owned by whoever holds it; a thread has it in between. */
struct outside_job {
    struct external           *external;  /* a resource of an external key store: counted; or … */
    char                       path[EXTERNAL_PREFIX_MAX];
    bool                       is_had;
    struct secret              value;
    struct err                 err;       /* why not */
    bool                       is_asked;  /* a thread did so */
    uint64_t                   us;        /* how long that took */
    struct collateral_sources *sources;   /* … documents of collateral services: counted */
    struct collateral_document documents[OUTSIDE_URLS_MAX];
    size_t                     n_documents;
    int64_t                    now;
    void                     (*done)(struct outside_job *job_take); /* on the loop's thread */
    void                      *owner;
    struct outside_job        *next;
};

struct outside_job *outside_resource(struct external *external, const char *path);
struct outside_job *outside_collateral(struct collateral_sources *sources, int64_t now);
/* What is beyond OUTSIDE_URLS_MAX, or wanted already, is left out. */
void outside_want(struct outside_job *job, const char *url, int64_t lifetime_s);
void outside_job_fail(struct outside_job *job, const struct err *why); /* nobody will ask it */
void outside_job_free(struct outside_job *job);
DEFINE_AUTO(outside_job, struct outside_job *, outside_job_free)

struct outside;

/* `after` is called on the loop's thread when jobs were handed over. */
FALLIBLE outside_new(struct loop *loop, void (*after)(void *owner), void *owner, struct outside **out, struct err *err);
/* Hands over what is under way, as a failure what had not begun. Waits for the threads. */
void     outside_free(struct outside *outside);
DEFINE_AUTO(outside, struct outside *, outside_free)

/* Takes the job on success. Fails LIMIT when too many wait already, OS when there is no thread for it. */
FALLIBLE outside_ask(struct outside *outside, struct outside_job *job, struct err *err);

/* Waits until every job was handed over. */
void outside_finish(struct outside *outside);
