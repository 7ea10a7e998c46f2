#include "guest/agent/service.h"

#include <string.h>

#include "guest/agent/keeper.h"
#include "guest/api/message_json.h"
#include "guest/api/receipt.h"
#include "guest/container/exec.h"
#include "guest/init/network.h"
#include "guest/init/power.h"

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

static struct container_process *find_process(struct service *s, const char *id, const char *process,
                                              struct ttrpc_pending pending)
{
    struct container         *c = find(s, id, pending);
    struct container_process *p = c ? container_process_find(c, process) : NULL;
    struct err                why;

    if (p || !c)
        return p;
    (void) fail_with(&why, ERR_NOT_FOUND, "no such process in the container"); /* false is what it returns */
    refuse(pending, "start", &why);
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

/* `out` borrows. Fails MALFORMED, LIMIT. */
static FALLIBLE volumes_of(const Agent__CreateContainerRequest *asked, struct volumes *out, struct err *err)
{
    if (asked->n_files > VOLUME_FILES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d files", VOLUME_FILES_MAX);
    if (asked->n_empty_directories > VOLUME_DIRECTORIES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d empty directories", VOLUME_DIRECTORIES_MAX);
    for (size_t i = 0; i < asked->n_files; i++)
        out->files[i] = (struct volume_file){ asked->files[i]->path, { asked->files[i]->content.data, asked->files[i]->content.len },
                                              asked->files[i]->mode };
    for (size_t i = 0; i < asked->n_empty_directories; i++)
        out->directories[i] = (struct volume_directory){ asked->empty_directories[i]->path, asked->empty_directories[i]->volume };
    out->n_files       = asked->n_files;
    out->n_directories = asked->n_empty_directories;
    return volumes_check(out, err);
}

static struct policy_request policy_request_of(const Agent__CreateContainerRequest *asked, const struct volumes *volumes)
{
    return (struct policy_request){ .image_digest = asked->image_digest, .args = asked->args, .n_args = asked->n_args,
                                    .env = asked->env, .n_env = asked->n_env, .terminal = asked->terminal,
                                    .is_whole = asked->is_whole, .image_name = asked->image_name, .volumes = volumes };
}

static FALLIBLE begin_container(struct creation *creation, const Keeper__UnpackResponse *unpacked, struct err *err)
{
    const Agent__CreateContainerRequest   *asked   = (const Agent__CreateContainerRequest *) creation->request;
    struct volumes                         volumes;
    struct policy_request                  request = policy_request_of(asked, &volumes);
    struct container                      *c       = creation->container;
    AUTO(image_config) struct image_config image   = { 0 };

    for (size_t i = 0; i < unpacked->n_spans; i++)
        timeline_add(creation->service->timeline, known_phase(unpacked->spans[i]->phase), unpacked->spans[i]->begin_ms,
                     unpacked->spans[i]->end_ms, c->id);
    if (unpacked->note[0])
        power_note("pull", unpacked->note);
    if (!volumes_of(asked, &volumes, err) ||
        !image_config_read((struct bytes){ unpacked->config.data, unpacked->config.len }, &image, err) ||
        !policy_allow_create(&creation->service->policy, &request, &image, &c->grant, err))
        return false;
    c->unpacked_ms = timeline_now_ms();
    struct container_command command = { .image = &image, .args = asked->args, .n_args = asked->n_args,
                                         .env = asked->env, .n_env = asked->n_env, .is_whole = asked->is_whole,
                                         .terminal = asked->terminal, .hostname = asked->hostname,
                                         .volumes = &volumes };
    return container_create(c, &command, on_created, creation->pending, err);
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
    request.image_name   = asked->image_name;
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

static FALLIBLE check_hostname(const char *name, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
    size_t            len       = strnlen(name, HOSTNAME_LEN_MAX + 1);

    if (len <= HOSTNAME_LEN_MAX && *name != '-' && *name != '.' && strspn(name, letters) == len)
        return true;
    return fail_with(err, ERR_MALFORMED, "hostname: wanted at most %d of a-z, 0-9, - and .", HOSTNAME_LEN_MAX);
}

static struct cgroup_limits limits_of(const Agent__Limits *asked)
{
    return asked ? (struct cgroup_limits){ asked->memory_bytes, asked->cpu_quota_us, asked->cpu_period_us }
                 : (struct cgroup_limits){ 0 };
}

static FALLIBLE allow(struct service *s, const Agent__CreateContainerRequest *asked, struct policy_grant *grant,
                      struct err *err)
{
    struct volumes        volumes;
    struct policy_request request = policy_request_of(asked, &volumes);
    struct cgroup_limits  limits  = limits_of(asked->limits);

    if ((limits.memory_bytes > 0 || limits.cpu_quota_us > 0) && !containers_options(s->containers)->cgroups)
        return fail_with(err, ERR_UNSUPPORTED, "nothing is limited here");
    return volumes_of(asked, &volumes, err) && policy_allow_create(&s->policy, &request, NULL, grant, err) && check_hostname(asked->hostname, err) &&
           cgroup_limits_check(&limits, err);
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
    c->limits = limits_of(asked->limits);
    (void) snprintf(c->image, sizeof c->image, "%s", asked->image_digest); /* a longer one has no image */
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

static void tell_waiter(const struct container_process *p, struct ttrpc_pending pending)
{
    Agent__WaitContainerResponse answer = AGENT__WAIT_CONTAINER_RESPONSE__INIT;
    struct cgroup_stats          stats  = { 0 };
    struct err                   ignored; /* the exit code is what counts */

    answer.exit_code         = (uint32_t) p->exit_code;
    answer.ran_out_of_memory = container_stats(p->container, &stats, &ignored) && stats.out_of_memory_kills > 0;
    ttrpc_answer(pending, &answer.base);
}

static void forget_the_gone(struct container_process *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_waiters; i++)
        if (ttrpc_is_pending(p->waiters[i]))
            p->waiters[n++] = p->waiters[i];
    p->n_waiters = n;
}

static void wait_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__WaitContainerRequest *asked = (const Agent__WaitContainerRequest *) request;
    struct container_process          *p     = find_process(owner, asked->id, asked->process, pending);
    struct err                         err;

    if (!p)
        return;
    forget_the_gone(p);
    if (p->has_ended) {
        tell_waiter(p, pending);
    } else if (p->n_waiters == CONTAINER_WAITERS_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "over %d wait for it", CONTAINER_WAITERS_MAX); /* false by contract */
        refuse(pending, "start", &err);
    } else {
        p->waiters[p->n_waiters++] = pending;
    }
}

void service_container_ended(void *owner, struct container_process *process)
{
    (void) owner;
    for (size_t i = 0; i < process->n_waiters; i++)
        tell_waiter(process, process->waiters[i]);
    process->n_waiters = 0;
}

static void signal_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__SignalContainerRequest *asked  = (const Agent__SignalContainerRequest *) request;
    Agent__SignalContainerResponse       answer = AGENT__SIGNAL_CONTAINER_RESPONSE__INIT;
    struct container_process            *p      = find_process(owner, asked->id, asked->process, pending);
    struct err                           err;

    if (!p)
        return;
    if (container_signal(p, asked->signal, asked->all, &err))
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
    struct container_process *p = owner;
    size_t                    i = (size_t) (output - p->streams.outputs);

    if (ttrpc_is_pending(p->readers[i])) /* bytes are not taken for one who has gone */
        answer_output(output, TAKE(p->readers[i]), p->reader_most[i]);
}

/* Its streams are there: crun has done its part. */
static bool is_running_or_done(const struct container_process *p)
{
    const struct container *c = p->container;

    if (p != &c->first)
        return !p->done;
    return c->state != CONTAINER_NEW && c->state != CONTAINER_CREATING;
}

static void read_output(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__ReadOutputRequest *asked  = (const Agent__ReadOutputRequest *) request;
    struct container_process       *p      = find_process(owner, asked->id, asked->process, pending);
    size_t                          stream = asked->stream == AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    struct err                      err;

    if (!p)
        return;
    if ((stream == 0 && asked->stream != AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT) || asked->most == 0 ||
        asked->most > TRANSFER_LEN_MAX) {
        (void) fail_with(&err, ERR_MALFORMED, "wanted stdout or stderr, 1 to %d bytes",
                         TRANSFER_LEN_MAX); /* false is what it returns */
        refuse(pending, "start", &err);
    } else if (!is_running_or_done(p)) {
        (void) fail_with(&err, ERR_CONFIG, "container %s is %s", p->container->id,
                         container_state_name(p->container->state)); /* as above */
        refuse(pending, "start", &err);
    } else if (ttrpc_is_pending(p->readers[stream])) {
        (void) fail_with(&err, ERR_LIMIT, "another request reads this stream"); /* as above */
        refuse(pending, "start", &err);
    } else if (output_is_ready(&p->streams.outputs[stream])) {
        answer_output(&p->streams.outputs[stream], pending, asked->most);
    } else {
        p->readers[stream]     = pending;
        p->reader_most[stream] = asked->most;
    }
}

static void on_input_written(void *owner, const struct err *why)
{
    struct container_process *p      = owner;
    Agent__WriteInputResponse answer = AGENT__WRITE_INPUT_RESPONSE__INIT;
    struct err                shown;

    if (!why) {
        ttrpc_answer(TAKE(p->writer), &answer.base);
        return;
    }
    shown = *why;
    refuse(TAKE(p->writer), "start", &shown);
}

static void write_input(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__WriteInputRequest *asked = (const Agent__WriteInputRequest *) request;
    struct container_process       *p     = find_process(owner, asked->id, asked->process, pending);
    struct err                      err;

    if (!p)
        return;
    if (!p->container->grant.input) {
        (void) fail_with(&err, ERR_DENIED, "policy allows no input to this container"); /* false by contract */
    } else if (asked->data.len > TRANSFER_LEN_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "over %d bytes of input at once", TRANSFER_LEN_MAX); /* as above */
    } else if (p->streams.input.done) {
        (void) fail_with(&err, ERR_LIMIT, "another write to standard input goes on"); /* as above */
    } else {
        p->writer = pending;
        struct bytes more = { asked->data.data, asked->data.len };
        if (input_write(&p->streams.input, more, asked->eof, on_input_written, p, &err))
            return;
    }
    refuse(pending, "start", &err);
}

