#include "guest/agent/desk.h"

#include <string.h>

#include "base/json.h"
#include "guest/agent/keeper.h"
#include "guest/workload/caller.h"
#include "guest/workload/endpoints.h"

/* What the keeper is asked for while the HTTP server waits. */
struct errand {
    struct ttrpc_pending pending;
};

static void on_given(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct errand               *errand = owner;
    const Keeper__GivenResponse *given  = (const Keeper__GivenResponse *) message;
    Workload__AskResponse        answer = WORKLOAD__ASK_RESPONSE__INIT;

    if (given) {
        answer.content = given->content;
        ttrpc_answer(errand->pending, &answer.base);
    } else {
        ttrpc_refuse(errand->pending, why);
    }
    free(errand);
}

static FALLIBLE ask_keeper(struct service *s, const char *method, const ProtobufCMessage *request, struct ttrpc_pending pending,
                           struct err *err)
{
    struct ttrpc_method called = { &keeper_service, method };
    struct errand      *errand = malloc(sizeof *errand);

    if (!errand)
        abort();
    errand->pending = pending;
    if (ttrpc_connection_call(s->keeper, &called, request, on_given, errand, err))
        return true;
    free(errand);
    return false;
}

/* Only a process of a container is a caller: the agent's own have nothing to ask here. */
static FALLIBLE find_caller(const struct service *s, uint32_t port, struct container **out, struct err *err)
{
    uint64_t cgroup;

    if (port == 0 || port > UINT16_MAX)
        return fail_with(err, ERR_DENIED, "not a caller on 127.0.0.1");
    if (!caller_cgroup((uint16_t) port, WORKLOAD_PORT, &cgroup, err))
        return false;
    *out = containers_find_cgroup(s->containers, cgroup);
    return *out || fail_with(err, ERR_DENIED, "the caller is in no container of this pod");
}

FALLIBLE desk_ask_rules(struct service *s, const struct container *c, const char *request, const struct desk_fact *facts,
                        size_t n, struct err *err)
{
    AUTO(json) struct json_object *input = json_object_new_object();
    AUTO(buffer) struct buffer     text  = { 0 };

    if (!s->rules)
        return true;
    json_add_text(input, "id", c->id);
    json_add_text(input, "image", c->image);
    for (size_t i = 0; i < n; i++)
        json_add_text(input, facts[i].name, facts[i].value);
    json_write(input, &text);
    return rules_allow(s->rules, request, buffer_bytes(&text), err);
}

static FALLIBLE allow_flag(bool granted, const char *what, struct err *err)
{
    return granted || fail_with(err, ERR_DENIED, "policy does not let this container have %s", what);
}

static FALLIBLE get_resource(struct service *s, const struct container *c, const Workload__AskRequest *asked,
                             struct ttrpc_pending pending, struct err *err)
{
    Keeper__GetResourceRequest request = KEEPER__GET_RESOURCE_REQUEST__INIT;

    request.uri = asked->resource;
    return desk_ask_rules(s, c, "GetResource", &(struct desk_fact){ "resource", asked->resource }, 1, err) && policy_allow_resource(&c->grant, asked->resource, err) &&
           ask_keeper(s, "GetResource", &request.base, pending, err);
}

static FALLIBLE get_token(struct service *s, const struct container *c, const Workload__AskRequest *asked,
                          struct ttrpc_pending pending, struct err *err)
{
    Keeper__GetTokenRequest request = KEEPER__GET_TOKEN_REQUEST__INIT;

    (void) asked;
    return desk_ask_rules(s, c, "GetToken", NULL, 0, err) && allow_flag(c->grant.token, "a token", err) &&
           ask_keeper(s, "GetToken", &request.base, pending, err);
}

static FALLIBLE get_evidence(struct service *s, const struct container *c, const Workload__AskRequest *asked,
                             struct ttrpc_pending pending, struct err *err)
{
    Keeper__GetEvidenceRequest request = KEEPER__GET_EVIDENCE_REQUEST__INIT;

    request.runtime_data = asked->runtime_data;
    return desk_ask_rules(s, c, "GetEvidence", NULL, 0, err) && allow_flag(c->grant.evidence, "evidence", err) &&
           ask_keeper(s, "GetEvidence", &request.base, pending, err);
}

