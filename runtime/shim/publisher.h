/*
 * Tells containerd what happened, over its ttrpc socket, in order. An engine that is away is waited for; nothing else
 * waits for it. [containerd.services.events.ttrpc.v1]
 */
#pragma once

#include <time.h>

#include "guest/api/connection.h"
#include "runtime/shim/engine.pb-c.h"

struct publisher;

/*   address     path of the socket; "": there is no one to tell (CRI-O) */
FALLIBLE publisher_new(struct loop *loop, const char *address, const char *namespace, struct publisher **out,
                       struct err *err);
void     publisher_free(struct publisher *publisher);
DEFINE_AUTO(publisher, struct publisher *, publisher_free)

/* `topic` such as "/tasks/exit", `type` such as "containerd.events.TaskExit"; both static texts. */
void publisher_tell(struct publisher *publisher, const char *topic, const char *type, const ProtobufCMessage *event);
bool publisher_is_done(const struct publisher *publisher); /* all that was told was taken */
