/*
 * Forwards TCP between a guest and the key broker, on the port `cloister.broker`. TLS runs end to end inside: what
 * passes here is ciphertext. The guest can reach this one address and no other.
 */
#pragma once

#include <netdb.h>

#include "guest/api/connection.h"

struct tunnel_service;

/*
 *   broker_url   "https://HOST[:PORT]": resolved now, so that a wrong name is an early error
 *   fd           our end of the port; taken, also on failure
 *
 * Fails CONFIG for a URL that is not of that form, NOT_FOUND when the name does not resolve.
 */
FALLIBLE tunnel_service_new(struct loop *loop, const char *broker_url, int fd_take, struct tunnel_service **out,
                            struct err *err);
void     tunnel_service_free(struct tunnel_service *service);
DEFINE_AUTO(tunnel_service, struct tunnel_service *, tunnel_service_free)

/* Splits "https://HOST[:PORT][/]"; HOST may be [IPv6]. The port defaults to 443. Fails CONFIG. */
struct broker_address {
    char host[256];
    char port[6];
};
FALLIBLE broker_address_read(const char *url, struct broker_address *out, struct err *err);
