#include "runtime/shim/pod.h"

#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/file.h"
#include "base/log.h"
#include "keys/api/initdata.h"
#include "runtime/shim/disk_needs.h"
#include "runtime/shim/mountinfo.h"
#include "runtime/shim/patience.h"

enum { MIB = 1 << 20, STATUS_UNKNOWN = 255, FAREWELL_MS = 1 };

struct call {
    struct call         *next;
    struct task         *task;
    call_done_fn        *done;
    size_t               which;
    struct ttrpc_pending pending;
};

/* ---- tasks, and calls to the guest on their behalf ---- */

struct task *pod_find(struct pod *pod, const char *id, const char *exec)
{
    for (struct task *t = pod->tasks; t; t = t->next)
        if (!t->is_removed && strcmp(t->id, id) == 0 && strcmp(t->exec, exec) == 0)
            return t;
    return NULL;
}

void pod_add_task(struct pod *pod, struct task *task)
{
    task->next = pod->tasks;
    pod->tasks = task;
    pod->n_tasks++;
}

static void unlink_task(struct task *task)
{
    struct task **at = &task->pod->tasks;

    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    task_free(task);
}

void pod_remove_task(struct task *task)
{
    if (!task->is_removed)
        task->pod->n_tasks--;
    task->is_removed = true;
    patience_over(task);
    if (task->n_calls == 0)
        unlink_task(task);
}

static void release(struct task *task)
{
    task->n_calls--;
    if (task->is_removed && task->n_calls == 0)
        unlink_task(task);
}

static void forget_call(struct pod *pod, struct call *call)
{
    struct call **at = &pod->calls;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    free(call);
}

static void on_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct call  *call  = owner;
    struct task  *task  = call->task;
    struct pod   *pod   = task->pod;
    call_done_fn *done  = call->done;
    struct reply  reply = { call->which, call->pending, response, why };

    if (pod->state == POD_ENDED || (!response && pod->options.driver->is_lost(pod->machine)))
        return; /* the end of the VM, which is on its way, answers for all */
    forget_call(pod, call);
    if (!task->is_removed)
        done(task, &reply);
    release(task);
}

FALLIBLE pod_call(struct task *task, const struct call_request *request, struct err *err)
{
    struct pod  *pod  = task->pod;
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        abort();
    *call      = (struct call){ pod->calls, task, request->done, request->which, request->pending };
    pod->calls = call;
    task->n_calls++;
    if (pod->state != POD_READY)
        (void) fail_with(err, ERR_CONFIG, "start: the pod's VM does not run%s%.200s", pod->end.text[0] ? ": " : "",
                         pod->end.text); /* false is what it returns */
    else if (pod->options.driver->call(pod->machine, request->method, request->request, on_reply, call, err))
        return true;
    forget_call(pod, call);
    task->n_calls--;
    return false;
}

bool pod_answer_signals(struct task *task)
{
    Engine__Empty empty = ENGINE__EMPTY__INIT;
    bool          any   = false;

    for (struct call *c = task->pod->calls; c; c = c->next) {
        if (c->task != task || c->done != pod_on_signalled || !ttrpc_is_pending(c->pending))
            continue;
        ttrpc_answer(TAKE(c->pending), &empty.base);
        any = true;
    }
    return any;
}

void pod_forget(struct pod *pod, const struct ttrpc_connection *connection)
{
    for (struct task *t = pod->tasks; t; t = t->next)
        task_forget(t, connection);
    for (struct call *c = pod->calls; c; c = c->next)
        if (c->pending.connection == connection)
            c->pending = (struct ttrpc_pending){ 0 };
    if (pod->starter.connection == connection)
        pod->starter = (struct ttrpc_pending){ 0 };
    if (pod->stopper.connection == connection)
        pod->stopper = (struct ttrpc_pending){ 0 };
    for (size_t i = pod->n_waiters; i-- > 0;)
        if (pod->waiters[i].connection == connection)
            pod->waiters[i] = pod->waiters[--pod->n_waiters];
}

/* ---- the end of the VM ---- */

static void settle_task(struct task *task, struct pod *pod)
{
    if (task->is_removed)
        return;
    switch (task->state) {
    case TASK_CREATING:
        if (task->is_killed)
            relay_exited(task, pod->end_status);
        else
            task_vm_failed(task, &pod->end);
        break;
    case TASK_DELETING:
        task_vm_failed(task, &pod->end);
        break;
    case TASK_CREATED:
    case TASK_STARTING:
    case TASK_RUNNING:
    case TASK_STOPPING:
        relay_exited(task, pod->end_status);
        break;
    case TASK_STOPPED:
    case TASK_STATES:
        break;
    }
}

