/* What engines ask of processes that are there: kill, delete, and questions. */
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "runtime/shim/patience.h"
#include "runtime/shim/pod.h"

static void answer_empty(struct ttrpc_pending pending)
{
    Engine__Empty empty = ENGINE__EMPTY__INIT;

    ttrpc_answer(pending, &empty.base);
}

/* The outcome of a call whose engine waits for no more than that it was done. */
static void on_done(struct task *task, const struct reply *reply)
{
    (void) task;
    if (reply->response)
        answer_empty(reply->pending);
    else
        ttrpc_refuse(reply->pending, reply->why);
}

void pod_on_signalled(struct task *task, const struct reply *reply)
{
    if (!ttrpc_is_pending(reply->pending) && !reply->response)
        log_error("a signal did not come through", "id=%s why=\"%s\"", task->id, LOG_PEER(bytes_of_text(reply->why->text)));
    on_done(task, reply);
}

/* The process, when its state allows the verb; else NULL, and the request was refused. */
static struct task *find_for(struct pod *pod, struct ttrpc_pending pending, const char *id, const char *exec,
                             enum task_verb verb)
{
    struct task *task = pod_find(pod, id, exec);
    struct err   err;

    if (!task)
        (void) fail_with(&err, ERR_NOT_FOUND, "process %.60s %.60s is not here", id, exec); /* false is what it returns */
    if (task && task_may(task->state, verb, &err))
        return task;
    ttrpc_refuse(pending, &err);
    return NULL;
}

/* ---- kill ---- */

/* A container that was created and never started: without its first process it can only be removed. */
static void on_killed_before_start(struct task *task, const struct reply *reply)
{
    if (!reply->response) {
        ttrpc_refuse(reply->pending, reply->why);
        return;
    }
    task->is_in_guest = false;
    relay_exited(task, (uint32_t) reply->which);
    answer_empty(reply->pending);
}

static FALLIBLE kill_created(struct task *task, struct ttrpc_pending pending, uint32_t signal_number, struct err *err)
{
    Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;

    request.id = task->guest_id;
    return pod_call(task, &(struct call_request){ "DeleteContainer", &request.base, on_killed_before_start,
                                                  128 + (signal_number & 0x7f), pending }, err);
}

FALLIBLE task_kill_created(struct task *task, uint32_t signal_number, struct err *err)
{
    return kill_created(task, (struct ttrpc_pending){ 0 }, signal_number, err);
}

/* The guest may be at it, or have it while nobody reads its output yet: it ends as soon as it is there. */
static bool kill_creation(struct task *task, struct ttrpc_pending pending, uint32_t signal_number)
{
    struct err err;

    if (signal_number == SIGKILL)
        patience_for_end(task);
    if (!task->is_in_guest) {
        task->is_killed = true;
        answer_empty(pending);
    } else if (!kill_created(task, pending, signal_number, &err)) {
        ttrpc_refuse(pending, &err);
    }
    return true;
}

/* An engine that died while a VM or a container was started for it, and came back, has no other way to end it. */
static bool kill_start(struct pod *pod, struct ttrpc_pending pending, const Engine__KillRequest *asked)
{
    struct task *task = pod_find(pod, asked->id, asked->exec_id);
    struct err   none = { 0 };

    if (!task || *task->exec || task->state != TASK_CREATING || !pod->machine)
        return false;
    if (task->spec.role == ROLE_CONTAINER)
        return kill_creation(task, pending, asked->signal);
    task->is_killed = true;
    answer_empty(pending);
    pod_end_vm(pod, 128 + (asked->signal & 0x7f), &none);
    return true;
}

/* Signal 0: whether it is there. CRI-O asks so, of a pod too; nothing is sent anywhere. */
static void answer_alive(struct pod *pod, struct ttrpc_pending pending, const Engine__KillRequest *asked)
{
    const struct task *task = pod_find(pod, asked->id, asked->exec_id);
    struct err         err;

    if (task && task_is_alive(task->state)) {
        answer_empty(pending);
        return;
    }
    (void) (task ? fail_with(&err, ERR_NOT_FOUND, "process already finished")
                 : fail_with(&err, ERR_NOT_FOUND, "process %.60s %.60s is not here", asked->id, asked->exec_id)); /* false */
    ttrpc_refuse(pending, &err);
}

