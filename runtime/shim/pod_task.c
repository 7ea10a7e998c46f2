/* What engines ask of processes: create, start, run one more, kill, delete. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/file.h"
#include "base/log.h"
#include "runtime/shim/image_note.h"
#include "runtime/shim/pod.h"
#include "runtime/shim/volumes.h"
#include "runtime/shim/watch.h"

static void refuse_and_remove(struct task *task, const struct err *why)
{
    ttrpc_refuse(TAKE(task->pending), why);
    pod_remove_task(task);
}

static void answer_empty(struct ttrpc_pending pending)
{
    Engine__Empty empty = ENGINE__EMPTY__INIT;

    ttrpc_answer(pending, &empty.base);
}

/* ---- create ---- */

static void creation_failed(struct task *task, const struct err *why)
{
    struct pod *pod       = task->pod;
    bool        owns_pod  = task->spec.role != ROLE_CONTAINER && !*task->exec;

    log_error("create", "id=%s why=\"%s\"", task->id, LOG_PEER(bytes_of_text(why->text)));
    refuse_and_remove(task, why);
    if (owns_pod)
        pod_end_vm(pod, 137, why);
}

static void finish_creation(struct task *task)
{
    Engine__CreateResponse answer = ENGINE__CREATE_RESPONSE__INIT;
    Engine__TaskIO         io     = ENGINE__TASK_IO__INIT;
    Engine__TaskCreate     event  = ENGINE__TASK_CREATE__INIT;

    if (task->state != TASK_CREATING || task->n_unopened > 0 || task->pod->state != POD_READY ||
        (task->spec.role != ROLE_SANDBOX && !task->is_in_guest))
        return;
    task->state = TASK_CREATED;
    io.stdin    = task->paths[0];
    io.stdout   = task->paths[1];
    io.stderr   = task->paths[2];
    io.terminal = task->terminal;
    event.container_id = task->id;
    event.bundle       = task->bundle;
    event.io           = &io;
    event.pid = answer.pid = (uint32_t) getpid();
    publisher_tell(task->pod->publisher, "/tasks/create", "containerd.events.TaskCreate", &event.base);
    ttrpc_answer(TAKE(task->pending), &answer.base);
    watch_send(task); /* what changed meanwhile */
}

static void on_created(struct task *task, const struct reply *reply)
{
    struct err err;

    task->is_in_guest = reply->response != NULL;
    if (task->is_killed && (!task->is_in_guest || !task_kill_created(task, SIGKILL, &err)))
        relay_exited(task, 128 + SIGKILL);
    else if (!task->is_in_guest)
        creation_failed(task, reply->why);
    else if (!task->is_killed)
        finish_creation(task);
}

static bool lend(void *owner, const char *name, int fd, struct err *err)
{
    struct pod *pod = owner;

    return pod->options.driver->lend(pod->machine, name, fd, err);
}

static FALLIBLE create_in_guest(struct task *task, struct host_volumes *volumes, struct err *err)
{
    Agent__CreateContainerRequest request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    const struct lender           lender  = { lend, task->pod };
    struct container_disks        disks;
    struct rights_room            rights;
    Agent__Limits                 limits  = AGENT__LIMITS__INIT;
    const struct process_spec    *process = &task->spec.process;
    char                          none[]  = "";

    watch_start(task);
    if (!host_volumes_read(&task->spec, volumes, err) || !pod_files_add(&task->pod->files, &task->spec, volumes, err) ||
        !host_volumes_read_trees(&task->spec, volumes, err) ||
        !pod_disks_lend_volumes(&task->pod->disks, &task->spec, &lender, &disks, err))
        return false;
    if (volumes->unmet)
        return fail_with(err, ERR_UNSUPPORTED, "volume at %.80s: no folder of the host reaches into a guest: use an emptyDir, a ConfigMap, "
                         "a single file, or an encrypted volume (docs/storage.md)", volumes->unmet);
    limits.memory_bytes  = task->spec.limits.memory_bytes;
    limits.cpu_quota_us  = task->spec.limits.cpu_quota_us;
    limits.cpu_period_us = task->spec.limits.cpu_period_us;
    request.id           = task->guest_id;
    request.image_digest = task->digest;
    request.image_name   = task->spec.image_name ? (char *) (uintptr_t) task->spec.image_name : none; /* to the wire only */
    request.args         = process->args;
    request.n_args       = process->n_args;
    request.env          = process->env;
    request.n_env        = process->n_env;
    request.terminal     = task->terminal;
    request.is_whole     = true;
    request.hostname     = *task->spec.hostname ? (char *) (uintptr_t) task->spec.hostname : task->pod->hostname; /* as above */
    request.limits       = &limits;
    request.share_processes = task->spec.share_processes;
    request.files        = volumes->files_at;
    request.n_files      = volumes->n_alone;
    request.file_volumes   = volumes->trees_at;
    request.n_file_volumes = volumes->n_trees;
    request.termination_log = task->spec.termination.source ? (char *) (uintptr_t) task->spec.termination.target : none; /* as above */
    request.empty_directories   = volumes->directories_at;
    request.n_empty_directories = volumes->n_directories;
    container_rights_ask(&task->spec.rights, &task->pod->sysctls, &rights, &request);
    request.volumes             = disks.at;
    request.n_volumes           = disks.n;
    return pod_call(task, &(struct call_request){ "CreateContainer", &request.base, on_created, 0, { 0 } }, err);
}