void pod_write_record(const struct pod *pod)
{
    AUTO(buffer) struct buffer text   = { 0 };
    struct record              record = { 0 };
    pid_t                      vmm = 0, platform = 0;
    struct err                 err;

    if (!pod->options.record_path)
        return;
    if (pod->machine)
        pod->options.driver->processes(pod->machine, &vmm, &platform);
    if (!process_mark_of(getpid(), &record.shim, &err) || (vmm && !process_mark_of(vmm, &record.vmm, &err)) ||
        (platform && !process_mark_of(platform, &record.platform, &err)))
        log_error("state not recorded", "why=\"%s\"", err.text);
    if (pod->network)
        (void) snprintf(record.network, sizeof record.network, "%s", pod->network); /* pod_start_vm bounds it */
    record.cgroup = pod->cgroup;
    record_write(&record, &text);
    if (!file_write(pod->options.record_path, buffer_bytes(&text), 0600, &err))
        log_error("state not recorded", "why=\"%s\"", err.text);
}

/* First the VM is gone, then its processes are said to have ended. */
static void on_farewell(struct loop_source *source, uint32_t events)
{
    struct pod *pod = source->owner;
    struct err  gone;

    (void) events;
    (void) fail_with(&gone, ERR_OS, "%s", pod->end.text[0] ? pod->end.text : "start: the pod was ended"); /* false is what it returns */
    loop_remove(source);
    if (pod->machine)
        pod->options.driver->free(TAKE(pod->machine));
    pod_cgroup_remove(&pod->cgroup);
    free(TAKE(pod->network));
    pod_write_record(pod);
    while (pod->calls) {
        struct task *task = pod->calls->task;

        ttrpc_refuse(pod->calls->pending, &gone);
        forget_call(pod, pod->calls);
        release(task);
    }
    for (struct task *t = pod->tasks, *next; t; t = next) {
        next = t->next;
        settle_task(t, pod);
    }
    if (pod->on_ready)
        pod->on_ready(pod, &pod->end);
    if (pod->on_ended)
        pod->on_ended(pod);
}

void pod_end_vm(struct pod *pod, uint32_t status, const struct err *why)
{
    struct err err;

    if (pod->state == POD_ENDED)
        return;
    pod->state      = POD_ENDED;
    pod->end        = *why;
    pod->end_status = status;
    (void) clock_gettime(CLOCK_REALTIME, &pod->ended_at); /* cannot fail */
    pod->farewell = (struct loop_source){ .fd = NO_FD, .ready = on_farewell, .owner = pod };
    if (!loop_timer_fd(FAREWELL_MS, 0, &pod->farewell.fd, &err) ||
        !loop_add(pod->options.loop, &pod->farewell, EPOLLIN, &err))
        abort(); /* without it nothing of the pod could ever be told to have ended */
}

/* ---- volumes are closed first ---- */

static void close_over(struct pod *pod)
{
    struct err none = { 0 };

    loop_remove(&pod->closing);
    auto_fd(&pod->closing.fd);
    pod->closing.fd = NO_FD;
    pod_end_vm(pod, pod->closing_status, &none);
}

static void on_close_timeout(struct loop_source *source, uint32_t events)
{
    (void) events;
    log_error("the guest did not close its volumes in time", "%s", "");
    close_over(source->owner);
}

/* It powers off after its answer; that it does is not worth waiting for. */
static void on_closed(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct pod *pod = owner;

    if (pod->state == POD_ENDED)
        return;
    if (!response)
        log_error("volumes were not closed", "why=\"%s\"", LOG_PEER(bytes_of_text(why->text)));
    close_over(pod);
}

void pod_close_vm(struct pod *pod, uint32_t status)
{
    Agent__ShutdownRequest request = AGENT__SHUTDOWN_REQUEST__INIT;
    struct err             err;

    if (pod->closing.fd >= 0)
        return;
    pod->closing_status = status;
    pod->closing        = (struct loop_source){ .fd = NO_FD, .ready = on_close_timeout, .owner = pod };
    if (pod->state != POD_READY || pod->disks.n_volumes == 0 || pod->options.driver->is_lost(pod->machine) ||
        !loop_timer_fd(SHIM_CLOSE_WAIT_MS, 0, &pod->closing.fd, &err) || !loop_add(pod->options.loop, &pod->closing, EPOLLIN, &err) ||
        !pod->options.driver->call(pod->machine, "Shutdown", &request.base, on_closed, pod, &err))
        close_over(pod);
}