void pod_kill(struct pod *pod, struct ttrpc_pending pending, const Engine__KillRequest *asked)
{
    Agent__SignalContainerRequest request = AGENT__SIGNAL_CONTAINER_REQUEST__INIT;

    if (asked->signal == 0) {
        answer_alive(pod, pending, asked);
        return;
    }
    if (kill_start(pod, pending, asked))
        return;
    struct task *task = find_for(pod, pending, asked->id, asked->exec_id, TASK_KILL);
    struct err   err;
    bool         is_good;

    if (!task)
        return;
    if (!*task->exec && task->spec.role == ROLE_SANDBOX) {
        answer_empty(pending);
        pod_close_vm(pod, 128 + (asked->signal & 0x7f));
        return;
    }
    if (*task->exec && task->state == TASK_CREATED) { /* it never ran anywhere */
        relay_exited(task, 128 + (asked->signal & 0x7f));
        answer_empty(pending);
        return;
    }
    request.id      = task->guest_id;
    request.process = task->guest_exec;
    request.signal  = asked->signal;
    request.all     = asked->all;
    is_good = task->state == TASK_CREATED
                  ? kill_created(task, pending, asked->signal, &err)
                  : pod_call(task, &(struct call_request){ "SignalContainer", &request.base, pod_on_signalled, 0, pending }, &err);
    if (!is_good) {
        ttrpc_refuse(pending, &err);
        return;
    }
    patience_for_signal(task);
    if (asked->signal == SIGKILL)
        patience_for_end(task);
}

/* ---- delete ---- */

/*
 * With a container go the processes that were added to it: an engine that was killed while it ran one does not come back
 * to delete it, and a pod with a process in it is not shut down.
 */
static void remove_execs(struct pod *pod, const char *id)
{
    for (struct task *t = pod->tasks, *next; t; t = next) {
        next = t->next;
        if (t->is_removed || !*t->exec || strcmp(t->id, id) != 0 || t->state == TASK_DELETING)
            continue;
        if (t->state != TASK_STOPPED)
            relay_exited(t, 137);
        pod_remove_task(t);
    }
}

static void finish_delete(struct task *task)
{
    Engine__DeleteResponse answer = ENGINE__DELETE_RESPONSE__INIT;
    Engine__TaskDelete     event  = ENGINE__TASK_DELETE__INIT;
    Engine__Timestamp      at     = ENGINE__TIMESTAMP__INIT;
    struct pod            *pod    = task->pod;
    bool                   owns_pod = !*task->exec && task->spec.role == ROLE_SINGLE;

    at.seconds         = task->exited_at.tv_sec;
    at.nanos           = (int32_t) task->exited_at.tv_nsec;
    event.container_id = task->id;
    event.pid = answer.pid = (uint32_t) getpid();
    event.exit_status = answer.exit_status = task->exit_status;
    event.exited_at = answer.exited_at = &at;
    if (!*task->exec) {
        remove_execs(pod, task->id);
        publisher_tell(pod->publisher, "/tasks/delete", "containerd.events.TaskDelete", &event.base);
    }
    ttrpc_answer(TAKE(task->pending), &answer.base);
    pod_remove_task(task);
    if (owns_pod)
        pod_close_vm(pod, 137);
}

static void on_deleted(struct task *task, const struct reply *reply)
{
    patience_over(task);
    if (!reply->response && reply->why->kind != ERR_NOT_FOUND) {
        task->state = TASK_STOPPED;
        ttrpc_refuse(TAKE(task->pending), reply->why);
        return;
    }
    finish_delete(task);
}

void pod_delete(struct pod *pod, struct ttrpc_pending pending, const Engine__ProcessRequest *asked)
{
    Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;
    struct task                  *task    = find_for(pod, pending, asked->id, asked->exec_id, TASK_DELETE);
    struct err                    err, none = { 0 };

    if (!task)
        return;
    if (!*task->exec && task->spec.role == ROLE_SANDBOX)
        pod_end_vm(pod, 137, &none);
    task->pending = pending;
    if (task->state == TASK_CREATED)
        task->exit_status = 137;
    task->state = TASK_DELETING;
    if (!task->is_in_guest || pod->state != POD_READY) {
        finish_delete(task);
        return;
    }
    request.id      = task->guest_id;
    request.process = task->guest_exec;
    patience_for_end(task);
    if (!pod_call(task, &(struct call_request){ "DeleteContainer", &request.base, on_deleted, 0, { 0 } }, &err)) {
        task->state = TASK_STOPPED;
        ttrpc_refuse(TAKE(task->pending), &err);
    }
}

/* ---- size, limits, statistics ---- */

void pod_resize(struct pod *pod, struct ttrpc_pending pending, const Engine__ResizePtyRequest *asked)
{
    Agent__ResizeTerminalRequest request = AGENT__RESIZE_TERMINAL_REQUEST__INIT;
    struct task                 *task    = find_for(pod, pending, asked->id, asked->exec_id, TASK_RESIZE);
    struct err                   err;

    if (!task)
        return;
    request.id      = task->guest_id;
    request.process = task->guest_exec;
    request.columns = asked->width;
    request.rows    = asked->height;
    if (!task->is_in_guest)
        answer_empty(pending); /* engines size it once more when it runs */
    else if (!pod_call(task, &(struct call_request){ "ResizeTerminal", &request.base, on_done, 0, pending }, &err))
        ttrpc_refuse(pending, &err);
}

