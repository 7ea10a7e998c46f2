/* `cloister-broker check`: whether a start with this configuration would be one, and what is risky about it. */
#pragma once

#include <stdio.h>

#include "keys/broker/setup.h"

/*
 * Reads all that a start reads but for the store, and writes what there is to say to `out`. Nobody is asked, nothing listens.
 * Fails as setup_read; CONFIG for an address.
 */
FALLIBLE setup_check(const struct setup_source *source, FILE *out, struct err *err);
