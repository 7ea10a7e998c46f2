/* The other machines that the configuration names: key stores, and where collateral is fetched from. */
#pragma once

#include "keys/broker/collateral_sources.h"
#include "keys/broker/config.h"
#include "keys/external/external.h"

/*
 * Reads the files that the configuration names for them.
 *
 *   external, sources    yours; NULL when the configuration names none
 *
 * Fails CONFIG with the key; as vault_new, token_objects_new, collateral_sources_new.
 */
FALLIBLE peers_open(const struct config *config, struct external **external, struct collateral_sources **sources, struct err *err);
