/*
 * What a helper process of the VM gives up before it reads its first foreign byte. Programs that are started by exec
 * are confined in base/process.h instead, and QEMU and swtpm bring system call filters of their own.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct jail {
    pid_t      parent;       /* whose end is this process's too */
    const int *fds;          /* the only descriptors that stay open, besides 0, 1, 2 */
    size_t     n_fds;
    const int *system_calls; /* SCMP_SYS numbers that are allowed; any other one ends the process */
    size_t     n_system_calls;
};

/* User and group 65534 where we are root; no capability, no new privileges, no core file, 64 descriptors. For good. */
FALLIBLE jail_enter(const struct jail *jail, struct err *err);

/* The user that root's helpers become. */
enum { JAIL_USER = 65534 };
