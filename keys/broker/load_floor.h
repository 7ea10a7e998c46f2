/*
 * The floor under an attestation's cost: a program that makes the same handshakes, socket calls and signature operations with
 * OpenSSL, and nothing else.
 */
#pragma once

#include "keys/broker/load_clients.h"

/* Runs it with the same clients; CPU milliseconds for each attestation. */
double load_floor_measure(const struct load_world *world, double seconds);