/* No limit is within any size. */
static FALLIBLE check_size(const struct pod *pod, const struct spec_limits *wanted, struct err *err)
{
    if (wanted->memory_bytes > (uint64_t) pod->memory_mib << 20)
        return fail_with(err, ERR_LIMIT, "update: %llu MiB are more than the VM has, %u MiB: it keeps the size with which it was started",
                         (unsigned long long) (wanted->memory_bytes >> 20), pod->memory_mib);
    if (wanted->cpu_period_us > 0 && wanted->cpu_quota_us / wanted->cpu_period_us + (wanted->cpu_quota_us % wanted->cpu_period_us > 0) > pod->cpus)
        return fail_with(err, ERR_LIMIT, "update: %llu of %llu us of CPU time are more than the VM has, %u CPUs: it keeps the size with which it was started",
                         (unsigned long long) wanted->cpu_quota_us, (unsigned long long) wanted->cpu_period_us, pod->cpus);
    return true;
}

void pod_update(struct pod *pod, struct ttrpc_pending pending, const Engine__UpdateRequest *asked)
{
    Agent__UpdateContainerRequest request = AGENT__UPDATE_CONTAINER_REQUEST__INIT;
    Agent__Limits                 limits  = AGENT__LIMITS__INIT;
    struct task                  *task    = find_for(pod, pending, asked->id, "", TASK_UPDATE);
    struct spec_limits            wanted;
    struct err                    err;
    bool                          is_good;

    if (!task)
        return;
    if (!task->is_in_guest)
        is_good = fail_with(&err, ERR_UNSUPPORTED, "update: a VM keeps the size with which it was measured and started");
    else if (!asked->resources)
        is_good = fail_with(&err, ERR_MALFORMED, "resources: missing");
    else
        is_good = resources_read((struct bytes){ asked->resources->value.data, asked->resources->value.len }, &wanted, &err) &&
                  check_size(pod, &wanted, &err);
    if (!is_good) {
        ttrpc_refuse(pending, &err);
        return;
    }
    limits.memory_bytes  = wanted.memory_bytes;
    limits.cpu_quota_us  = wanted.cpu_quota_us;
    limits.cpu_period_us = wanted.cpu_period_us;
    request.id           = task->guest_id;
    request.limits       = &limits;
    if (!pod_call(task, &(struct call_request){ "UpdateContainer", &request.base, on_done, 0, pending }, &err))
        ttrpc_refuse(pending, &err);
}

static void on_stats(struct task *task, const struct reply *reply)
{
    const Agent__StatsContainerResponse *s       = (const Agent__StatsContainerResponse *) reply->response;
    Engine__Metrics                      metrics = ENGINE__METRICS__INIT;
    Engine__PidsStat                     pids    = ENGINE__PIDS_STAT__INIT;
    Engine__CPUStat                      cpu     = ENGINE__CPUSTAT__INIT;
    Engine__MemoryStat                   memory  = ENGINE__MEMORY_STAT__INIT;
    Engine__Any                          any     = ENGINE__ANY__INIT;
    Engine__StatsResponse                answer  = ENGINE__STATS_RESPONSE__INIT;
    AUTO(buffer) struct buffer           body    = { 0 };
    char                                 type[]  = "io.containerd.cgroups.v2.Metrics"; /* engines take it on any host */

    (void) task;
    if (!s) {
        ttrpc_refuse(reply->pending, reply->why);
        return;
    }
    pids.current         = s->processes;
    pids.limit           = s->processes_limit;
    cpu.usage_usec       = s->cpu_usage_us;
    cpu.user_usec        = s->cpu_user_us;
    cpu.system_usec      = s->cpu_system_us;
    memory.inactive_file = s->memory_inactive_file_bytes;
    memory.usage         = s->memory_bytes;
    memory.usage_limit   = s->memory_limit_bytes;
    metrics.pids         = &pids;
    metrics.cpu          = &cpu;
    metrics.memory       = &memory;
    message_append(&body, &metrics.base);
    any.type_url = type;
    any.value    = (ProtobufCBinaryData){ body.len, body.at };
    answer.stats = &any;
    ttrpc_answer(reply->pending, &answer.base);
}

void pod_stats(struct pod *pod, struct ttrpc_pending pending, const Engine__ProcessRequest *asked)
{
    Agent__StatsContainerRequest request = AGENT__STATS_CONTAINER_REQUEST__INIT;
    struct task                 *task    = find_for(pod, pending, asked->id, "", TASK_STATS);
    struct err                   err;
    bool                         is_good;

    if (!task)
        return;
    request.id = task->guest_id;
    is_good    = task->is_in_guest
                  ? pod_call(task, &(struct call_request){ "StatsContainer", &request.base, on_stats, 0, pending }, &err)
                  : fail_with(&err, ERR_CONFIG, "stats: the pod itself has no process; ask for its containers");
    if (!is_good)
        ttrpc_refuse(pending, &err);
}
