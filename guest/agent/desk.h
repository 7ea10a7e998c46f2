/*
 * PID 1's side of the workload services (guest/workload): which container asks, whether the owner's policy lets it have
 * that, and the keeper's answer. Nothing is kept here: a secret passes through.
 */
#pragma once

#include "guest/agent/service.h"

/* Rows of the connection to the HTTP server; their owner is the agent's service. */
extern const struct ttrpc_row desk_rows[];
extern const size_t           n_desk_rows;
