/*
 * One end of a ttrpc connection on the loop: serves methods from a table, each answered at once or later, and makes
 * calls of its own. Both may be outstanding in any number up to the limits below.
 */
#pragma once

#include "base/loop.h"
#include "guest/api/ttrpc.h"

enum {
    CONNECTION_PENDING_MAX = 256,     /* requests of the peer that wait for their answer; the next is refused */
    CONNECTION_CALLS_MAX   = 256,     /* calls of ours that wait for theirs */
    CONNECTION_OUTPUT_MAX  = 8 << 20, /* bytes not yet taken by the peer; more closes the connection */
    CONNECTION_OUTPUT_FULL = 1 << 20, /* bytes from which on no further request is read */
    CONNECTION_RETRY_MS    = 10       /* a port without a host is looked at again after this time */
};

struct ttrpc_connection;

/* A request that waits for its answer. A token: copy it freely; it is used up by the first answer. */
struct ttrpc_pending {
    struct ttrpc_connection *connection;
    uint32_t                 stream;
    uint32_t                 host; /* which of the hosts that a port has met */
};

/* `request` is valid during the call. Answer, refuse, or keep `pending` and do so later. */
typedef void ttrpc_serve_fn(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);

struct ttrpc_row {
    const char     *method;
    ttrpc_serve_fn *serve;
};

/* `response` is NULL when the call failed; `why` then says how. Called once per call. */
typedef void ttrpc_reply_fn(void *owner, const ProtobufCMessage *response, const struct err *why);

/*
 * The connection is over: the peer closed (kind NONE), broke the protocol, or the transport failed. Tokens are void
 * from now on, and calls have been told. The owner frees the connection, here or later.
 */
typedef void ttrpc_closed_fn(void *owner, const struct err *why);

/* Judges a request before its row sees it. */
typedef bool ttrpc_admit_fn(void *owner, const char *method, const ProtobufCMessage *request, struct err *err);

struct ttrpc_connection_options {
    struct loop                *loop;
    const struct ttrpc_service *service; /* what we serve; NULL: every request is refused */
    const struct ttrpc_row     *rows;    /* a method of the service without a row is refused as UNSUPPORTED */
    size_t                      n_rows;
    ttrpc_closed_fn            *closed;
    void                       *owner;   /* of the rows' functions, of `closed` and of `admit` */
    ttrpc_admit_fn             *admit;   /* NULL: every request goes to its row */
    const struct ttrpc_service *const *more; /* further services whose methods are in `rows` */
    size_t                      n_more;
    void                       *rows_owner; /* of the rows' functions, where it is not `owner` */
};

/*
 * Takes `fd`: a stream socket; a virtio-serial port, which waits for its host, also when that goes and another comes; or a
 * listening socket, whose first guest (vsock_is_guest) becomes the peer, and what is said until then waits. `options` is copied; what it points to must outlive the connection.
 */
FALLIBLE ttrpc_connection_new(const struct ttrpc_connection_options *options, int fd_take,
                              struct ttrpc_connection **out, struct err *err);
bool     ttrpc_connection_is_over(const struct ttrpc_connection *connection); /* true already when its calls are told */
/* Nothing waits on either side: no request for its answer, no call, no byte to be sent, no part of a frame. */
bool     ttrpc_connection_is_idle(const struct ttrpc_connection *connection);
void     ttrpc_connection_free(struct ttrpc_connection *connection); /* safe inside its own callbacks; tells no one */
DEFINE_AUTO(ttrpc_connection, struct ttrpc_connection *, ttrpc_connection_free)

/* A token that was used up, or whose request the peer can no longer hear about, is ignored. */
void ttrpc_answer(struct ttrpc_pending pending, const ProtobufCMessage *response);
void ttrpc_refuse(struct ttrpc_pending pending, const struct err *why);

/* False for a token that was used up, was never filled in, or whose asker is gone. */
bool ttrpc_is_pending(struct ttrpc_pending pending);

/* `owner` goes to `reply`. Fails LIMIT when too many calls wait, OS when the connection is over. */
FALLIBLE ttrpc_connection_call(struct ttrpc_connection *connection, const struct ttrpc_method *method,
                               const ProtobufCMessage *request, ttrpc_reply_fn *reply, void *owner, struct err *err);
