#include "guest/agent/desk.h"
#include "guest/agent/service_methods.h"
#include "guest/container/exec.h"

static void tell_waiter(const struct container_process *p, struct ttrpc_pending pending)
{
    Agent__WaitContainerResponse answer = AGENT__WAIT_CONTAINER_RESPONSE__INIT;
    struct cgroup_stats          stats  = { 0 };
    struct err                   ignored; /* the exit code is what counts */

    AUTO(buffer) struct buffer   message = { 0 };

    if (p == &p->container->first)
        container_last_words(p->container, &message);
    answer.termination_message = (ProtobufCBinaryData){ message.len, message.at };
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

void service_wait_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__WaitContainerRequest *asked = (const Agent__WaitContainerRequest *) request;
    struct container_process          *p     = service_find_process(owner, asked->id, asked->process, pending);
    struct err                         err;

    if (!p)
        return;
    forget_the_gone(p);
    if (p->has_ended) {
        tell_waiter(p, pending);
    } else if (p->n_waiters == CONTAINER_WAITERS_MAX) {
        (void) fail_with(&err, ERR_LIMIT, "over %d wait for it", CONTAINER_WAITERS_MAX); /* false by contract */
        service_refuse(pending, "start", &err);
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

void service_signal_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__SignalContainerRequest *asked  = (const Agent__SignalContainerRequest *) request;
    Agent__SignalContainerResponse       answer = AGENT__SIGNAL_CONTAINER_RESPONSE__INIT;
    struct container_process            *p      = service_find_process(owner, asked->id, asked->process, pending);
    struct err                           err;

    if (!p)
        return;
    if (container_signal(p, asked->signal, asked->all, &err))
        ttrpc_answer(pending, &answer.base);
    else
        service_refuse(pending, "start", &err);
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

void service_read_output(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__ReadOutputRequest *asked  = (const Agent__ReadOutputRequest *) request;
    struct container_process       *p      = service_find_process(owner, asked->id, asked->process, pending);
    size_t                          stream = asked->stream == AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    struct err                      err;

    if (!p)
        return;
    if ((stream == 0 && asked->stream != AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT) || asked->most == 0 ||
        asked->most > TRANSFER_LEN_MAX) {
        (void) fail_with(&err, ERR_MALFORMED, "wanted stdout or stderr, 1 to %d bytes",
                         TRANSFER_LEN_MAX); /* false is what it returns */
        service_refuse(pending, "start", &err);
    } else if (!is_running_or_done(p)) {
        (void) fail_with(&err, ERR_CONFIG, "container %s is %s", p->container->id,
                         container_state_name(p->container->state)); /* as above */
        service_refuse(pending, "start", &err);
    } else if (ttrpc_is_pending(p->readers[stream])) {
        (void) fail_with(&err, ERR_LIMIT, "another request reads this stream"); /* as above */
        service_refuse(pending, "start", &err);
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
    service_refuse(TAKE(p->writer), "start", &shown);
}

void service_write_input(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__WriteInputRequest *asked = (const Agent__WriteInputRequest *) request;
    struct container_process       *p     = service_find_process(owner, asked->id, asked->process, pending);
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
    service_refuse(pending, "start", &err);
}

static const char deleted[] = "start: it was deleted";

static void on_deleted(void *owner, struct container *c, struct ttrpc_pending pending, const struct err *why)
{
    Agent__DeleteContainerResponse answer = AGENT__DELETE_CONTAINER_RESPONSE__INIT;

    (void) owner;
    (void) why; /* always NULL */
    container_process_dismiss(&c->first, deleted);
    for (size_t i = 0; i < CONTAINER_EXECS_MAX; i++)
        if (c->execs[i])
            container_process_dismiss(c->execs[i], deleted);
    ttrpc_answer(pending, &answer.base);
}

void service_delete_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__DeleteContainerRequest *asked  = (const Agent__DeleteContainerRequest *) request;
    Agent__DeleteContainerResponse       answer = AGENT__DELETE_CONTAINER_RESPONSE__INIT;
    struct container_process            *p      = service_find_process(owner, asked->id, asked->process, pending);
    struct err                           err;

    if (!p)
        return;
    if (p == &p->container->first) {
        if (!container_delete(p->container, on_deleted, pending, &err))
            service_refuse(pending, "start", &err);
        return;
    }
    if (p->has_ended)
        container_process_dismiss(p, deleted);
    if (exec_delete(p, &err))
        ttrpc_answer(pending, &answer.base);
    else
        service_refuse(pending, "start", &err);
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
    service_refuse(pending, "start", &shown);
}

/* Rules of an owner who never heard of another user than the container's do not allow one by allowing an argv. */
static FALLIBLE ask_for_special(struct service *s, const struct container *c, const struct exec_wish *wish, struct err *err)
{
    struct desk_fact facts[] = { { "user", wish->user }, { "cwd", wish->cwd }, { "variable", "" } };

    if (!exec_wish_is_special(wish))
        return true;
    for (size_t i = 0; i < wish->n_env; i++) {
        facts[2].value = wish->env[i];
        if (!desk_ask_rules(s, c, "ExecProcessAs", facts, 3, err))
            return false;
    }
    return wish->n_env > 0 || desk_ask_rules(s, c, "ExecProcessAs", facts, 3, err);
}

/* What policy denies is denied in every state: the answer tells nothing about the container. */
void service_exec_process(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__ExecProcessRequest *asked = (const Agent__ExecProcessRequest *) request;
    struct exec_request              exec  = { asked->process, { asked->args, asked->n_args, asked->terminal, asked->user, asked->cwd, asked->env, asked->n_env } };
    struct container                *c     = service_find(owner, asked->id, pending);
    struct err                       err;

    if (!c)
        return;
    if (!policy_allow_exec(&c->grant, &exec.wish, &err) || !ask_for_special(owner, c, &exec.wish, &err) ||
        !exec_start(c, &exec, on_executed, pending, &err))
        service_refuse(pending, "start", &err);
}

void service_resize_terminal(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__ResizeTerminalRequest *asked  = (const Agent__ResizeTerminalRequest *) request;
    Agent__ResizeTerminalResponse       answer = AGENT__RESIZE_TERMINAL_RESPONSE__INIT;
    struct container_process           *p      = service_find_process(owner, asked->id, asked->process, pending);
    struct err                          err;

    if (!p)
        return;
    if (streams_resize(&p->streams, asked->columns, asked->rows, &err))
        ttrpc_answer(pending, &answer.base);
    else
        service_refuse(pending, "start", &err);
}
