/* What the broker gives up once everything it needs is open, before it reads a peer's first byte. */
#pragma once

#include "base/err.h"

/*
 * No new privileges, no process, no program, no tracing: a list of system calls is allowed, and any other fails with
 * EPERM; those that only an attacker would want end the process. For this process, for good.
 */
FALLIBLE confine(struct err *err);
