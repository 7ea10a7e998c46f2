/* The guest's network: its loopback, and nothing else. */
#pragma once

#include "base/err.h"

FALLIBLE network_raise_loopback(struct err *err);
