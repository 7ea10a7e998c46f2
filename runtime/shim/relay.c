/* Streams of a process between the guest and the engine's FIFOs, and its end. */
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/file.h"
#include "base/log.h"
#include "runtime/shim/patience.h"
#include "runtime/shim/pod.h"
#include "runtime/shim/volumes.h"

static void read_more(struct task *task, size_t which);

static Engine__Timestamp time_of(const struct timespec *at)
{
    Engine__Timestamp out = ENGINE__TIMESTAMP__INIT;

    out.seconds = at->tv_sec;
    out.nanos   = (int32_t) at->tv_nsec;
    return out;
}

void relay_answer_wait(const struct task *task, struct ttrpc_pending pending)
{
    Engine__WaitResponse answer = ENGINE__WAIT_RESPONSE__INIT;
    Engine__Timestamp    at     = time_of(&task->exited_at);

    answer.exit_status = task->exit_status;
    answer.exited_at   = &at;
    ttrpc_answer(pending, &answer.base);
}

/* An engine that takes no events looks for this file in the bundle: CRI-O. */
static void mark_out_of_memory(const struct task *task)
{
    char       path[PATH_MAX];
    struct err err;

    if (*task->pod->options.ttrpc_address || snprintf(path, sizeof path, "%s/oom", task->bundle) >= (int) sizeof path)
        return;
    if (!file_write(path, (struct bytes){ 0 }, 0600, &err))
        log_error("that it ran out of memory is not told", "id=%s why=\"%s\"", task->id, err.text);
}

static void tell_exit(struct task *task)
{
    Engine__TaskExit  event = ENGINE__TASK_EXIT__INIT;
    Engine__TaskOOM   oom   = ENGINE__TASK_OOM__INIT;
    Engine__Timestamp at    = time_of(&task->exited_at);

    if (task->ran_out_of_memory && !*task->exec) {
        mark_out_of_memory(task);
        oom.container_id = task->id;
        publisher_tell(task->pod->publisher, "/tasks/oom", "containerd.events.TaskOOM", &oom.base);
    }
    event.container_id = task->id;
    event.id           = *task->exec ? task->exec : task->id;
    event.pid          = (uint32_t) getpid();
    event.exit_status  = task->exit_status;
    event.exited_at    = &at;
    publisher_tell(task->pod->publisher, "/tasks/exit", "containerd.events.TaskExit", &event.base);
}

void relay_finish(struct task *task)
{
    if (task->state != TASK_STOPPING || task->receipt == RECEIPT_ASKED)
        return;
    loop_remove(&task->drain);
    if (task->receipt == RECEIPT_WANTED && relay_ask_receipt(task))
        return;
    task->state = TASK_STOPPED;
    for (size_t i = 0; i < TASK_OUTLETS; i++)
        outlet_close(&task->outlets[i]);
    inlet_close(&task->inlet);
    tell_exit(task);
    for (size_t i = 0; i < task->n_waiters; i++)
        relay_answer_wait(task, task->waiters[i]);
    task->n_waiters = 0;
}

/* Someone it left behind holds its output open, or a guest gives no receipt. */
static void on_drain_over(struct loop_source *source, uint32_t events)
{
    struct task *task = source->owner;

    (void) events;
    loop_remove(source);
    if (task->receipt == RECEIPT_ASKED) {
        log_error("no receipt", "id=%s why=\"it did not come in time\"", task->id);
        task->receipt = RECEIPT_DONE;
    }
    relay_finish(task);
}

void relay_give_time(struct task *task, uint32_t ms)
{
    struct err err;

    auto_fd(&task->drain.fd);
    task->drain = (struct loop_source){ .fd = NO_FD, .ready = on_drain_over, .owner = task };
    if (!loop_timer_fd(ms, 0, &task->drain.fd, &err) || !loop_add(task->pod->options.loop, &task->drain, EPOLLIN, &err))
        relay_finish(task);
}

static void mark_exit(struct task *task, uint32_t status)
{
    task->state       = TASK_STOPPING;
    task->exit_status = status;
    patience_over(task);
    (void) pod_answer_signals(task); /* what they were for has come */
    (void) clock_gettime(CLOCK_REALTIME, &task->exited_at); /* cannot fail */
}

void relay_exited(struct task *task, uint32_t status)
{
    struct ttrpc_pending asker = TAKE(task->pending);
    struct err           why;

    if (task->state != TASK_STOPPING)
        mark_exit(task, status);
    (void) fail_with(&why, ERR_OS, "%s", task->pod->end.text[0] ? task->pod->end.text : "the pod was ended"); /* false */
    ttrpc_refuse(asker, &why); /* of a Start that was not answered yet */
    task->receipt = RECEIPT_DONE; /* there is no one to give it any more */
    relay_finish(task);
}

