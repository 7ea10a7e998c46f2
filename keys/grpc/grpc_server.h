/* gRPC on a UNIX socket, or on the loopback: accepts connections on the loop, a session for each. */
#pragma once

#include "base/loop.h"
#include "keys/grpc/grpc_session.h"

enum { GRPC_CONNECTIONS_MAX = 16, GRPC_ADDRESS_MAX = 128 }; /* containerd keeps one connection */

struct grpc_server;

/*
 *   where    an absolute path: the socket is made there, mode 0600, and one that is there already is replaced; or
 *            "127.0.0.1:PORT" or "[::1]:PORT", which every user of this machine can reach; port 0 takes any
 *
 * Fails CONFIG for anything else, OS.
 */
FALLIBLE grpc_server_new(struct loop *loop, const char *where, grpc_call_fn *call, void *owner, struct grpc_server **out,
                         struct err *err);
/* Where it listens, with the port really taken. */
const char *grpc_server_address(const struct grpc_server *server);
void     grpc_server_free(struct grpc_server *server); /* removes the socket */
DEFINE_AUTO(grpc_server, struct grpc_server *, grpc_server_free)
