#include <string.h>

#include "base/json.h"
#include "guest/agent/keeper.h"
#include "guest/agent/measurements.h"
#include "guest/agent/service_methods.h"
#include "guest/agent/unseal.h"
#include "guest/agent/volumes_opening.h"
#include "guest/agent/wishes.h"
#include "guest/container/oci.h"
#include "guest/init/heap.h"
#include "guest/init/power.h"

static const struct ttrpc_method unpack_method  = { &keeper_service, "Unpack" };
static const struct ttrpc_method measure_method = { &keeper_service, "Measure" };

/* What CreateContainer asked for, kept while the keeper works. */
struct creation {
    struct service      *service;
    struct container    *container;
    struct ttrpc_pending pending;
    ProtobufCMessage    *request; /* a copy of its own */
    struct image_config  image;
    struct wishes        wishes;
    const char         **env;       /* n_env of the request; owned, the texts are not */
    struct volumes_opening opening;
    struct unsealing     unsealing; /* holds what takes the place of sealed values in these */
};

static void end_creation(struct creation *creation)
{
    unsealing_free(&creation->unsealing);
    image_config_free(&creation->image);
    free(creation->env);
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
        heap_give_back();
        return;
    }
    shown = *why;
    container_discard(c);
    service_refuse(pending, "start", &shown);
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

/* `why` has its phase, or is NULL and what was sealed is open. */
static void end_with(struct creation *creation, const struct err *why)
{
    if (why) {
        container_discard(creation->container);
        ttrpc_refuse(creation->pending, why);
    }
    end_creation(creation);
}

static void on_volumes_opened(void *owner, const struct err *why)
{
    struct creation                     *creation = owner;
    const Agent__CreateContainerRequest *asked    = (const Agent__CreateContainerRequest *) creation->request;
    struct container_command             command  = { .image = &creation->image, .args = asked->args, .n_args = asked->n_args,
                                                      .env = (char *const *) (uintptr_t) creation->env, .n_env = asked->n_env, .is_whole = asked->is_whole,
                                                      .terminal = asked->terminal, .hostname = asked->hostname,
                                                      .share_processes = asked->share_processes,
                                                      .volumes = &creation->wishes.volumes, .hidden = &creation->wishes.hidden,
                                                      .sysctls = &creation->wishes.sysctls };
    struct err                           err;

    for (size_t i = 0; !why && i < creation->wishes.volumes.n_disks; i++)
        if (!creation->wishes.volumes.disks[i].read_only)
            (void) snprintf(creation->container->volumes[creation->container->n_volumes++], VOLUME_DISK_NAME_MAX + 1, "%s",
                            creation->wishes.volumes.disks[i].volume); /* its length was checked */
    if (!why && !container_create(creation->container, &command, on_created, creation->pending, &err)) {
        (void) context(&err, "start"); /* false is what it returns */
        why = &err;
    }
    end_with(creation, why);
}

static void on_unsealed(void *owner, const struct err *why)
{
    struct creation *creation = owner;

    if (why) {
        end_with(creation, why);
        return;
    }
    creation->opening = (struct volumes_opening){ .service = creation->service, .container = creation->container,
                                                  .volumes = &creation->wishes.volumes, .done = on_volumes_opened, .owner = creation };
    volumes_opening_begin(&creation->opening);
}

/* The image's own variables that the request sets anew are nobody's any more. */
static FALLIBLE find_sealed(struct creation *creation, const Agent__CreateContainerRequest *asked, struct err *err)
{
    struct unsealing *u = &creation->unsealing;

    *u = (struct unsealing){ .service = creation->service, .container = creation->container, .volumes = &creation->wishes.volumes,
                             .done = on_unsealed, .owner = creation };
    creation->env = zeroed(asked->n_env, sizeof *creation->env);
    for (size_t i = 0; i < asked->n_env; i++)
        creation->env[i] = asked->env[i];
    for (size_t i = 0; i < creation->image.env.n; i++)
        if (!oci_env_has(creation->env, asked->n_env, creation->image.env.at[i]) &&
            !unseal_find_env(u, &creation->image.env.at[i], 1, err))
            return false;
    return unseal_find_env(u, creation->env, asked->n_env, err) && unseal_find_files(u, err);
}

static FALLIBLE begin_container(struct creation *creation, const Keeper__UnpackResponse *unpacked, struct err *err)
{
    const Agent__CreateContainerRequest *asked   = (const Agent__CreateContainerRequest *) creation->request;
    struct policy_request                request = wishes_as_policy_sees(asked, &creation->wishes);
    struct container                    *c       = creation->container;

    for (size_t i = 0; i < unpacked->n_spans; i++)
        timeline_add(creation->service->timeline, known_phase(unpacked->spans[i]->phase), unpacked->spans[i]->begin_ms,
                     unpacked->spans[i]->end_ms, c->id);
    if (unpacked->note[0])
        power_note("pull", unpacked->note);
    if (!wishes_read(asked, &creation->wishes, err) ||
        !image_config_read((struct bytes){ unpacked->config.data, unpacked->config.len }, &creation->image, err) ||
        !policy_allow_create(&creation->service->policy, &request, &creation->image, &c->grant, err))
        return false;
    (void) snprintf(c->image, sizeof c->image, "%s", unpacked->image_digest); /* a longer one has no image */
    if (!wishes_ask_rules(creation->service, c, asked, &creation->wishes, err))
        return false;
    policy_bound_directories(&c->grant, &creation->wishes.volumes);
    if (unpacked->n_lower > 0 && !container_mount_root(c, unpacked->lower, unpacked->n_lower, err))
        return context(err, "root directory");
    c->unpacked_ms = timeline_now_ms();
    return find_sealed(creation, asked, err);
}

