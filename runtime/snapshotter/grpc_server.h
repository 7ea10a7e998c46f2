/* gRPC on a UNIX socket: accepts connections on the loop, a session for each. */
#pragma once

#include "base/loop.h"
#include "runtime/snapshotter/grpc_session.h"

enum { GRPC_CONNECTIONS_MAX = 16 }; /* containerd keeps one */

struct grpc_server;

/*
 *   path    where the socket is made, mode 0600; one that is there already is replaced
 */
FALLIBLE grpc_server_new(struct loop *loop, const char *path, grpc_call_fn *call, void *owner, struct grpc_server **out,
                         struct err *err);
void     grpc_server_free(struct grpc_server *server); /* removes the socket */
DEFINE_AUTO(grpc_server, struct grpc_server *, grpc_server_free)
