/* A synchronous ttrpc client: one call at a time over a stream socket or a virtio-serial port. */
#pragma once

#include "guest/api/ttrpc.h"

struct ttrpc_client {
    int           fd;        /* borrowed */
    bool          is_port;   /* virtio-serial: reads give 0 while the host has not opened its end */
    bool          is_broken; /* after a failure of the transport every call fails */
    uint32_t      next_stream;
    struct buffer input;
};

/* Sets O_NONBLOCK on `fd`, which must outlive the client. Release with AUTO(ttrpc_client). */
FALLIBLE ttrpc_client_over(int fd, struct ttrpc_client *out, struct err *err);
static inline void auto_ttrpc_client(struct ttrpc_client *client) { buffer_free(&client->input); }
/* Between calls: gives back the memory that long answers took. */
void ttrpc_client_rest(struct ttrpc_client *client);

/*
 * Calls and waits for the answer.
 *
 *   timeout_ms   for the whole call, or -1: as long as it takes
 *   response     yours, AUTO(message): the generated struct of the method's answer
 *
 * Fails as the peer refused, in its words; TIMEOUT; MALFORMED, LIMIT and UNSUPPORTED for what it sent; OS when it is
 * gone.
 */
FALLIBLE ttrpc_call(struct ttrpc_client *client, const struct ttrpc_method *method, const ProtobufCMessage *request,
                    int timeout_ms, ProtobufCMessage **response, struct err *err);
