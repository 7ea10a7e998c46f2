#include "runtime/shim/service.h"

#include <string.h>

#include "runtime/shim/sandbox_api.h"

const struct ttrpc_service task_v2_service = { "containerd.task.v2.Task", &engine__task__descriptor, MESSAGE_LOOSE };
static const struct ttrpc_service task_v3_service = { "containerd.task.v3.Task", &engine__task__descriptor, MESSAGE_LOOSE };
static const struct ttrpc_service sandbox_service = { "containerd.runtime.sandbox.v1.Sandbox",
                                                      &engine__sandbox__descriptor, MESSAGE_LOOSE };

const struct ttrpc_service *const service_others[] = { &task_v3_service, &sandbox_service };
const size_t                      n_service_others = sizeof service_others / sizeof *service_others;

static void refuse_unknown(struct ttrpc_pending pending, const char *id, const char *exec)
{
    struct err why;

    (void) fail_with(&why, ERR_NOT_FOUND, "process %.60s %.60s is not here", id, exec); /* false is what it returns */
    ttrpc_refuse(pending, &why);
}

static void refuse_unsupported(struct ttrpc_pending pending, const char *reason)
{
    struct err why;

    (void) fail_with(&why, ERR_UNSUPPORTED, "%s", reason); /* as above */
    ttrpc_refuse(pending, &why);
}

static void create(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_create(owner, pending, (const Engine__CreateRequest *) request);
}

static void start(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_start(owner, pending, (const Engine__ProcessRequest *) request);
}

static void delete(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_delete(owner, pending, (const Engine__ProcessRequest *) request);
}

static void kill_process(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_kill(owner, pending, (const Engine__KillRequest *) request);
}

static void exec(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_exec(owner, pending, (const Engine__ExecRequest *) request);
}

static void resize_pty(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_resize(owner, pending, (const Engine__ResizePtyRequest *) request);
}

static void update(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_update(owner, pending, (const Engine__UpdateRequest *) request);
}

static void stats(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    pod_stats(owner, pending, (const Engine__ProcessRequest *) request);
}

/* Answered from memory: it is asked often. */
static void state(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Engine__ProcessRequest *asked  = (const Engine__ProcessRequest *) request;
    const struct task            *task   = pod_find(owner, asked->id, asked->exec_id);
    Engine__StateResponse         answer = ENGINE__STATE_RESPONSE__INIT;
    Engine__Timestamp             at     = ENGINE__TIMESTAMP__INIT;

    if (!task) {
        refuse_unknown(pending, asked->id, asked->exec_id);
        return;
    }
    at.seconds         = task->exited_at.tv_sec;
    at.nanos           = (int32_t) task->exited_at.tv_nsec;
    answer.id          = task->id;
    answer.exec_id     = task->exec;
    answer.bundle      = task->bundle;
    answer.pid         = ((const struct pod *) owner)->pid;
    answer.status      = task_status(task->state);
    answer.stdin       = task->paths[0];
    answer.stdout      = task->paths[1];
    answer.stderr      = task->paths[2];
    answer.terminal    = task->terminal;
    answer.exit_status = task->exit_status;
    answer.exited_at   = &at;
    ttrpc_answer(pending, &answer.base);
}

static void wait(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Engine__ProcessRequest *asked = (const Engine__ProcessRequest *) request;
    struct task                  *task  = pod_find(owner, asked->id, asked->exec_id);
    struct err                    err;

    if (!task) {
        refuse_unknown(pending, asked->id, asked->exec_id);
    } else if (task->state == TASK_STOPPED || task->state == TASK_DELETING) {
        relay_answer_wait(task, pending);
    } else if (!task_add_waiter(task, pending)) {
        (void) fail_with(&err, ERR_LIMIT, "over %d wait for the process", SHIM_WAITERS_MAX); /* false is what it returns */
        ttrpc_refuse(pending, &err);
    }
}

static bool is_alive(const struct task *task)
{
    return task->state != TASK_STOPPED && task->state != TASK_DELETING;
}

/* On the host there is one process, whatever runs in the guest. */
static void pids(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Engine__ProcessRequest *asked  = (const Engine__ProcessRequest *) request;
    const struct task            *task   = pod_find(owner, asked->id, "");
    Engine__PidsResponse          answer = ENGINE__PIDS_RESPONSE__INIT;
    Engine__ProcessInfo           process = ENGINE__PROCESS_INFO__INIT, *all[] = { &process };

    if (!task) {
        refuse_unknown(pending, asked->id, "");
        return;
    }
    process.pid        = (uint32_t) getpid();
    answer.processes   = all;
    answer.n_processes = is_alive(task) ? 1 : 0;
    ttrpc_answer(pending, &answer.base);
}

static void connect_task(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Engine__ProcessRequest *asked     = (const Engine__ProcessRequest *) request;
    const struct task            *task      = pod_find(owner, asked->id, "");
    Engine__ConnectResponse       answer    = ENGINE__CONNECT_RESPONSE__INIT;
    char                          version[] = CLOISTER_VERSION;

    answer.shim_pid = (uint32_t) getpid();
    answer.task_pid = task ? (uint32_t) getpid() : 0;
    answer.version  = version;
    ttrpc_answer(pending, &answer.base);
}

static void close_io(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Engine__CloseIORequest *asked  = (const Engine__CloseIORequest *) request;
    struct task                  *task   = pod_find(owner, asked->id, asked->exec_id);
    Engine__Empty                 answer = ENGINE__EMPTY__INIT;

    if (!task) {
        refuse_unknown(pending, asked->id, asked->exec_id);
        return;
    }
    if (asked->stdin)
        inlet_end(&task->inlet);
    ttrpc_answer(pending, &answer.base);
}

static void pause_task(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    (void) owner;
    (void) request;
    refuse_unsupported(pending, "pause: a guest that is stopped cannot tell how long; its attestation and its keys would outlive their time");
}

static void checkpoint(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    (void) owner;
    (void) request;
    refuse_unsupported(pending, "checkpoint: it would hold the guest's memory in the clear");
}

static void sandbox_metrics(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    (void) owner;
    (void) request;
    refuse_unsupported(pending, "metrics of a pod: its containers have some, and the host counts the VM's");
}

/* Engines ask once for every container: the last one counts. */
static void shut_down(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct pod   *pod    = owner;
    Engine__Empty answer = ENGINE__EMPTY__INIT;

    (void) request;
    ttrpc_answer(pending, &answer.base);
    if (pod->n_tasks == 0 && !pod->is_sandbox)
        pod->options.finished(pod->options.owner);
}

const struct ttrpc_row service_rows[] = {
    { "State", state },           { "Create", create },        { "Start", start },        { "Delete", delete },
    { "Pids", pids },             { "Pause", pause_task },     { "Resume", pause_task },  { "Checkpoint", checkpoint },
    { "Kill", kill_process },     { "Exec", exec },            { "ResizePty", resize_pty }, { "CloseIO", close_io },
    { "Update", update },         { "Wait", wait },            { "Stats", stats },        { "Connect", connect_task },
    { "Shutdown", shut_down },
    { "CreateSandbox", sandbox_api_create },   { "StartSandbox", sandbox_api_start }, { "Platform", sandbox_api_platform },
    { "StopSandbox", sandbox_api_stop },       { "WaitSandbox", sandbox_api_wait },   { "SandboxStatus", sandbox_api_status },
    { "PingSandbox", sandbox_api_ping },       { "ShutdownSandbox", sandbox_api_shutdown },
    { "SandboxMetrics", sandbox_metrics },
};
const size_t n_service_rows = sizeof service_rows / sizeof *service_rows;