/* Whoever still waits for something of this container hears that it is gone. */
static void dismiss(struct container_process *p)
{
    struct err gone;

    (void) fail_with(&gone, ERR_NOT_FOUND, "start: it was deleted"); /* false is what it returns */
    for (size_t i = 0; i < p->n_waiters; i++)
        ttrpc_refuse(p->waiters[i], &gone);
    for (size_t i = 0; i < STREAMS; i++)
        ttrpc_refuse(TAKE(p->readers[i]), &gone);
    p->n_waiters = 0;
}

static void on_deleted(void *owner, struct container *c, struct ttrpc_pending pending, const struct err *why)
{
    Agent__DeleteContainerResponse answer = AGENT__DELETE_CONTAINER_RESPONSE__INIT;

    (void) owner;
    (void) why; /* always NULL */
    dismiss(&c->first);
    for (size_t i = 0; i < CONTAINER_EXECS_MAX; i++)
        if (c->execs[i])
            dismiss(c->execs[i]);
    ttrpc_answer(pending, &answer.base);
}

static void delete_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__DeleteContainerRequest *asked  = (const Agent__DeleteContainerRequest *) request;
    Agent__DeleteContainerResponse       answer = AGENT__DELETE_CONTAINER_RESPONSE__INIT;
    struct container_process            *p      = find_process(owner, asked->id, asked->process, pending);
    struct err                           err;

    if (!p)
        return;
    if (p == &p->container->first) {
        if (!container_delete(p->container, on_deleted, pending, &err))
            refuse(pending, "start", &err);
        return;
    }
    if (p->has_ended)
        dismiss(p);
    if (exec_delete(p, &err))
        ttrpc_answer(pending, &answer.base);
    else
        refuse(pending, "start", &err);
}

