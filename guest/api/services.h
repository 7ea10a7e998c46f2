/* The four contracts by the names they have on the wire, and the virtio-serial ports that carry them. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "guest/api/agent.pb-c.h"
#include "guest/api/blobs.pb-c.h"
#include "guest/api/report.pb-c.h"
#include "guest/api/message.h"
#include "guest/api/tunnel.pb-c.h"

#define AGENT_PORT  "cloister.agent"  /* the guest serves */
#define BLOBS_PORT  "cloister.blobs"  /* on this and the next two the host serves */
#define BROKER_PORT "cloister.broker"
#define REPORT_PORT "cloister.report" /* simulated platform only */

enum { TRANSFER_LEN_MAX = 256 << 10 }; /* bytes of payload in one message, for every `data`, `most` and `length` */
enum { TUNNEL_CONNECTIONS_MAX = 8 };   /* to the broker at once: a guest keeps one open for each thread that asks, and the host serves as many */

struct ttrpc_service {
    const char                       *name;
    const ProtobufCServiceDescriptor *contract;
    enum message_form                 form; /* of requests: MESSAGE_LOOSE for a contract that others write and extend */
};

struct ttrpc_method {
    const struct ttrpc_service *service;
    const char                 *name;
};

extern const struct ttrpc_service agent_service, blobs_service, tunnel_service, report_service;

/* The types of a method's messages; NULL when the service has no such method. */
const ProtobufCMethodDescriptor *service_method(const struct ttrpc_service *service, const char *name);
