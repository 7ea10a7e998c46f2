/*
 * The system calls that a container may use: an allow-list, everything else fails with EPERM. No AF_VSOCK, no AF_ALG,
 * no new namespaces, no mounts, no modules, no BPF, no ptrace across users, no io_uring, no keyrings.
 */
#pragma once

#include "base/json.h"

/* The `linux.seccomp` object of an OCI configuration; the caller's. [OCI-RUNTIME config-linux, Seccomp] */
struct json_object *seccomp_profile(void);
