/*
 * The simulated platform's source of evidence: SNP reports that a signer on the host makes. It proves nothing about
 * the hardware; only a broker that was told to trust a development root accepts it.
 */
#pragma once

#include "attestation/attester/attester.h"
#include "guest/api/call.h"

enum { SIMULATED_TIMEOUT_MS = 60000 };

/* Takes `port_fd`, the port `cloister.report`. `out` is yours, AUTO(attester). */
FALLIBLE simulated_open(int port_fd_take, struct attester **out, struct err *err);

/* Of an attester that simulated_open made: what is to be known where another process goes on with the port. */
struct ttrpc_client *simulated_client(struct attester *attester);
