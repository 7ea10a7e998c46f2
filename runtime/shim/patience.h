/*
 * How long a guest that does not do what it was told is waited for. One that hangs, or does not want to, must not keep its
 * engine: a signal counts as sent after a moment, and where an end was asked for the VM ends at last.
 */
#pragma once

#include "runtime/shim/task.h"

/* A signal is under way: its request is answered soon in any case. */
void patience_for_signal(struct task *task);
/* The process or its deletion must come to an end now: SIGKILL or Delete. */
void patience_for_end(struct task *task);
/* It has ended, or is about to be freed. */
void patience_over(struct task *task);
