/*
 * The server's side of one gRPC connection, as bytes in and bytes out; nghttp2 speaks HTTP/2. One request message to a
 * call, any number of response messages. [gRPC PROTOCOL-HTTP2, RFC 9113]
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/auto.h"
#include "base/bytes.h"

enum {
    GRPC_MESSAGE_MAX = 1 << 20, /* bytes of a request: containerd's largest have some KiB of labels */
    GRPC_STREAMS_MAX = 64,      /* calls at once on one connection */
    GRPC_PATH_MAX    = 120,     /* "/package.Service/Method" */
    GRPC_HEADERS_MAX = 16 << 10, /* bytes of a call's headers, decompressed */
};

/* [gRPC statuscodes] */
enum grpc_status {
    GRPC_OK = 0, GRPC_UNKNOWN = 2, GRPC_INVALID_ARGUMENT = 3, GRPC_NOT_FOUND = 5, GRPC_ALREADY_EXISTS = 6,
    GRPC_RESOURCE_EXHAUSTED = 8, GRPC_FAILED_PRECONDITION = 9, GRPC_UNIMPLEMENTED = 12, GRPC_INTERNAL = 13
};

struct grpc_reply {
    struct buffer    messages; /* each behind its prefix; wiped */
    enum grpc_status status;
    char             text[256];
};
void grpc_reply_add(struct grpc_reply *reply, const ProtobufCMessage *message);
void grpc_reply_fail(struct grpc_reply *reply, enum grpc_status status, const char *text);

/* One call, answered before it returns. `path` is at most GRPC_PATH_MAX long. */
typedef void grpc_call_fn(void *owner, const char *path, struct bytes message, struct grpc_reply *reply);

struct grpc_session;

FALLIBLE grpc_session_new(grpc_call_fn *call, void *owner, struct grpc_session **out, struct err *err);
void     grpc_session_free(struct grpc_session *session);
DEFINE_AUTO(grpc_session, struct grpc_session *, grpc_session_free)

/*
 * Takes what came from the peer and appends what goes to it. Fails MALFORMED when the peer breaks HTTP/2 beyond
 * repair: the connection is then to be closed.
 */
FALLIBLE grpc_session_feed(struct grpc_session *session, struct bytes in, struct buffer *out, struct err *err);
