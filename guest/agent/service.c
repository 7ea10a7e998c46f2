#include "guest/agent/service.h"

#include <string.h>

#include "guest/agent/keeper.h"
#include "guest/init/network.h"

static const struct ttrpc_method unpack_method = { &keeper_service, "Unpack" };

/* What CreateContainer asked for, kept while the keeper works. */
struct creation {
    struct service      *service;
    struct container    *container;
    struct ttrpc_pending pending;
    ProtobufCMessage    *request; /* a copy of its own */
};

static void refuse(struct ttrpc_pending pending, const char *phase, struct err *why)
{
    if (phase)
        (void) context(why, phase); /* false is what it returns */
    ttrpc_refuse(pending, why);
}

static struct container *find(struct service *s, const char *id, struct ttrpc_pending pending)
{
    struct container *c = containers_find(s->containers, id);
    struct err        why;

    if (c)
        return c;
    (void) fail_with(&why, ERR_NOT_FOUND, "no such container"); /* false is what it returns */
    refuse(pending, "start", &why);
    return NULL;
}

static void get_status(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const struct service    *s       = owner;
    Agent__GetStatusResponse answer  = AGENT__GET_STATUS_RESPONSE__INIT;
    char                     version[] = CLOISTER_VERSION;

    (void) request;
    answer.version    = version;
    answer.platform   = (char *) (uintptr_t) cmdline_tee_name(s->tee); /* written to the wire only */
    answer.containers = (uint32_t) containers_count(s->containers);
    ttrpc_answer(pending, &answer.base);
}

static void get_timeline(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service            *s      = owner;
    Agent__GetTimelineResponse answer = AGENT__GET_TIMELINE_RESPONSE__INIT;
    Agent__TimelineEvent       events[TIMELINE_MAX];
    Agent__TimelineEvent      *at[TIMELINE_MAX];

    (void) request;
    for (size_t i = 0; i < s->timeline->n; i++) {
        struct timeline_event *from = &s->timeline->events[i];

        events[i]           = (Agent__TimelineEvent) AGENT__TIMELINE_EVENT__INIT;
        events[i].phase     = (char *) (uintptr_t) from->phase; /* written to the wire only */
        events[i].begin_ms  = from->begin_ms;
        events[i].end_ms    = from->end_ms;
        events[i].container = from->container;
        at[i]               = &events[i];
    }
    answer.events   = at;
    answer.n_events = s->timeline->n;
    ttrpc_answer(pending, &answer.base);
}

static void shut_down(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service          *s      = owner;
    Agent__ShutdownResponse  answer = AGENT__SHUTDOWN_RESPONSE__INIT;

    (void) request;
    ttrpc_answer(pending, &answer.base);
    s->is_ending = true;
    loop_stop(s->loop);
}

static FALLIBLE configure(struct service *s, const Agent__ConfigureNetworkRequest *asked, struct err *err)
{
    struct network network;

    if (!policy_allow_network(&s->policy, err))
        return false;
    if (s->has_network || containers_count(s->containers) > 0)
        return fail_with(err, ERR_DENIED, "the network is configured once, before the first container");
    if (!network_read(asked, &network, err))
        return false;
    s->has_network = true;
    return network_apply(&network, "/proc/sys", err);
}

static void configure_network(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    Agent__ConfigureNetworkResponse answer = AGENT__CONFIGURE_NETWORK_RESPONSE__INIT;
    struct err                      err;

    if (configure(owner, (const Agent__ConfigureNetworkRequest *) request, &err))
        ttrpc_answer(pending, &answer.base);
    else
        refuse(pending, "boot", &err);
}

static void end_creation(struct creation *creation)
{
    message_free(creation->request);
    free(creation);
}

static void on_created(void *owner, struct container *c, struct ttrpc_pending pending, const struct err *why)
{
    Agent__CreateContainerResponse answer = AGENT__CREATE_CONTAINER_RESPONSE__INIT;
    struct err                     shown;

    (void) owner;
    if (!why) {
        ttrpc_answer(pending, &answer.base);
        return;
    }
    shown = *why;
    container_discard(c);
    refuse(pending, "start", &shown);
}