static void create_now(struct task *task)
{
    struct host_volumes volumes = { .n_files = 0 };
    struct err          err;
    bool                is_good = create_in_guest(task, &volumes, &err);

    host_volumes_free(&volumes);
    if (!is_good)
        creation_failed(task, &err);
}

static void try_creation(struct task *task);

static void on_layer_wait(struct loop_source *source, uint32_t events)
{
    struct task *task = source->owner;
    uint64_t     n    = 1;

    (void) events;
    if (read(source->fd, &n, sizeof n) == sizeof n)
        task->n_layer_waits += n;
    try_creation(task);
}

static FALLIBLE wait_for_layer(struct task *task, struct err *err)
{
    if (task->layer_wait.fd >= 0)
        return true;
    log_info("a layer is on its way to this node", "id=%s", task->id);
    task->layer_wait = (struct loop_source){ .fd = NO_FD, .ready = on_layer_wait, .owner = task };
    return loop_timer_fd(SHIM_LAYER_RETRY_MS, SHIM_LAYER_RETRY_MS, &task->layer_wait.fd, err) &&
           loop_add(task->pod->options.loop, &task->layer_wait, EPOLLIN, err);
}

static FALLIBLE lend_layers(struct task *task, bool *coming, struct err *err)
{
    const struct pod   *pod                  = task->pod;
    const char *const   stores[IMAGE_STORES] = { pod->settings.blobs, pod->store, pod->settings.cache };
    const struct lender lender               = { lend, task->pod };

    return pod_disks_lend_image(&task->pod->disks, stores, task->digest, &lender, coming, err);
}

void task_lend_layers(struct task *task)
{
    bool       coming;
    struct err err;

    if (!lend_layers(task, &coming, &err)) /* the guest finds no disk, and says so */
        log_error("a layer is not lent", "id=%s why=\"%s\"", task->id, LOG_PEER(bytes_of_text(err.text)));
}

/*
 * An image that is mounted wants its layers as disks. One that the node fetches is waited for; any other the guest misses, and
 * brings it into the cache, or says that it misses it.
 */
static void try_creation(struct task *task)
{
    bool       missing = false;
    struct err err;
    bool       is_good = task->is_killed || lend_layers(task, &missing, &err);

    missing = is_good && missing && task->n_layer_waits < SHIM_LAYER_WAIT_MS / SHIM_LAYER_RETRY_MS;
    if (missing && wait_for_layer(task, &err))
        return;
    loop_remove(&task->layer_wait);
    auto_fd(&task->layer_wait.fd);
    task->layer_wait.fd = NO_FD;
    if (task->is_killed)
        relay_exited(task, 128 + SIGKILL);
    else if (!is_good || missing)
        creation_failed(task, &err);
    else
        create_now(task);
}

void task_vm_is_ready(struct task *task)
{
    if (task->spec.role == ROLE_SANDBOX)
        finish_creation(task);
    else
        try_creation(task);
}

void task_vm_failed(struct task *task, const struct err *why)
{
    struct err shown;

    (void) fail_with(&shown, ERR_OS, "%s", why->text[0] ? why->text : "start: the pod was ended"); /* false is what it returns */
    if (task->state == TASK_DELETING) { /* what it asked for has happened */
        Engine__DeleteResponse answer = ENGINE__DELETE_RESPONSE__INIT;

        answer.pid         = (uint32_t) getpid();
        answer.exit_status = task->exit_status;
        ttrpc_answer(TAKE(task->pending), &answer.base);
        pod_remove_task(task);
        return;
    }
    refuse_and_remove(task, &shown);
}

