/*
 * One request and its answer, between libmicrohttpd and broker_answer: bounds what is read before anything is parsed,
 * and holds an answer back until what it depends on is durable.
 */
#pragma once

#include <microhttpd.h>

#include "keys/broker/admission.h"
#include "keys/broker/metrics.h"
#include "keys/broker/peers.h"
#include "keys/broker/routes.h"

struct exchange;

/* What all exchanges of a server share. */
struct traffic {
    struct broker   *broker;
    struct peers     peers;
    struct metrics   metrics;
    struct exchange *waiting, **waiting_last; /* that are decided, written and committed together at the end of this turn */
    struct outside  *outside;
    struct sealers  *sealers;
    size_t           n_exchanges;
    struct admission admission; /* a challenge that it does not let in is answered 503 */
};

/* One of a server's addresses: the owner of libmicrohttpd's callbacks. */
struct door {
    struct traffic *traffic;
    unsigned        faces; /* bits of enum face */
};

/* Callbacks of libmicrohttpd, with a struct door as owner. */
enum MHD_Result exchange_serve(void *door, struct MHD_Connection *connection, const char *path, const char *method,
                               const char *version, const char *upload, size_t *upload_len, void **owned);
void  exchange_ended(void *door, struct MHD_Connection *connection, void **owned, enum MHD_RequestTerminationCode code);
void *exchange_line(void *door, const char *uri, struct MHD_Connection *connection);
void  exchange_connection(void *door, struct MHD_Connection *connection, void **peer, enum MHD_ConnectionNotificationCode code);
/* Leaves the path as it came: %2F is no separator here, and no path of ours has a percent sign. */
size_t exchange_path_untouched(void *owner, struct MHD_Connection *connection, char *text);

void traffic_open(struct traffic *traffic);
void traffic_close(struct traffic *traffic);

/* Decides what waits, in the order that it came, and writes it: all before the commit. */
void exchanges_decide(struct traffic *traffic);

/* The commit is done: lets the answers that waited go, or says in them that nothing was changed. */
void exchanges_release(struct traffic *traffic, bool durable, const struct err *why);

int64_t monotonic_us(void);