/* Known names only: they are kept by pointer. */
static const char *known_phase(const char *name)
{
    static const char *const phases[] = { "initdata", "attest", "key", "pull", "verify", "unpack" };

    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (strcmp(phases[i], name) == 0)
            return phases[i];
    return "boot";
}

static FALLIBLE begin_container(struct creation *creation, const Keeper__UnpackResponse *unpacked, struct err *err)
{
    const Agent__CreateContainerRequest   *asked = (const Agent__CreateContainerRequest *) creation->request;
    AUTO(image_config) struct image_config image = { 0 };

    for (size_t i = 0; i < unpacked->n_spans; i++)
        timeline_add(creation->service->timeline, known_phase(unpacked->spans[i]->phase), unpacked->spans[i]->begin_ms,
                     unpacked->spans[i]->end_ms, creation->container->id);
    if (!image_config_read((struct bytes){ unpacked->config.data, unpacked->config.len }, &image, err))
        return false;
    creation->container->unpacked_ms = timeline_now_ms();
    struct container_command command = { .image = &image, .args = asked->args, .n_args = asked->n_args,
                                         .env = asked->env, .n_env = asked->n_env };
    return container_create(creation->container, &command, on_created, creation->pending, err);
}

static void on_unpacked(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct creation *creation = owner;
    struct err       err;

    if (!response) {
        err = *why; /* the keeper names the phase */
        container_discard(creation->container);
        ttrpc_refuse(creation->pending, &err);
    } else if (!begin_container(creation, (const Keeper__UnpackResponse *) response, &err)) {
        container_discard(creation->container);
        refuse(creation->pending, "start", &err);
    }
    end_creation(creation);
}

static FALLIBLE ask_keeper(struct creation *creation, struct err *err)
{
    const Agent__CreateContainerRequest *asked   = (const Agent__CreateContainerRequest *) creation->request;
    Keeper__UnpackRequest                request = KEEPER__UNPACK_REQUEST__INIT;

    request.image_digest = asked->image_digest;
    request.directory    = (char *) (uintptr_t) container_root(creation->container); /* written to the wire only */
    return ttrpc_connection_call(creation->service->keeper, &unpack_method, &request.base, on_unpacked, creation, err);
}

/* The connection owns `request`: what must live longer is read again from its own bytes. */
static ProtobufCMessage *copy_of(const ProtobufCMessage *request)
{
    AUTO(buffer) struct buffer wire = { 0 };
    ProtobufCMessage          *copy = NULL;
    struct err                 err;

    message_append(&wire, request);
    if (!message_read(request->descriptor, buffer_bytes(&wire), MESSAGE_EXACT, &copy, &err))
        abort(); /* it was read just so a moment ago */
    return copy;
}

static FALLIBLE allow(struct service *s, const Agent__CreateContainerRequest *asked, struct policy_grant *grant,
                      struct err *err)
{
    struct policy_request request = { .image_digest = asked->image_digest, .args = asked->args,
                                      .n_args = asked->n_args, .env = asked->env, .n_env = asked->n_env,
                                      .terminal = asked->terminal };

    return policy_allow_create(&s->policy, &request, grant, err);
}

static void create_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                      *s     = owner;
    const Agent__CreateContainerRequest *asked = (const Agent__CreateContainerRequest *) request;
    struct container                    *c     = NULL;
    struct policy_grant                  grant;
    struct err                           err;

    if (!allow(s, asked, &grant, &err) || !containers_add(s->containers, asked->id, grant, &c, &err)) {
        refuse(pending, "config", &err);
        return;
    }
    struct creation *creation = calloc(1, sizeof *creation);
    if (!creation)
        abort();
    *creation = (struct creation){ s, c, pending, copy_of(request) };
    if (ask_keeper(creation, &err))
        return;
    container_discard(c);
    end_creation(creation);
    refuse(pending, "pull", &err);
}