static void on_outlet_opened(void *owner, struct outlet *outlet)
{
    struct task *task = owner;

    (void) outlet;
    task->n_unopened--;
    finish_creation(task);
}

static FALLIBLE open_outlets(struct task *task, outlet_fn *opened, struct err *err)
{
    size_t n = task->terminal ? 1 : TASK_OUTLETS;

    task->n_unopened = (unsigned) n + 1; /* one more, so that none is the last before all were tried */
    for (size_t i = 0; i < n; i++)
        if (!outlet_open(&task->outlets[i], task->pod->options.loop, task->paths[1 + i], opened, task, err))
            return context(err, "config");
    task->n_unopened--;
    return true;
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        abort();
    return copy;
}

static FALLIBLE read_bundle(struct task *task, struct image_note *note, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;

    if (*task->bundle != '/')
        return fail_with(err, ERR_CONFIG, "bundle: an absolute path is wanted");
    if (asprintf(&path, "%s/config.json", task->bundle) < 0)
        abort();
    if (!file_read(path, SHIM_SPEC_MAX, &text, err) || !container_spec_read(buffer_bytes(&text), &task->spec, err))
        return false;
    if (!image_note_load(task->bundle, note, err))
        return false;
    task->receipt      = task->spec.receipt && task->spec.role != ROLE_SANDBOX ? RECEIPT_WANTED : RECEIPT_DONE;
    const char *pinned = image_reference_digest(task->spec.image_name);
    if (!pinned)
        pinned = image_reference_digest(task->spec.image_digests);
    if (pinned)
        task->digest = strndup(pinned, 7 + 64);
    else if (*note->digest)
        task->digest = copy_of(note->digest);
    if (!task->digest && task->spec.role != ROLE_SANDBOX)
        return fail_with(err, ERR_CONFIG, "pull: which manifest is image %.80s? Name it by digest, NAME@sha256:…%s%s",
                         task->spec.image_name ? task->spec.image_name : "(without a name)", *note->why ? "; " : "", note->why);
    return true;
}

static FALLIBLE boot(struct task *task, const struct image_note *note, struct err *err)
{
    const struct container_spec *spec    = &task->spec;
    struct pod_boot              options = { .initdata = spec->initdata, .hostname = spec->hostname,
                                             .network = spec->network, .limits = spec->pod_limits,
                                             .blobs = *note->blobs ? note->blobs : NULL };
    char                         cgroup[POD_CGROUP_PATH_MAX];

    if (!pod_cgroup_path(spec->cgroup, cgroup, err))
        return context(err, "config");
    options.cgroup = cgroup;
    if (spec->role == ROLE_SINGLE)
        options.limits = spec->limits;
    else if (!spec->network)
        return pod_refuse_host_network(err);
    return pod_start_vm(task->pod, &options, err);
}

static FALLIBLE begin_creation(struct task *task, const Engine__CreateRequest *asked, struct err *err)
{
    struct pod        *pod  = task->pod;
    struct image_note  note = { 0 };

    task->bundle   = copy_of(asked->bundle);
    task->terminal = asked->terminal;
    task->paths[0] = copy_of(asked->stdin);
    task->paths[1] = copy_of(asked->stdout);
    task->paths[2] = copy_of(asked->stderr);
    if (*asked->checkpoint || *asked->parent_checkpoint)
        return fail_with(err, ERR_UNSUPPORTED, "a checkpoint holds a guest's memory in the clear");
    if (!read_bundle(task, &note, err))
        return false;
    if (task->spec.process.terminal != task->terminal)
        return fail_with(err, ERR_CONFIG, "config.json and the request differ in whether there is a terminal");
    if (pod->state == POD_NEW && asked->options && asked->options->value.len > 0) {
        AUTO(settings) struct settings settings = { 0 };

        if (!settings_from_options(asked->options, "", &settings, err))
            return context(err, "config");
        settings_free(&pod->settings);
        pod->settings = TAKE(settings);
    }
    if (task->spec.role != ROLE_CONTAINER && !boot(task, &note, err))
        return false;
    for (size_t i = 0; task->spec.role == ROLE_SANDBOX && i < task->spec.rights.n_sysctls; i++)
        if (!kept_sysctls_add(&pod->sysctls, &task->spec.rights.sysctls[i], err))
            return false;
    const char *const stores[IMAGE_STORES] = { pod->settings.blobs, pod->store, pod->settings.cache };
    if (task->digest && !image_blobs_add(&pod->blobs, stores, task->digest, err))
        return false;
    if (pod->state != POD_BOOTING && pod->state != POD_READY)
        return fail_with(err, ERR_CONFIG, "start: the pod has no VM%s%s", pod->end.text[0] ? ": " : "", pod->end.text);
    return open_outlets(task, on_outlet_opened, err);
}

