/* What a configuration gives up on purpose: said at every start, and by `cloister-broker check`. */
#pragma once

#include "keys/broker/config.h"

typedef void risk_fn(void *owner, const char *what, const char *where, const char *why);

/* Calls `tell` for each of them; `where` is what sets it. */
void risks_each(const struct config *config, risk_fn *tell, void *owner);
