/* The end of the guest, and the one line that says why. */
#pragma once

#include "base/err.h"

/* Writes `cloister-agent: PHASE: WHAT` on the console, escaped, in one line. `phase` may be NULL: `why` has it. */
void power_say(const char *phase, const struct err *why);

/* A line of the same form that is not the end: `cloister-agent note: PHASE: WHAT`. */
void power_note(const char *phase, const char *what);

/* Powers the machine off; where that does not work, resets it. In a process that is not PID 1: exits with 1. */
void power_off(void) __attribute__((noreturn));
