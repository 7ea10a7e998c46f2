/* Protobuf messages from a peer, read by protobuf-c behind the bounds that it lacks. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/auto.h"
#include "base/bytes.h"

enum {
    MESSAGE_LEN_MAX    = 1 << 20, /* bytes on the wire */
    MESSAGE_MEMORY_MAX = 8 << 20, /* bytes that reading one message may allocate: repeated fields grow in memory */
    MESSAGE_DEPTH_MAX  = 8
};

enum message_form {
    MESSAGE_EXACT, /* one encoding only: no unknown field, no duplicate, fields in order, shortest numbers */
    MESSAGE_LOOSE  /* as protobuf allows: for the envelope, which others write too */
};

/*
 * Reads one message.
 *
 *   out    yours, release with AUTO(message); the generated struct begins at the same address
 *
 * Fails MALFORMED (also for text that is not UTF-8, and for what MESSAGE_EXACT refuses), LIMIT.
 */
FALLIBLE message_read(const ProtobufCMessageDescriptor *type, struct bytes wire, enum message_form form,
                      ProtobufCMessage **out, struct err *err);

void message_append(struct buffer *out, const ProtobufCMessage *message);
/* A copy of its own of a message that was read. */
ProtobufCMessage *message_copy(const ProtobufCMessage *message);
void message_free(ProtobufCMessage *message); /* wipes */

DEFINE_AUTO(message, ProtobufCMessage *, message_free)
