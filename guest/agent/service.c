#include "guest/agent/service.h"

#include <string.h>

#include "guest/agent/keeper.h"
#include "guest/agent/service_methods.h"
#include "guest/api/message_json.h"
#include "guest/init/network.h"
#include "guest/init/power.h"

static const struct ttrpc_method close_volumes_method = { &keeper_service, "CloseVolumes" };

void service_refuse(struct ttrpc_pending pending, const char *phase, struct err *why)
{
    if (phase)
        (void) context(why, phase); /* false is what it returns */
    ttrpc_refuse(pending, why);
}

struct container *service_find(struct service *s, const char *id, struct ttrpc_pending pending)
{
    struct container *c = containers_find(s->containers, id);
    struct err        why;

    if (c)
        return c;
    (void) fail_with(&why, ERR_NOT_FOUND, "no such container"); /* false is what it returns */
    service_refuse(pending, "start", &why);
    return NULL;
}

struct container_process *service_find_process(struct service *s, const char *id, const char *process,
                                              struct ttrpc_pending pending)
{
    struct container         *c = service_find(s, id, pending);
    struct container_process *p = c ? container_process_find(c, process) : NULL;
    struct err                why;

    if (p || !c)
        return p;
    (void) fail_with(&why, ERR_NOT_FOUND, "no such process in the container"); /* false is what it returns */
    service_refuse(pending, "start", &why);
    return NULL;
}

static const char *image_of(const struct service *s, struct json_object *input)
{
    struct json_object     *digest = json_object_object_get(input, "image_digest"), *id = json_object_object_get(input, "id");
    const struct container *c      = id ? containers_find(s->containers, json_object_get_string(id)) : NULL;

    if (digest)
        return json_object_get_string(digest);
    return c ? c->image : NULL;
}

bool service_admit(void *owner, const char *method, const ProtobufCMessage *request, struct err *err)
{
    const struct service          *s     = owner;
    AUTO(json) struct json_object *input = NULL;
    AUTO(buffer) struct buffer     text  = { 0 };
    const char                    *image;

    if (!s->rules)
        return true;
    input = message_to_json(request);
    image = image_of(s, input);
    if (image)
        json_add_text(input, "image", image);
    json_write(input, &text);
    return rules_allow(s->rules, method, buffer_bytes(&text), err) ||
           context(err, strcmp(method, "CreateContainer") == 0 ? "config" : "start");
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

static void end_guest(struct service *s)
{
    Agent__ShutdownResponse answer = AGENT__SHUTDOWN_RESPONSE__INIT;

    ttrpc_answer(s->ending, &answer.base);
    s->is_ending = true;
    loop_stop(s->loop);
}

static void on_volumes_closed(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    const Keeper__CloseVolumesResponse *answer = (const Keeper__CloseVolumesResponse *) message;

    if (!answer || answer->note[0])
        power_note("start", answer ? answer->note : why->text);
    end_guest(owner);
}

static void shut_down(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service              *s     = owner;
    Keeper__CloseVolumesRequest  close = KEEPER__CLOSE_VOLUMES_REQUEST__INIT;
    struct err                   ignored; /* a keeper that cannot be asked closes nothing: the end comes all the same */

    (void) request;
    s->ending = pending;
    if (!s->has_volumes || !ttrpc_connection_call(s->keeper, &close_volumes_method, &close.base, on_volumes_closed, s, &ignored))
        end_guest(s);
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
        service_refuse(pending, "boot", &err);
}

const struct ttrpc_row service_rows[] = {
    { "GetStatus", get_status },
    { "ConfigureNetwork", configure_network },
    { "CreateContainer", service_create_container },
    { "StartContainer", service_start_container },
    { "WaitContainer", service_wait_container },
    { "SignalContainer", service_signal_container },
    { "ReadOutput", service_read_output },
    { "WriteInput", service_write_input },
    { "DeleteContainer", service_delete_container },
    { "GetTimeline", get_timeline },
    { "GetReceipt", service_get_receipt },
    { "Shutdown", shut_down },
    { "ExecProcess", service_exec_process },
    { "ResizeTerminal", service_resize_terminal },
    { "StatsContainer", service_stats_container },
    { "UpdateContainer", service_update_container },
    { "UpdateVolume", service_update_volume },
};
const size_t n_service_rows = sizeof service_rows / sizeof *service_rows;
