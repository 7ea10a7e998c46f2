/*
 * From a request to its answer: everything the broker does for a peer, with the network left out. What a route writes
 * to the store is not yet durable when it returns: the answer waits for store_commit.
 */
#pragma once

#include "keys/broker/administrators.h"
#include "keys/broker/appraise.h"
#include "keys/broker/challenge.h"
#include "keys/broker/ear.h"
#include "keys/broker/outside.h"
#include "keys/broker/sealing.h"
#include "keys/store/store.h"

struct broker {
    struct store     *store;
    struct appraiser *appraiser;
    struct policy_engine *engine;
    struct secret     challenge_key;
    struct ear_issuer issuer;
    struct administrators *administrators;
    struct external   *external;           /* NULL: every resource is in the store */
    struct collateral_sources *sources;    /* NULL: no collateral is fetched */
    uint32_t          session_s; /* life of challenge, session and token */
    bool              denies_with_403; /* what policy denies: as later Trustees, instead of 401 */
    int64_t           refusals_since; /* refused attestations are free for anyone: the audit log takes only */
    uint32_t          n_refusals;     /* … so many a minute; the ordinary log has all */
};

enum face { FACE_GUESTS = 1, FACE_ADMINISTRATORS = 2 };

/* As it arrived; texts are the peer's, views live for the call. */
struct request {
    const char  *method;
    const char  *path;          /* without its query; no %XX decoded */
    const char  *query;         /* as a JSON object, one value per name; NULL: none */
    const char  *session;       /* value of the session cookie; NULL when there is none */
    const char  *authorization; /* the whole header; NULL */
    const uint8_t *certificate; /* SHA-256 of the client's certificate that TLS has verified; NULL: none */
    const char  *claims;        /* what a token would say of the call besides: JSON; NULL */
    unsigned     faces;         /* which routes this listener serves: bits of enum face */
    struct bytes body;
    int64_t      now;
    struct outside_job *brought; /* what was wanted when this was first asked, with what came of it; NULL: nothing */
};

/* What an attestation leaves behind, before it is written: its session, which is spent then, and its audit entry. */
struct pending {
    char          session[CHALLENGE_ID_LEN + 1]; /* "": none, as it was refused */
    int64_t       expires;
    struct buffer token;
    struct buffer entry;
};

struct answer {
    unsigned      status;
    const char   *content_type; /* NULL: none */
    char          session[CHALLENGE_ID_LEN + 1]; /* to set as cookie; "" for none */
    int64_t       session_expires;
    struct buffer body;
    char          reason[256]; /* for our log: why not; "" when all is well */
    struct pending     *pending; /* what this answer depends on: see broker_write; NULL */
    struct sealing     *sealing; /* a secret that is to be the body: seal it, then broker_deliver; NULL */
    uint8_t             evidence[EVIDENCE_DIGEST_LEN]; /* whose guest that secret is for */
    struct outside_job *wanted; /* instead of an answer: get this, and ask again; NULL */
};

void broker_answer_free(struct answer *answer);
static inline void auto_answer(struct answer *a) { broker_answer_free(a); }

/*
 * Always fills `out`, which is empty before. Only a request that was brought nothing may want
 * something, and it has written nothing then.
 */
void broker_answer(struct broker *broker, const struct request *request, struct answer *out);

/*
 * Whether a request may be answered before a turn writes anything, because its route writes nothing. All others write in
 * the store's transaction, where whatever they take is time that other brokers wait.
 */
bool broker_answers_early(const char *method, const char *path);
/* Writes what is pending; replaces the answer when that cannot be written. */
void broker_write(struct broker *broker, struct answer *out);

/*
 * Sealing is over, and the release is durable: makes the secret the body. Where there is none the answer says so, and the
 * audit log, which has the release, gets an entry that it came to nothing: to be committed, though nobody waits for it.
 */
void broker_deliver(struct broker *broker, const struct request *request, struct answer *out);

/* An error document for what no route was asked for. */
void answer_refuse(struct answer *out, unsigned status, const char *why);

/* The answer when what a route wrote could not be made durable: replaces `out`. */
void answer_not_durable(struct answer *out, const struct err *why);