void pod_create(struct pod *pod, struct ttrpc_pending pending, const Engine__CreateRequest *asked)
{
    struct task *task;
    struct err   err;
    bool         is_good = true;

    if (pod_find(pod, asked->id, ""))
        is_good = fail_with(&err, ERR_CONFIG, "container %.80s exists", asked->id);
    else if (pod->n_tasks == SHIM_TASKS_MAX)
        is_good = fail_with(&err, ERR_LIMIT, "over %d containers and processes in one pod", SHIM_TASKS_MAX);
    if (!is_good) {
        ttrpc_refuse(pending, &err);
        return;
    }
    task          = task_new(pod, asked->id, "");
    task->pending = pending;
    pod_add_task(pod, task);
    if (!begin_creation(task, asked, &err)) {
        creation_failed(task, &err);
        return;
    }
    if (pod->state == POD_READY)
        task_vm_is_ready(task);
}

/* ---- one more process ---- */

static void on_forgotten(struct task *task, const struct reply *reply)
{
    (void) task; /* it is removed: this is not called */
    (void) reply;
}

/*
 * CRI-O does not delete a process whose time ran out, and probes may have one every few seconds; a guest keeps no more than
 * a few. Of those of a container that have ended, the oldest goes when there are too many.
 */
static void forget_ended(struct task *container)
{
    Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;
    struct task                  *oldest  = NULL;
    unsigned                      n       = 0;
    struct err                    err;

    for (struct task *t = container->pod->tasks; t; t = t->next)
        if (!t->is_removed && *t->exec && t->state == TASK_STOPPED && strcmp(t->id, container->id) == 0)
            oldest = t, n++; /* the newest is first */
    if (n < SHIM_ENDED_MAX)
        return;
    request.id      = oldest->guest_id;
    request.process = oldest->guest_exec;
    if (oldest->is_in_guest && !pod_call(oldest, &(struct call_request){ "DeleteContainer", &request.base, on_forgotten, 0, { 0 } }, &err))
        log_error("a process that has ended is not forgotten", "id=%s why=\"%s\"", oldest->id, err.text);
    pod_remove_task(oldest);
}

void pod_exec(struct pod *pod, struct ttrpc_pending pending, const Engine__ExecRequest *asked)
{
    struct task   *container = pod_find(pod, asked->id, "");
    Engine__TaskExecAdded event = ENGINE__TASK_EXEC_ADDED__INIT;
    struct task   *task;
    struct err     err;
    bool           is_good = true;

    if (container)
        forget_ended(container);
    if (!container)
        is_good = fail_with(&err, ERR_NOT_FOUND, "container %.80s is not here", asked->id);
    else if (!*asked->exec_id || pod_find(pod, asked->id, asked->exec_id))
        is_good = fail_with(&err, ERR_CONFIG, "process %.80s exists", asked->exec_id);
    else if (container->spec.role == ROLE_SANDBOX)
        is_good = fail_with(&err, ERR_UNSUPPORTED, "the pod itself has no process in which something could be run");
    else if (pod->n_tasks == SHIM_TASKS_MAX)
        is_good = fail_with(&err, ERR_LIMIT, "over %d containers and processes in one pod", SHIM_TASKS_MAX);
    else if (!asked->spec)
        is_good = fail_with(&err, ERR_MALFORMED, "process: missing");
    else
        is_good = task_may(container->state, TASK_EXEC, &err);
    if (!is_good) {
        ttrpc_refuse(pending, &err);
        return;
    }
    task           = task_new(pod, asked->id, asked->exec_id);
    task->bundle   = copy_of(container->bundle);
    task->terminal = asked->terminal;
    task->paths[0] = copy_of(asked->stdin);
    task->paths[1] = copy_of(asked->stdout);
    task->paths[2] = copy_of(asked->stderr);
    task->state    = TASK_CREATED;
    pod_add_task(pod, task);
    if (!process_spec_read((struct bytes){ asked->spec->value.data, asked->spec->value.len }, &task->process,
                           &task->command, &err)) {
        ttrpc_refuse(pending, &err);
        pod_remove_task(task);
        return;
    }
    event.container_id = task->id;
    event.exec_id      = task->exec;
    publisher_tell(pod->publisher, "/tasks/exec-added", "containerd.events.TaskExecAdded", &event.base);
    answer_empty(pending);
}