static void on_started(void *owner, struct container *c, struct ttrpc_pending pending, const struct err *why)
{
    struct service                *s      = owner;
    Agent__StartContainerResponse  answer = AGENT__START_CONTAINER_RESPONSE__INIT;
    struct err                     shown;

    if (!why) {
        timeline_add(s->timeline, "start", c->unpacked_ms, timeline_now_ms(), c->id);
        ttrpc_answer(pending, &answer.base);
        return;
    }
    shown = *why;
    refuse(pending, "start", &shown);
}

static void start_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service   *s = owner;
    struct container *c = find(s, ((const Agent__StartContainerRequest *) request)->id, pending);
    struct err        err;

    if (c && !container_start(c, on_started, pending, &err))
        refuse(pending, "start", &err);
}

static void tell_waiter(const struct container *c, struct ttrpc_pending pending)
{
    Agent__WaitContainerResponse answer = AGENT__WAIT_CONTAINER_RESPONSE__INIT;

    answer.exit_code = (uint32_t) c->exit_code;
    ttrpc_answer(pending, &answer.base);
}

static void forget_the_gone(struct container *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_waiters; i++)
        if (ttrpc_is_pending(c->waiters[i]))
            c->waiters[n++] = c->waiters[i];
    c->n_waiters = n;
}

static void wait_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service   *s = owner;
    struct container *c = find(s, ((const Agent__WaitContainerRequest *) request)->id, pending);
    struct err        err;

    if (!c)
        return;
    forget_the_gone(c);
    if (c->has_ended) {
        tell_waiter(c, pending);
    } else if (c->n_waiters == CONTAINER_WAITERS_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "over %d wait for it", CONTAINER_WAITERS_MAX); /* false by contract */
        refuse(pending, "start", &err);
    } else {
        c->waiters[c->n_waiters++] = pending;
    }
}

void service_container_ended(void *owner, struct container *container)
{
    (void) owner;
    for (size_t i = 0; i < container->n_waiters; i++)
        tell_waiter(container, container->waiters[i]);
    container->n_waiters = 0;
}

static void signal_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                       *s      = owner;
    const Agent__SignalContainerRequest  *asked  = (const Agent__SignalContainerRequest *) request;
    Agent__SignalContainerResponse        answer = AGENT__SIGNAL_CONTAINER_RESPONSE__INIT;
    struct container                     *c      = find(s, asked->id, pending);
    struct err                            err;

    if (!c)
        return;
    if (container_signal(c, asked->signal, &err))
        ttrpc_answer(pending, &answer.base);
    else
        refuse(pending, "start", &err);
}

static void answer_output(struct output *output, struct ttrpc_pending pending, size_t most)
{
    AUTO(buffer) struct buffer piece  = { 0 };
    Agent__ReadOutputResponse  answer = AGENT__READ_OUTPUT_RESPONSE__INIT;

    output_take(output, most, &piece);
    answer.data = (ProtobufCBinaryData){ piece.len, piece.at };
    answer.eof  = output_is_over(output);
    ttrpc_answer(pending, &answer.base);
}

void service_more_output(void *owner, struct output *output)
{
    struct container *c = owner;
    size_t            i = (size_t) (output - c->outputs);

    if (ttrpc_is_pending(c->readers[i])) /* bytes are not taken for one who has gone */
        answer_output(output, TAKE(c->readers[i]), c->reader_most[i]);
}

