/*
 * ttrpc on the wire: a 10-byte header (length, stream, type, flags; big endian) before each envelope.
 * Unary calls only. [ttrpc PROTOCOL.md]
 */
#pragma once

#include "guest/api/envelope.pb-c.h"
#include "guest/api/message.h"
#include "guest/api/services.h"

enum { TTRPC_HEADER_LEN = 10, TTRPC_NAME_MAX = 128, TTRPC_METADATA_MAX = 32 };
enum ttrpc_type { TTRPC_REQUEST = 1, TTRPC_RESPONSE = 2 };

struct ttrpc_frame {
    uint32_t        stream; /* never 0; odd: clients choose them */
    enum ttrpc_type type;
    struct bytes    message; /* the envelope */
};

/*
 * Looks for one whole frame at the front of `input`.
 *
 *   out     borrows from `input`
 *   used    the frame's length with its header; 0 while more bytes are wanted, then `out` is untouched
 *
 * Fails LIMIT for a message over MESSAGE_LEN_MAX, UNSUPPORTED for another type or any flag, MALFORMED for a
 * stream id that no client may choose. All are told from the header, before the message has arrived.
 */
FALLIBLE ttrpc_frame_read(struct bytes input, struct ttrpc_frame *out, size_t *used, struct err *err);

/*
 * Any message may have a secret in it: what these make on their way is wiped, and so is what ttrpc_drop removes from a
 * buffer that is.
 */

/* Appends a whole frame with a request for `method`, or fails LIMIT when it would be too long to be read. */
FALLIBLE ttrpc_append_request(struct buffer *out, uint32_t stream, const struct ttrpc_method *method,
                              const ProtobufCMessage *request, struct err *err);
FALLIBLE ttrpc_append_response(struct buffer *out, uint32_t stream, const ProtobufCMessage *response, struct err *err);
void     ttrpc_append_refusal(struct buffer *out, uint32_t stream, const struct err *why);

/*
 * Reads a request's envelope. `out` is yours: release it with AUTO(message); its payload is not read yet.
 * Fails MALFORMED, LIMIT.
 */
FALLIBLE ttrpc_request_read(struct bytes message, ProtobufCMessage **out, struct err *err);

/*
 * Reads a response's envelope and, when its status is good, the payload as a message of `type`. A refusal becomes
 * this call's own failure, with the kind and the text that the peer gave.
 */
FALLIBLE ttrpc_response_read(struct bytes message, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                             struct err *err);

/* write(2) without SIGPIPE; only sockets raise it, and a port is none. */
ssize_t ttrpc_write(int fd, bool is_port, struct bytes b);

void ttrpc_drop(struct buffer *input, size_t used); /* removes from the front */
