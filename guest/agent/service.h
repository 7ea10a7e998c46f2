/* The agent's answers to the host: one function for each method of cloister.agent.v1.Agent. Runs in PID 1. */
#pragma once

#include "guest/agent/timeline.h"
#include "guest/api/connection.h"
#include "guest/container/container.h"
#include "guest/container/rules.h"
#include "guest/init/cmdline.h"

/* Borrows everything it points to. */
struct service {
    struct loop             *loop;
    struct ttrpc_connection *keeper; /* for Unpack */
    struct containers       *containers;
    struct policy            policy; /* owned by who fills it in, as are */
    struct rules            *rules;  /* NULL: none */
    struct timeline         *timeline;
    enum cmdline_tee         tee;
    bool                     has_network; /* it was configured, or tried to be */
    bool                     is_ending; /* Shutdown was asked for */
    struct ttrpc_pending     ending;      /* the Shutdown that waits for its answer */
    bool                     has_volumes; /* persistent ones were opened: they are closed before the end */
};

extern const struct ttrpc_row service_rows[];
extern const size_t           n_service_rows;

/*
 * Asks the owner's rules about a request, before anything else looks at it. Their input: the request's fields, and
 * `image`, the manifest's digest of the container that it is about, where there is one. Fails DENIED.
 */
bool service_admit(void *owner, const char *method, const ProtobufCMessage *request, struct err *err);

/* For containers_options: `owner` of the first is a process of a container, of the second the service. */
void service_more_output(void *owner, struct output *output);
void service_container_ended(void *owner, struct container_process *process);
