/*
 * Kernel settings that belong to a pod and not to a whole kernel: those of its network, and of System V and POSIX message
 * queues, semaphores and shared memory. Engines send them, policies list them, the guest sets them: by these names only.
 */
#pragma once

#include "base/err.h"

enum {
    SYSCTLS_MAX      = 32,  /* of one container, what its pod has among them */
    SYSCTL_NAME_MAX  = 127, /* characters */
    SYSCTL_VALUE_MAX = 255  /* bytes */
};

struct sysctl {
    const char *name;  /* with dots; a "/" is a dot in the name of a device, as sysctl(8) has it */
    const char *value;
};

/* Fails UNSUPPORTED for one that is not a pod's own, MALFORMED, LIMIT. */
FALLIBLE sysctl_check(const struct sysctl *sysctl, struct err *err);

/* Of the network, which is one for all containers of a guest; else of the IPC namespace, of which each has its own. */
bool sysctl_is_of_network(const struct sysctl *sysctl);

/* What engines set for every pod, without being asked; it lets processes bind low ports and ping, and nothing else. */
bool sysctl_is_usual(const struct sysctl *sysctl);

/* The file below /proc/sys, of a name that was checked. */
void sysctl_path(const char *name, char out[static SYSCTL_NAME_MAX + 1]);
