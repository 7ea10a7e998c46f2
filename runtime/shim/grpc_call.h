/* One unary gRPC call over a UNIX socket, waited for. [gRPC over HTTP/2; RFC 9113] */
#pragma once

#include "guest/api/message.h"

struct grpc_call {
    const char *socket_path;
    const char *method;     /* "/package.Service/Method" */
    const char *namespace;  /* containerd's; NULL: none */
    int         timeout_ms;
};

enum { GRPC_ANSWER_MAX = 4 << 20 };

/*
 *   type    of the answer, which is read loosely
 *   out     yours, AUTO(message)
 *
 * Fails as the server refused, in its words; TIMEOUT, OS, MALFORMED, LIMIT.
 */
FALLIBLE grpc_call(const struct grpc_call *call, const ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out, struct err *err);

/* The message of an answer's body: "0", a length of 4 bytes, the message. Fails MALFORMED; UNSUPPORTED when compressed. */
FALLIBLE grpc_body_read(struct bytes body, struct bytes *message, struct err *err);