static void on_unpacked(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct creation *creation = owner;
    struct err       err;

    if (!response) {
        end_with(creation, why); /* the keeper names the phase */
    } else if (begin_container(creation, (const Keeper__UnpackResponse *) response, &err)) {
        unseal_begin(&creation->unsealing);
    } else {
        (void) context(&err, "start"); /* false is what it returns */
        end_with(creation, &err);
    }
}

static FALLIBLE ask_keeper(struct creation *creation, struct err *err)
{
    const Agent__CreateContainerRequest *asked   = (const Agent__CreateContainerRequest *) creation->request;
    Keeper__UnpackRequest                request = KEEPER__UNPACK_REQUEST__INIT;
    char                                *used[CONTAINERS_MAX];

    request.image_digest = asked->image_digest;
    request.image_name   = asked->image_name;
    request.is_alone     = policy_has_one_image(&creation->service->policy);
    request.used         = used;
    request.may_forget   = containers_images(creation->service->containers, creation->container, used, &request.n_used);
    return ttrpc_connection_call(creation->service->keeper, &unpack_method, &request.base, on_unpacked, creation, err);
}

static FALLIBLE check_hostname(const char *name, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
    size_t            len       = strnlen(name, HOSTNAME_LEN_MAX + 1);

    if (len <= HOSTNAME_LEN_MAX && *name != '-' && *name != '.' && strspn(name, letters) == len)
        return true;
    return fail_with(err, ERR_MALFORMED, "hostname: wanted at most %d of a-z, 0-9, - and .", HOSTNAME_LEN_MAX);
}

struct cgroup_limits service_limits_of(const Agent__Limits *asked)
{
    return asked ? (struct cgroup_limits){ asked->memory_bytes, asked->cpu_quota_us, asked->cpu_period_us }
                 : (struct cgroup_limits){ 0 };
}

static FALLIBLE allow(struct service *s, const Agent__CreateContainerRequest *asked, struct policy_grant *grant,
                      struct err *err)
{
    struct wishes         wishes  = { 0 };
    struct policy_request request = wishes_as_policy_sees(asked, &wishes);
    struct cgroup_limits  limits  = service_limits_of(asked->limits);

    if ((limits.memory_bytes > 0 || limits.cpu_quota_us > 0) && !containers_options(s->containers)->cgroups)
        return fail_with(err, ERR_UNSUPPORTED, "nothing is limited here");
    return wishes_read(asked, &wishes, err) && policy_allow_create(&s->policy, &request, NULL, grant, err) && check_hostname(asked->hostname, err) &&
           cgroup_limits_check(&limits, err);
}

void service_create_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                      *s     = owner;
    const Agent__CreateContainerRequest *asked = (const Agent__CreateContainerRequest *) request;
    struct container                    *c     = NULL;
    struct policy_grant                  grant;
    struct err                           err;

    if (!allow(s, asked, &grant, &err) || !containers_add(s->containers, asked->id, grant, &c, &err)) {
        service_refuse(pending, "config", &err);
        return;
    }
    c->limits = service_limits_of(asked->limits);
    (void) snprintf(c->image, sizeof c->image, "%s", asked->image_digest); /* a longer one has no image */
    struct creation *creation = calloc(1, sizeof *creation);
    if (!creation)
        abort();
    creation->service   = s;
    creation->container = c;
    creation->pending   = pending;
    creation->request   = message_copy(request); /* the connection owns that one */
    if (ask_keeper(creation, &err))
        return;
    container_discard(c);
    end_creation(creation);
    service_refuse(pending, "pull", &err);
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
    service_refuse(pending, "start", &shown);
}

/* A start that is to be measured first. By its id: the container may be gone when that is done. */
struct beginning {
    struct service      *service;
    struct ttrpc_pending pending;
    char                 id[CONTAINER_ID_MAX + 1];
};

static void on_measured(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct beginning    *beginning = owner;
    struct ttrpc_pending pending   = beginning->pending;
    struct err           err;

    if (response) {
        struct container *c = service_find(beginning->service, beginning->id, pending);

        if (c && !container_start(c, on_started, pending, &err))
            service_refuse(pending, "start", &err);
    } else {
        err = *why;
        service_refuse(pending, "start", &err);
    }
    free(beginning);
}

/* What runs is in the log before it runs. */
static FALLIBLE measure_start(struct service *s, const struct container *c, struct ttrpc_pending pending, struct err *err)
{
    AUTO(json) struct json_object *said      = json_object_new_object();
    AUTO(buffer) struct buffer     content   = { 0 };
    Keeper__MeasureRequest         request   = KEEPER__MEASURE_REQUEST__INIT;
    char                           domain[]  = AAEL_DOMAIN_CLOISTER, operation[] = "StartContainer";
    struct beginning              *beginning = zeroed(1, sizeof *beginning);

    beginning->service = s;
    beginning->pending = pending;
    (void) snprintf(beginning->id, sizeof beginning->id, "%s", c->id); /* of the same size */
    json_add_text(said, "id", c->id);
    json_add_text(said, "image", c->image);
    json_write(said, &content);
    request.domain    = domain;
    request.operation = operation;
    request.content   = (char *) (uintptr_t) buffer_text(&content); /* written to the wire only */
    if (ttrpc_connection_call(s->keeper, &measure_method, &request.base, on_measured, beginning, err))
        return true;
    free(beginning);
    return false;
}

void service_start_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service   *s = owner;
    struct container *c = service_find(s, ((const Agent__StartContainerRequest *) request)->id, pending);
    struct err        err;

    if (!c)
        return;
    /* One that cannot start is refused there, unlogged. */
    if (!(c->state == CONTAINER_CREATED ? measure_start(s, c, pending, &err) : container_start(c, on_started, pending, &err)))
        service_refuse(pending, "start", &err);
}
