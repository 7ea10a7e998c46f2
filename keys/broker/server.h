/*
 * HTTPS for the broker: libmicrohttpd on our loop, one thread. Bounds what a peer can send before anything is parsed;
 * answers leave only after what they depend on is durable. All answers of one turn share one commit.
 */
#pragma once

#include "base/loop.h"
#include "keys/broker/config.h"
#include "keys/broker/credentials.h"
#include "keys/broker/metrics.h"
#include "keys/broker/routes.h"

struct server;

struct server_options {
    const struct config      *config;
    const struct credentials *credentials;
    struct broker            *broker;
    struct loop              *loop;
};

/* Listens. Everything in `options` outlives the server. Fails CONFIG for an address it cannot read, OS. */
FALLIBLE server_start(const struct server_options *options, struct server **out, struct err *err);

/* Whether plain HTTP may be spoken at `address`, where the guests' listener is. Fails CONFIG with what to set. */
FALLIBLE server_may_be_plain(const struct config *config, const char *address, struct err *err);

/* "https://127.0.0.1:8443", with the port really taken. */
const char *server_url(const struct server *server);
const char *server_admin_url(const struct server *server); /* the same when administrators have no listener of their own */
const char *server_metrics_url(const struct server *server); /* NULL: nobody watches */
struct metrics *server_metrics(struct server *server);

/*
 * From now on with other limits and keys, which outlive the server like those before: new connections meet the new
 * certificate, old ones end as they began. Addresses stay as they are.
 */
FALLIBLE server_reload(struct server *server, const struct config *config, const struct credentials *credentials,
                       struct err *err);

/* Takes no more connections; answers what is under way for at most `grace_ms`, then stops the loop. */
void server_drain(struct server *server, uint32_t grace_ms);
void server_free(struct server *server);
DEFINE_AUTO(server, struct server *, server_free)