/* There are none: an empty answer, as CoCo gives it then. */
static FALLIBLE get_devices(struct service *s, const struct container *c, struct ttrpc_pending pending, struct err *err)
{
    Workload__AskResponse none = WORKLOAD__ASK_RESPONSE__INIT;

    if (!desk_ask_rules(s, c, "GetEvidence", NULL, 0, err) || !allow_flag(c->grant.evidence, "evidence", err))
        return false;
    ttrpc_answer(pending, &none.base);
    return true;
}

static FALLIBLE get_events(struct service *s, const struct container *c, const Workload__AskRequest *asked,
                           struct ttrpc_pending pending, struct err *err)
{
    Keeper__GetEvidenceRequest request = KEEPER__GET_EVIDENCE_REQUEST__INIT;

    request.runtime_data = asked->runtime_data;
    return desk_ask_rules(s, c, "GetEvidence", NULL, 0, err) && allow_flag(c->grant.evidence, "evidence", err) &&
           ask_keeper(s, "GetEvents", &request.base, pending, err);
}

static FALLIBLE measure(struct service *s, const struct container *c, const Workload__AskRequest *asked,
                        struct ttrpc_pending pending, struct err *err)
{
    Keeper__MeasureRequest request = KEEPER__MEASURE_REQUEST__INIT;

    request.domain         = asked->domain;
    request.operation      = asked->operation;
    request.content        = asked->content;
    request.is_of_workload = true;
    struct desk_fact facts[] = { { "domain", asked->domain }, { "operation", asked->operation } };
    return desk_ask_rules(s, c, "ExtendRuntimeMeasurement", facts, 2, err) && allow_flag(c->grant.measure, "events in the guest's log", err) &&
           ask_keeper(s, "Measure", &request.base, pending, err);
}

static void tell_info(const struct service *s, struct ttrpc_pending pending)
{
    AUTO(json) struct json_object *info   = json_object_new_object();
    AUTO(buffer) struct buffer     text   = { 0 };
    Workload__AskResponse          answer = WORKLOAD__ASK_RESPONSE__INIT;

    json_add_text(info, "version", CLOISTER_VERSION);
    json_add_text(info, "tee", cmdline_tee_name(s->tee));
    json_add_text(info, "feature", "all"); /* resources and attestation, in CoCo's words */
    json_write(info, &text);
    answer.content = (ProtobufCBinaryData){ text.len, text.at };
    ttrpc_answer(pending, &answer.base);
}

static void ask(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct service             *s      = owner;
    const Workload__AskRequest *asked  = (const Workload__AskRequest *) message;
    struct container           *caller = NULL;
    struct err                  err;
    bool                        ok = false;

    if (!find_caller(s, asked->port, &caller, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    if (asked->kind == WORKLOAD__KIND__KIND_INFO) {
        tell_info(s, pending);
        return;
    }
    if (asked->kind == WORKLOAD__KIND__KIND_RESOURCE)
        ok = get_resource(s, caller, asked, pending, &err);
    else if (asked->kind == WORKLOAD__KIND__KIND_TOKEN)
        ok = get_token(s, caller, asked, pending, &err);
    else if (asked->kind == WORKLOAD__KIND__KIND_EVIDENCE)
        ok = get_evidence(s, caller, asked, pending, &err);
    else if (asked->kind == WORKLOAD__KIND__KIND_DEVICES)
        ok = get_devices(s, caller, pending, &err);
    else if (asked->kind == WORKLOAD__KIND__KIND_EVENTS)
        ok = get_events(s, caller, asked, pending, &err);
    else if (asked->kind == WORKLOAD__KIND__KIND_MEASURE)
        ok = measure(s, caller, asked, pending, &err);
    else
        (void) fail_with(&err, ERR_UNSUPPORTED, "no such question"); /* false is what it returns */
    if (!ok)
        ttrpc_refuse(pending, &err);
}

const struct ttrpc_row desk_rows[] = { { "Ask", ask } };
const size_t           n_desk_rows = sizeof desk_rows / sizeof *desk_rows;