static void on_executed(void *owner, struct container *c, struct ttrpc_pending pending, const struct err *why)
{
    Agent__ExecProcessResponse answer = AGENT__EXEC_PROCESS_RESPONSE__INIT;
    struct err                 shown;

    (void) owner;
    (void) c;
    if (!why) {
        ttrpc_answer(pending, &answer.base);
        return;
    }
    shown = *why;
    refuse(pending, "start", &shown);
}

/* What policy denies is denied in every state: the answer tells nothing about the container. */
static void exec_process(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__ExecProcessRequest *asked = (const Agent__ExecProcessRequest *) request;
    struct exec_request              exec  = { asked->process, asked->args, asked->n_args, asked->terminal };
    struct container                *c     = find(owner, asked->id, pending);
    struct err                       err;

    if (!c)
        return;
    if (!policy_allow_exec(&c->grant, asked->args, asked->n_args, asked->terminal, &err) ||
        !exec_start(c, &exec, on_executed, pending, &err))
        refuse(pending, "start", &err);
}

static void resize_terminal(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__ResizeTerminalRequest *asked  = (const Agent__ResizeTerminalRequest *) request;
    Agent__ResizeTerminalResponse       answer = AGENT__RESIZE_TERMINAL_RESPONSE__INIT;
    struct container_process           *p      = find_process(owner, asked->id, asked->process, pending);
    struct err                          err;

    if (!p)
        return;
    if (streams_resize(&p->streams, asked->columns, asked->rows, &err))
        ttrpc_answer(pending, &answer.base);
    else
        refuse(pending, "start", &err);
}

static void stats_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    Agent__StatsContainerResponse answer = AGENT__STATS_CONTAINER_RESPONSE__INIT;
    struct container             *c      = find(owner, ((const Agent__StatsContainerRequest *) request)->id, pending);
    struct cgroup_stats           stats;
    struct err                    err;

    if (!c)
        return;
    if (!container_stats(c, &stats, &err)) {
        refuse(pending, "start", &err);
        return;
    }
    answer.memory_bytes               = stats.memory_bytes;
    answer.memory_inactive_file_bytes = stats.memory_inactive_file_bytes;
    answer.memory_limit_bytes         = stats.memory_limit_bytes;
    answer.cpu_usage_us               = stats.cpu_usage_us;
    answer.cpu_user_us                = stats.cpu_user_us;
    answer.cpu_system_us              = stats.cpu_system_us;
    answer.processes                  = stats.processes;
    answer.processes_limit            = stats.processes_limit;
    ttrpc_answer(pending, &answer.base);
}