static void read_output(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                 *s      = owner;
    const Agent__ReadOutputRequest *asked  = (const Agent__ReadOutputRequest *) request;
    struct container               *c      = find(s, asked->id, pending);
    size_t                          stream = asked->stream == AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    struct err                      err;

    if (!c)
        return;
    if ((stream == 0 && asked->stream != AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT) || asked->most == 0 ||
        asked->most > TRANSFER_LEN_MAX) {
        (void) fail_with(&err, ERR_MALFORMED, "wanted stdout or stderr, 1 to %d bytes",
                         TRANSFER_LEN_MAX); /* false is what it returns */
        refuse(pending, "start", &err);
    } else if (c->state == CONTAINER_NEW || c->state == CONTAINER_CREATING) {
        (void) fail_with(&err, ERR_CONFIG, "container %s is %s", c->id, container_state_name(c->state)); /* as above */
        refuse(pending, "start", &err);
    } else if (ttrpc_is_pending(c->readers[stream])) {
        (void) fail_with(&err, ERR_LIMIT, "another request reads this stream"); /* as above */
        refuse(pending, "start", &err);
    } else if (output_is_ready(&c->outputs[stream])) {
        answer_output(&c->outputs[stream], pending, asked->most);
    } else {
        c->readers[stream]     = pending;
        c->reader_most[stream] = asked->most;
    }
}

static void on_input_written(void *owner, const struct err *why)
{
    struct container         *c      = owner;
    Agent__WriteInputResponse answer = AGENT__WRITE_INPUT_RESPONSE__INIT;
    struct err                shown;

    if (!why) {
        ttrpc_answer(TAKE(c->writer), &answer.base);
        return;
    }
    shown = *why;
    refuse(TAKE(c->writer), "start", &shown);
}

static void write_input(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                 *s     = owner;
    const Agent__WriteInputRequest *asked = (const Agent__WriteInputRequest *) request;
    struct container               *c     = find(s, asked->id, pending);
    struct err                      err;

    if (!c)
        return;
    if (!c->grant.input) {
        (void) fail_with(&err, ERR_DENIED, "policy allows no input to this container"); /* false by contract */
    } else if (asked->data.len > TRANSFER_LEN_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "over %d bytes of input at once", TRANSFER_LEN_MAX); /* as above */
    } else if (c->input.done) {
        (void) fail_with(&err, ERR_LIMIT, "another write to standard input goes on"); /* as above */
    } else {
        c->writer = pending;
        struct bytes more = { asked->data.data, asked->data.len };
        if (input_write(&c->input, more, asked->eof, on_input_written, c, &err))
            return;
    }
    refuse(pending, "start", &err);
}

/* Whoever still waits for something of this container hears that it is gone. */
static void dismiss(struct container *c)
{
    struct err gone;

    (void) fail_with(&gone, ERR_NOT_FOUND, "start: the container was deleted"); /* false is what it returns */
    for (size_t i = 0; i < c->n_waiters; i++)
        ttrpc_refuse(c->waiters[i], &gone);
    for (size_t i = 0; i < CONTAINER_STREAMS; i++)
        ttrpc_refuse(TAKE(c->readers[i]), &gone);
    c->n_waiters = 0;
}

static void on_deleted(void *owner, struct container *c, struct ttrpc_pending pending, const struct err *why)
{
    Agent__DeleteContainerResponse answer = AGENT__DELETE_CONTAINER_RESPONSE__INIT;

    (void) owner;
    (void) why; /* always NULL */
    dismiss(c);
    ttrpc_answer(pending, &answer.base);
}

static void delete_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service   *s = owner;
    struct container *c = find(s, ((const Agent__DeleteContainerRequest *) request)->id, pending);
    struct err        err;

    if (c && !container_delete(c, on_deleted, pending, &err))
        refuse(pending, "start", &err);
}

const struct ttrpc_row service_rows[] = {
    { "GetStatus", get_status },
    { "ConfigureNetwork", configure_network },
    { "CreateContainer", create_container },
    { "StartContainer", start_container },
    { "WaitContainer", wait_container },
    { "SignalContainer", signal_container },
    { "ReadOutput", read_output },
    { "WriteInput", write_input },
    { "DeleteContainer", delete_container },
    { "GetTimeline", get_timeline },
    { "Shutdown", shut_down },
};
const size_t n_service_rows = sizeof service_rows / sizeof *service_rows;
