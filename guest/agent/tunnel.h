/*
 * The way to the key broker: a process of its own, without rights and without keys, that moves bytes between stream
 * sockets and the host's tunnel. What passes is TLS; who sees it learns sizes and times.
 */
#pragma once

#include "base/err.h"

/*
 * Serves requests for connections on `control_fd` (SOCK_SEQPACKET) over the port at `port_fd` until `control_fd`
 * closes. Both are taken. Returns the process's exit code.
 */
int tunnel_run(int control_fd, int port_fd);

/* Asks the tunnel behind `control_fd` for a connection. NO_FD on failure, with the host's reason in `err`. */
int tunnel_connect(int control_fd, struct err *err);