/* ---- start ---- */

static void tell_started(struct task *task)
{
    Engine__TaskStart       started = ENGINE__TASK_START__INIT;
    Engine__TaskExecStarted exec    = ENGINE__TASK_EXEC_STARTED__INIT;

    started.container_id = exec.container_id = task->id;
    started.pid = exec.pid = (uint32_t) getpid();
    exec.exec_id           = task->exec;
    if (*task->exec)
        publisher_tell(task->pod->publisher, "/tasks/exec-started", "containerd.events.TaskExecStarted", &exec.base);
    else
        publisher_tell(task->pod->publisher, "/tasks/start", "containerd.events.TaskStart", &started.base);
}

static void finish_start(struct task *task)
{
    Engine__StartResponse answer = ENGINE__START_RESPONSE__INIT;

    answer.pid  = (uint32_t) getpid();
    task->state = TASK_RUNNING;
    tell_started(task);
    ttrpc_answer(TAKE(task->pending), &answer.base);
}

/* As a process that could not run: it can only be deleted. */
static void start_failed(struct task *task, const struct err *why)
{
    log_error("start", "id=%s exec=%s why=\"%s\"", task->id, task->exec, LOG_PEER(bytes_of_text(why->text)));
    ttrpc_refuse(TAKE(task->pending), why);
    for (size_t i = 0; i < TASK_OUTLETS; i++)
        outlet_close(&task->outlets[i]);
    task->state       = TASK_STOPPED;
    task->exit_status = 255;
    (void) clock_gettime(CLOCK_REALTIME, &task->exited_at); /* cannot fail */
}

static void on_started(struct task *task, const struct reply *reply)
{
    if (task->state != TASK_STARTING)
        return;
    if (!reply->response) {
        start_failed(task, reply->why);
        return;
    }
    task->is_in_guest = true;
    finish_start(task);
    relay_start(task);
}

static void call_start(struct task *task)
{
    Agent__StartContainerRequest start = AGENT__START_CONTAINER_REQUEST__INIT;
    Agent__ExecProcessRequest    exec  = AGENT__EXEC_PROCESS_REQUEST__INIT;
    const struct task           *container = *task->exec ? pod_find(task->pod, task->id, "") : NULL;
    AUTO(process_room) struct process_room room = { .env = NULL };
    struct err                   err;

    if (*task->exec)
        process_spec_ask(container ? &container->spec.process : &task->command, &task->command, &room, &exec);
    start.id = exec.id = task->guest_id;
    exec.process       = task->guest_exec;
    exec.terminal      = task->terminal;
    struct call_request call = { "StartContainer", &start.base, on_started, 0, { 0 } };
    if (*task->exec)
        call = (struct call_request){ "ExecProcess", &exec.base, on_started, 0, { 0 } };
    if (!pod_call(task, &call, &err))
        start_failed(task, &err);
}

static void on_exec_outlet_opened(void *owner, struct outlet *outlet)
{
    struct task *task = owner;

    (void) outlet;
    if (--task->n_unopened == 0 && task->state == TASK_STARTING)
        call_start(task);
}

void pod_start(struct pod *pod, struct ttrpc_pending pending, const Engine__ProcessRequest *asked)
{
    struct task *task = pod_find(pod, asked->id, asked->exec_id);
    struct err   err;

    if (!task)
        (void) fail_with(&err, ERR_NOT_FOUND, "process %.60s %.60s is not here", asked->id, asked->exec_id); /* false */
    if (!task || !task_may(task->state, TASK_START, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    task->state   = TASK_STARTING;
    task->pending = pending;
    if (*task->exec) {
        if (!open_outlets(task, on_exec_outlet_opened, &err))
            start_failed(task, &err);
        else if (task->n_unopened == 0 && task->state == TASK_STARTING)
            call_start(task);
    } else if (task->spec.role == ROLE_SANDBOX) {
        finish_start(task);
    } else {
        call_start(task);
    }
}
