/*
 * The PID namespace that containers of a pod share where their policy says so (Kubernetes' shareProcessNamespace). Its
 * first process is `pod_init` (guest/init/pod_init.h), made with the first container that shares; when that ends, the
 * kernel ends all that are in the namespace, and the next container begins another.
 */
#pragma once

#include "guest/init/reaper.h"

enum { SHARED_PROCESSES_PATH_MAX = 32 };

struct shared_processes {
    pid_t first; /* 0: there is none */
};

/*
 * Starts the first process unless it is there.
 *
 *   program    that becomes it: of this guest, started with POD_INIT_NAME
 *   path       of the namespace, as long as it lives
 *
 * Fails OS, LIMIT.
 */
FALLIBLE shared_processes_open(struct shared_processes *shared, struct reaper *reaper, const char *program,
                               char path[static SHARED_PROCESSES_PATH_MAX], struct err *err);