static void vm_ended(void *owner, const struct err *why)
{
    struct pod *pod = owner;

    if (pod->closing.fd >= 0) { /* as it was told */
        close_over(pod);
        return;
    }
    log_error("the VM ended", "why=\"%s\"", LOG_PEER(bytes_of_text(why->text)));
    pod_end_vm(pod, STATUS_UNKNOWN, why);
}

/* ---- its start ---- */

static void vm_is_ready(void *owner)
{
    struct pod *pod = owner;

    if (pod->state != POD_BOOTING)
        return;
    pod->state = POD_READY;
    (void) malloc_trim(0); /* what kernel and initrd took goes back: this process stays as long as the pod */
    log_info("the guest has attested", "%s", "");
    for (struct task *t = pod->tasks, *next; t; t = next) {
        next = t->next;
        if (!t->is_removed && t->state == TASK_CREATING)
            task_vm_is_ready(t);
    }
    if (pod->on_ready)
        pod->on_ready(pod, NULL);
}

static FALLIBLE get_initdata(const struct pod *pod, const struct pod_boot *boot, struct buffer *text, struct err *err)
{
    if (boot->initdata)
        return initdata_annotation_read(boot->initdata, text, err);
    if (!pod->settings.development)
        return fail_with(err, ERR_CONFIG, "the pod has no annotation io.cloister.initdata (cloister policy gen makes it), "
                                          "and this handler is not for development");
    if (!pod->settings.initdata)
        return fail_with(err, ERR_CONFIG, "neither the pod nor the handler's configuration (initdata = \"/path\") has any");
    return file_read(pod->settings.initdata, KBS_INITDATA_TEXT_MAX, text, err);
}

static FALLIBLE size_vm(const struct pod *pod, const struct spec_limits *limits, struct machine_options *out,
                        struct err *err)
{
    uint64_t memory = pod->settings.memory_mib + limits->memory_bytes / MIB + (limits->memory_bytes % MIB > 0);
    uint64_t cpus   = limits->cpu_period_us
                          ? limits->cpu_quota_us / limits->cpu_period_us + (limits->cpu_quota_us % limits->cpu_period_us > 0)
                          : 0;

    if (memory > pod->settings.memory_most_mib)
        return fail_with(err, ERR_LIMIT, "config: the pod wants a VM of %llu MiB, the handler allows %llu",
                         (unsigned long long) memory, (unsigned long long) pod->settings.memory_most_mib);
    if (cpus > VM_CPUS_MAX)
        return fail_with(err, ERR_LIMIT, "config: the pod wants %llu CPUs, at most %d are possible",
                         (unsigned long long) cpus, VM_CPUS_MAX);
    out->memory_mib = (unsigned) memory;
    out->cpus       = (unsigned) (cpus > pod->settings.cpus ? cpus : pod->settings.cpus);
    return true;
}

/* A pod runs without: what its VM may take is then what its engine's own group may. */
static void make_cgroup(struct pod *pod, const char *path)
{
    AUTO(buffer) struct buffer mounts = { 0 };
    struct err                 err;

    if (!path || !*path)
        return;
    if (file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, &err) && pod_cgroup_make(buffer_bytes(&mounts), path, &pod->cgroup, &err))
        return;
    log_error("the VM is not in the pod's control group", "why=\"%s\"", err.text);
    pod_cgroup_remove(&pod->cgroup);
}

static void enter_cgroup(const struct pod *pod)
{
    pid_t      vmm = 0, platform = 0;
    struct err err;

    pod->options.driver->processes(pod->machine, &vmm, &platform);
    if (!pod_cgroup_enter(&pod->cgroup, vmm, &err) || !pod_cgroup_enter(&pod->cgroup, platform, &err))
        log_error("the VM is not in the pod's control group", "why=\"%s\"", err.text);
}

static bool may_read(void *owner, const char *digest)
{
    return image_blobs_hold(&((const struct pod *) owner)->blobs, digest);
}

/* A layer that is mounted: it is lent before the guest, which waits for it, hears that it is kept. */
static void on_kept(void *owner, const char *digest)
{
    struct pod *pod = owner;

    (void) digest; /* which images it is of is for the images to say */
    for (struct task *t = pod->tasks; t; t = t->next)
        if (!t->is_removed && t->digest && t->state == TASK_CREATING)
            task_lend_layers(t);
}