static void update_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__UpdateContainerRequest *asked  = (const Agent__UpdateContainerRequest *) request;
    Agent__UpdateContainerResponse       answer = AGENT__UPDATE_CONTAINER_RESPONSE__INIT;
    struct container                    *c      = find(owner, asked->id, pending);
    struct cgroup_limits                 limits = limits_of(asked->limits);
    struct err                           err;

    if (!c)
        return;
    if (!c->grant.update)
        (void) fail_with(&err, ERR_DENIED, "policy allows no change of this container's limits"); /* false by contract */
    else if (container_update(c, &limits, &err)) {
        ttrpc_answer(pending, &answer.base);
        return;
    }
    refuse(pending, "start", &err);
}

/* ---- the receipt of a container that has ended ---- */

static const struct ttrpc_method sign_method = { &keeper_service, "SignReceipt" };

struct receipt_wish {
    struct ttrpc_pending pending;
};

static void on_receipt(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct receipt_wish       *wish   = owner;
    Agent__GetReceiptResponse  answer = AGENT__GET_RECEIPT_RESPONSE__INIT;
    struct err                 shown;

    if (response) {
        answer.receipt = ((const Keeper__GivenResponse *) response)->content;
        ttrpc_answer(wish->pending, &answer.base);
    } else {
        shown = *why;
        refuse(wish->pending, "attest", &shown);
    }
    free(wish);
}

static FALLIBLE add_stream(struct json_object *statement, const char *name, const struct output *output, struct err *err)
{
    struct json_object *said = json_object_new_object();
    uint8_t             digest[SHA256_LEN];

    json_add(statement, name, said);
    if (!output->has_ended)
        return fail_with(err, ERR_CONFIG, "the container's output has not ended");
    if (!output_digest(output, digest, err))
        return false;
    json_add_hex(said, "sha256", BYTES_OF(digest));
    json_add(said, "bytes", json_object_new_uint64(output->n_bytes));
    return true;
}

static FALLIBLE write_statement(const struct container *c, const ProtobufCBinaryData *nonce, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *statement = json_object_new_object();

    if (!c->grant.output)
        return fail_with(err, ERR_DENIED, "policy does not let the host know this container's output");
    if (nonce->len > RECEIPT_NONCE_MAX)
        return fail_with(err, ERR_LIMIT, "a nonce over %d bytes", RECEIPT_NONCE_MAX);
    if (c->state != CONTAINER_STOPPED || !c->first.has_ended)
        return fail_with(err, ERR_CONFIG, "container %s is %s; a receipt is of one that has ended", c->id, container_state_name(c->state));
    json_add_text(statement, "image", c->image);
    json_add(statement, "exit_code", json_object_new_int(c->first.exit_code));
    json_add_hex(statement, "nonce", (struct bytes){ nonce->data, nonce->len });
    if (!add_stream(statement, "stdout", &c->first.streams.outputs[0], err) ||
        (!c->has_terminal && !add_stream(statement, "stderr", &c->first.streams.outputs[1], err)))
        return false;
    json_write(statement, out);
    return true;
}

static void get_receipt(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                 *s     = owner;
    const Agent__GetReceiptRequest *asked = (const Agent__GetReceiptRequest *) request;
    struct container               *c     = find(s, asked->id, pending);
    Keeper__SignReceiptRequest      sign  = KEEPER__SIGN_RECEIPT_REQUEST__INIT;
    AUTO(buffer) struct buffer      text  = { 0 };
    struct err                      err;

    if (!c)
        return;
    struct receipt_wish *wish = malloc(sizeof *wish);
    if (!wish)
        abort();
    wish->pending = pending;
    if (write_statement(c, &asked->nonce, &text, &err)) {
        sign.statement = (char *) (uintptr_t) buffer_text(&text); /* written to the wire only */
        if (ttrpc_connection_call(s->keeper, &sign_method, &sign.base, on_receipt, wish, &err))
            return;
    }
    free(wish);
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
    { "GetReceipt", get_receipt },
    { "Shutdown", shut_down },
    { "ExecProcess", exec_process },
    { "ResizeTerminal", resize_terminal },
    { "StatsContainer", stats_container },
    { "UpdateContainer", update_container },
};
const size_t n_service_rows = sizeof service_rows / sizeof *service_rows;
