/* The HTTP server of a pod: a process of its own, without rights, keys or files. It reads what containers send. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "guest/api/services.h"
#include "guest/workload/workload.pb-c.h"

enum { WORKLOAD_PORT = 8006 };

/* What PID 1 serves to it: guest/agent/desk.h. */
extern const struct ttrpc_service workload_service;

/* Opens 127.0.0.1:`port` (0: any), for endpoints_run. `out_fd` is yours. */
FALLIBLE endpoints_listen(uint16_t port, int *out_fd, struct err *err);

typedef bool caller_fn(uint16_t port, uint16_t server_port, uint64_t *cgroup, struct err *err); /* caller_cgroup */

/*
 * Serves on `listen_fd` and asks PID 1 behind `control_fd` until that goes. Both are taken. Whose connection it is, which
 * is asked of `caller`, is for each container's share; what a container may have is PID 1's to find out. Returns the
 * process's exit code.
 */
int endpoints_run(int listen_fd, int control_fd, caller_fn *caller);
