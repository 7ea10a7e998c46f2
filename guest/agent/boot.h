/* The phases `config` and `boot` of PID 1: what must hold before the guest looks at anything else. */
#pragma once

#include "guest/agent/timeline.h"
#include "guest/init/cmdline.h"

/*
 * Mounts, reads the command line, loads modules, waits for random numbers, in this order.
 *
 *   phase    the phase that failed, for the console line
 */
FALLIBLE boot_run(struct timeline *timeline, struct cmdline *cmdline, const char **phase, struct err *err);