FALLIBLE pod_refuse_host_network(struct err *err)
{
    return fail_with(err, ERR_UNSUPPORTED, "config: the pod wants the node's network (hostNetwork): a VM has only what is moved into it");
}

FALLIBLE pod_start_vm(struct pod *pod, const struct pod_boot *boot, struct err *err)
{
    AUTO(buffer) struct buffer initdata = { 0 };
    struct machine_options     options  = { .loop = pod->options.loop, .settings = &pod->settings,
                                            .network = boot->network, .ready = vm_is_ready, .ended = vm_ended,
                                            .owner = pod };

    if (pod->state != POD_NEW)
        return fail_with(err, ERR_CONFIG, "the pod has its VM already");
    if (!size_vm(pod, &boot->limits, &options, err))
        return false;
    pod->cpus       = options.cpus;
    pod->memory_mib = options.memory_mib;
    if (!get_initdata(pod, boot, &initdata, err))
        return context(err, "initdata");
    free(pod->store);
    pod->store         = boot->blobs ? strdup(boot->blobs) : NULL;
    options.blobs      = pod->settings.blobs ? pod->settings.blobs : pod->store;
    options.more_blobs = pod->store;
    options.cache      = pod->settings.cache;
    options.cache_max  = pod->settings.cache_max_mib << 20;
    options.may_read   = may_read;
    options.kept       = on_kept;
    if (!options.blobs && !options.cache)
        return fail_with(err, ERR_CONFIG, "config: where image blobs are is not known: containerd did not say, and the "
                                          "handler's configuration has neither blobs = \"/path\" nor cache");
    options.initdata  = buffer_bytes(&initdata);
    options.has_shelf = pod_may_want_disks(options.initdata, (const char *const[IMAGE_STORES]){ pod->settings.blobs, pod->store, pod->settings.cache });
    free(pod->hostname);
    pod->hostname = strdup(boot->hostname);
    if (!pod->hostname)
        abort();
    if (boot->network && strlen(boot->network) >= RECORD_NETWORK_MAX)
        return fail_with(err, ERR_LIMIT, "config: network: a path of over %d bytes", RECORD_NETWORK_MAX - 1);
    free(pod->network);
    pod->network = boot->network ? strdup(boot->network) : NULL;
    make_cgroup(pod, boot->cgroup);
    pod_write_record(pod); /* whoever cleans up after us has to know where redirections and groups may be */
    pod->state = POD_BOOTING;
    (void) clock_gettime(CLOCK_REALTIME, &pod->started_at); /* cannot fail */
    if (!pod->options.driver->start(&options, &pod->machine, err)) {
        pod->state = POD_NEW;
        pod_cgroup_remove(&pod->cgroup);
        return false;
    }
    enter_cgroup(pod);
    pod_write_record(pod);
    return true;
}

FALLIBLE pod_new(const struct pod_options *options, struct settings *settings_take, struct pod **out, struct err *err)
{
    AUTO(pod) struct pod *pod = calloc(1, sizeof *pod);

    if (!pod)
        abort();
    pod->options     = *options;
    pod->settings    = TAKE(*settings_take);
    pod->pid         = (uint32_t) getpid();
    pod->farewell.fd = NO_FD;
    pod->closing.fd  = NO_FD;
    if (!publisher_new(options->loop, options->ttrpc_address, options->namespace, &pod->publisher, err))
        return false;
    *out = TAKE(pod);
    return true;
}

void pod_free(struct pod *pod)
{
    if (!pod)
        return;
    if (pod->machine)
        pod->options.driver->free(pod->machine);
    pod_cgroup_remove(&pod->cgroup);
    while (pod->calls)
        forget_call(pod, pod->calls);
    while (pod->tasks) {
        struct task *task = pod->tasks;

        pod->tasks = task->next;
        task_free(task);
    }
    loop_remove(&pod->farewell);
    auto_fd(&pod->farewell.fd);
    loop_remove(&pod->closing);
    auto_fd(&pod->closing.fd);
    publisher_free(pod->publisher);
    settings_free(&pod->settings);
    image_blobs_free(&pod->blobs);
    pod_files_free(&pod->files);
    kept_sysctls_free(&pod->sysctls);
    free(pod->store);
    free(pod->hostname);
    free(pod->network);
    free(pod);
}
