/* The system calls that are left to a helper of the agent: tunnel, fetcher, workload services, the first process that containers share. [seccomp(2)] */
#pragma once

#include "base/err.h"

/*
 * From now on every call that such a helper has no use for fails with EPERM: to run a program, to make a process, to write or
 * make a file, to look into another process, to map code, to mount, sockets other than local ones and those of IP. For good,
 * and for threads that are made later; to be called while there is one.
 */
FALLIBLE calls_confine(struct err *err);
