/* One guest and the one workload in it, from the launch to the exit code: what `cloister run`, `debug` and `job run` have in common. */
#pragma once

#include "runtime/cli/pod.h"
#include "runtime/sandbox/sandbox.h"

struct run_wishes {
    const struct pod *pod;
    const char       *receipt; /* a file that it is written to; NULL: none is asked for */
    struct bytes      nonce;   /* stands in it */
    bool              wants_timeline, is_debug;
};

/*
 * Starts the sandbox, creates and starts the container, passes its output and our signals on, and ends the guest.
 *
 *   sandbox      all but what is of the loop, which is made here
 *   exit_code    the workload's; 128 and a signal's number when that came first
 *
 * Fails with "PHASE: what" when the workload did not run.
 */
FALLIBLE run_session(const struct run_wishes *wishes, struct sandbox_options *sandbox, int *exit_code, struct err *err);
