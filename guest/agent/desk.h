/*
 * PID 1's side of the workload services (guest/workload): which container asks, whether the owner's policy lets it have
 * that, and the keeper's answer. Nothing is kept here: a secret passes through.
 */
#pragma once

#include "guest/agent/service.h"

/* Rows of the connection to the HTTP server; their owner is the agent's service. */
extern const struct ttrpc_row desk_rows[];
extern const size_t           n_desk_rows;

struct desk_fact { const char *name, *value; };

/*
 * Asks the owner's rules, if there are any, what they ask of the host's requests: whether a container may have
 * something. Their input: `id`, `image` and the facts. Fails DENIED.
 */
FALLIBLE desk_ask_rules(struct service *s, const struct container *c, const char *request, const struct desk_fact *facts,
                        size_t n, struct err *err);
