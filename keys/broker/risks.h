/* What a configuration gives up on purpose: said at every start, and by `cloister-broker check`. */
#pragma once

#include "keys/broker/config.h"

typedef void risk_fn(void *owner, const char *what, const char *why);

/* Calls `tell` for each of them; both texts are lent for the call. */
void risks_each(const struct config *config, risk_fn *tell, void *owner);