/* A hostile guest may send more than there can be: then nothing is kept. */
static void keep_last_words(const struct task *task, const Agent__WaitContainerResponse *answer)
{
    const char *path = task->spec.termination.source;
    struct err  err;

    if (!answer || *task->exec || !path || answer->termination_message.len == 0 || answer->termination_message.len > TERMINATION_LEN_MAX)
        return;
    if (!host_volume_keep_last_words(path, (struct bytes){ answer->termination_message.data, answer->termination_message.len }, &err))
        log_error("last words are not kept", "id=%s why=\"%s\"", task->id, err.text);
}

static void on_exited(struct task *task, const struct reply *reply)
{
    const Agent__WaitContainerResponse *answer = (const Agent__WaitContainerResponse *) reply->response;

    if (task->state != TASK_RUNNING)
        return;
    if (!answer)
        log_error("the guest lost a process", "why=\"%s\"", LOG_PEER(bytes_of_text(reply->why->text)));
    task->ran_out_of_memory = answer && answer->ran_out_of_memory;
    keep_last_words(task, answer);
    mark_exit(task, answer ? answer->exit_code & 0xff : 255);
    if (task->n_streaming == 0)
        relay_finish(task);
    else
        relay_give_time(task, SHIM_DRAIN_MS);
}

static void stream_ended(struct task *task)
{
    task->n_streaming--;
    if (task->n_streaming == 0)
        relay_finish(task);
}

static void on_drained(void *owner, struct outlet *outlet)
{
    struct task *task = owner;

    read_more(task, (size_t) (outlet - task->outlets));
}

/* A hostile guest may send more than was asked for, for ever nothing, or nothing at all: each costs it only itself. */
static void on_output(struct task *task, const struct reply *reply)
{
    const Agent__ReadOutputResponse *answer = (const Agent__ReadOutputResponse *) reply->response;
    struct outlet                   *outlet = &task->outlets[reply->which];

    if (task->state != TASK_RUNNING && task->state != TASK_STOPPING)
        return;
    if (!answer || answer->data.len > SHIM_BLOCK || (answer->data.len == 0 && !answer->eof)) {
        stream_ended(task);
        return;
    }
    if (answer->eof) {
        if (answer->data.len > 0)
            outlet_write(outlet, (struct bytes){ answer->data.data, answer->data.len }, NULL);
        stream_ended(task);
        return;
    }
    outlet_write(outlet, (struct bytes){ answer->data.data, answer->data.len }, on_drained);
}

static void read_more(struct task *task, size_t which)
{
    Agent__ReadOutputRequest request = AGENT__READ_OUTPUT_REQUEST__INIT;
    struct err               err;

    request.id      = task->guest_id;
    request.process = task->guest_exec;
    request.most    = SHIM_BLOCK;
    request.stream  = which == 0 ? AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT : AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    if (!pod_call(task, &(struct call_request){ "ReadOutput", &request.base, on_output, which, { 0 } }, &err))
        stream_ended(task);
}

static void on_input_written(struct task *task, const struct reply *reply)
{
    bool is_last = reply->which != 0;

    if (!reply->response) /* denied, or no one reads it */
        inlet_close(&task->inlet);
    else if (!is_last)
        inlet_next(&task->inlet);
}

static void on_input(void *owner, struct bytes b, bool is_last)
{
    struct task             *task    = owner;
    Agent__WriteInputRequest request = AGENT__WRITE_INPUT_REQUEST__INIT;
    struct err               err;

    request.id      = task->guest_id;
    request.process = task->guest_exec;
    request.data    = (ProtobufCBinaryData){ b.len, (uint8_t *) (uintptr_t) b.at }; /* written to the wire only */
    request.eof     = is_last;
    if (!pod_call(task, &(struct call_request){ "WriteInput", &request.base, on_input_written, is_last, { 0 } }, &err))
        inlet_close(&task->inlet);
}

static bool engine_is_here(void *owner)
{
    const struct pod *pod = ((const struct task *) owner)->pod;

    return pod->options.engine_is_here(pod->options.owner);
}

void relay_start(struct task *task)
{
    Agent__WaitContainerRequest wait = AGENT__WAIT_CONTAINER_REQUEST__INIT;
    struct inlet_options        in   = { .loop = task->pod->options.loop, .path = task->paths[0],
                                         .engine_is_here = engine_is_here, .came = on_input, .owner = task };
    size_t                      n    = task->terminal ? 1 : TASK_OUTLETS;
    struct err                  err;

    wait.id           = task->guest_id;
    wait.process      = task->guest_exec;
    task->n_streaming = (unsigned) n;
    for (size_t i = 0; i < n; i++)
        read_more(task, i);
    if (!pod_call(task, &(struct call_request){ "WaitContainer", &wait.base, on_exited, 0, { 0 } }, &err)) {
        relay_exited(task, 255);
        return;
    }
    if (!inlet_open(&task->inlet, &in, &err))
        log_error("no input", "why=\"%s\"", err.text);
}
