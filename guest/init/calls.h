/* The system calls that are left to a helper of the agent: tunnel, fetcher, workload services, the first process that containers share; mounter and opener. [seccomp(2)] */
#pragma once

#include "base/err.h"

/*
 * From now on every call that such a helper has no use for fails with EPERM: to run a program, to make a process, to write or
 * make a file, to look into another process, to map code, to mount, sockets other than local ones and those of IP. For good,
 * and for threads that are made later; to be called while there is one.
 */
FALLIBLE calls_confine(struct err *err);

/*
 * The same for those that put the host's disks in place, mounter and opener, which are root with the right to mount: they make
 * devices of the device mapper, mount file systems without set-user-id and device nodes, and read and write what is there. No
 * program, process or thread, no socket but those that they have, no file of their own, no move or change of a mount, and
 * of the requests to devices the few that they make.
 */
FALLIBLE calls_confine_disks(struct err *err);
