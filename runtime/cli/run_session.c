#include "runtime/cli/run_session.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/file.h"
#include "runtime/cli/debug.h"
#include "runtime/cli/timeline.h"

enum { OUTPUT_BLOCK = 64 << 10 };

#define CONTAINER_ID "main"

struct run {
    const struct run_wishes  *wishes;
    struct loop              *loop;
    struct sandbox           *sandbox;
    struct loop_source        signals;
    struct err                failure;      /* why we end without the workload's exit code */
    bool                      has_failed, has_started, has_exited;
    int                       n_streams;    /* output streams that have not ended */
    int                       exit_code;
    int                       ended_by;     /* a signal that came before the workload ran */
    struct timeline           timeline;
    struct debug_session      debug; /* cloister debug */
};

static void stop(struct run *run)
{
    loop_stop(run->loop);
}

/* Where there is a shell, its end is the end: what goes wrong meanwhile is what somebody wants to look into. */
static void stop_failed(struct run *run, const struct err *why)
{
    if (run->debug.has_shell) {
        fprintf(stderr, "cloister: %s\r\n", why->text);
        return;
    }
    if (!run->has_failed)
        run->failure = *why;
    run->has_failed = true;
    stop(run);
}

/* A request that fails because the guest is gone does not say why it went: the sandbox does, a moment later. */
static void request_failed(struct run *run, const struct err *why)
{
    if (!sandbox_lost_agent(run->sandbox))
        stop_failed(run, why);
}

/* ---- the workload, from created to ended ---- */

/* ---- volumes, which outlive the VM, are closed before it ends ---- */

static void guest_shut_down(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    (void) message;
    (void) why; /* a journal that was not closed is read at the next start */
    stop(owner);
}

static void container_deleted(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run             *run     = owner;
    Agent__ShutdownRequest  request = AGENT__SHUTDOWN_REQUEST__INIT;
    struct err              err;

    (void) message;
    (void) why; /* likewise */
    if (!sandbox_call(run->sandbox, "Shutdown", &request.base, guest_shut_down, run, &err))
        stop(run);
}

static void close_volumes(struct run *run)
{
    Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;
    char                          id[]    = CONTAINER_ID;
    struct err                    err;

    request.id = id;
    sandbox_expect_end(run->sandbox);
    if (!sandbox_call(run->sandbox, "DeleteContainer", &request.base, container_deleted, run, &err))
        stop(run);
}

/* Without volumes the VM is simply ended: nothing in it outlives it. */
static void end_guest(struct run *run)
{
    if (run->debug.has_shell)
        fprintf(stderr, "cloister: the workload ended with code %d\r\n", run->exit_code);
    else if (run->wishes->pod->volumes.n > 0)
        close_volumes(run);
    else
        stop(run);
}

static void timeline_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run *run = owner;

    (void) why; /* without it the timeline has the host's part only */
    if (message)
        timeline_add_guest(&run->timeline, (const Agent__GetTimelineResponse *) message);
    end_guest(run);
}

static void finish(struct run *run)
{
    Agent__GetTimelineRequest request = AGENT__GET_TIMELINE_REQUEST__INIT;
    struct err                err;

    if (!run->wishes->wants_timeline ||
        !sandbox_call(run->sandbox, "GetTimeline", &request.base, timeline_came, run, &err))
        end_guest(run);
}

static FALLIBLE receipt_keep(const struct run *run, const ProtobufCBinaryData *receipt, struct err *err)
{
    return file_write(run->wishes->receipt, (struct bytes){ receipt->data, receipt->len }, 0644, err) || context(err, "config");
}

static void receipt_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run *run = owner;
    struct err  err;

    if (!message)
        request_failed(run, why);
    else if (receipt_keep(run, &((const Agent__GetReceiptResponse *) message)->receipt, &err))
        finish(run);
    else
        stop_failed(run, &err);
}

static void ask_for_receipt(struct run *run)
{
    Agent__GetReceiptRequest request = AGENT__GET_RECEIPT_REQUEST__INIT;
    char                     id[]    = CONTAINER_ID;
    struct err               err;

    request.id    = id;
    request.nonce = (ProtobufCBinaryData){ run->wishes->nonce.len, (uint8_t *) (uintptr_t) run->wishes->nonce.at };
    if (!sandbox_call(run->sandbox, "GetReceipt", &request.base, receipt_came, run, &err))
        request_failed(run, &err);
}

/* All output is out and the exit code is known. */
static void finish_when_all_is_in(struct run *run)
{
    if (!run->has_exited || run->n_streams > 0)
        return;
    timeline_mark(&run->timeline, TIMELINE_EXITED, monotonic_ms());
    if (run->wishes->receipt)
        ask_for_receipt(run);
    else
        finish(run);
}

static void container_exited(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run *run = owner;

    if (!message) {
        request_failed(run, why);
        return;
    }
    run->exit_code  = (int) (((const Agent__WaitContainerResponse *) message)->exit_code & 0xff);
    run->has_exited = true;
    finish_when_all_is_in(run);
}

struct stream {
    struct run         *run;
    Agent__OutputStream which;
    int                 fd;
};

static struct stream streams[2] = { { NULL, AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT, STDOUT_FILENO },
                                    { NULL, AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR, STDERR_FILENO } };

static void output_came(void *owner, const ProtobufCMessage *message, const struct err *why);

static void read_output(struct stream *stream)
{
    Agent__ReadOutputRequest request = AGENT__READ_OUTPUT_REQUEST__INIT;
    char                     id[]    = CONTAINER_ID;
    struct err               err;

    request.id     = id;
    request.stream = stream->which;
    request.most   = OUTPUT_BLOCK;
    if (!sandbox_call(stream->run->sandbox, "ReadOutput", &request.base, output_came, stream, &err))
        stop_failed(stream->run, &err);
}

static void output_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct stream                   *stream   = owner;
    const Agent__ReadOutputResponse *response = (const Agent__ReadOutputResponse *) message;
    struct err                       err;

    if (!response) {
        request_failed(stream->run, why);
        return;
    }
    if (stream->fd >= 0 && !write_all(stream->fd, (struct bytes){ response->data.data, response->data.len }, &err))
        stream->fd = NO_FD; /* the reader left; the workload is drained all the same */
    if (!response->eof) {
        read_output(stream);
        return;
    }
    stream->run->n_streams--;
    finish_when_all_is_in(stream->run);
}

static void container_started(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run                  *run     = owner;
    Agent__WaitContainerRequest  wait    = AGENT__WAIT_CONTAINER_REQUEST__INIT;
    char                         id[]    = CONTAINER_ID;
    struct err                   err;

    if (!message) {
        request_failed(run, why);
        return;
    }
    timeline_mark(&run->timeline, TIMELINE_STARTED, monotonic_ms());
    run->has_started = true;
    wait.id          = id;
    if (!sandbox_call(run->sandbox, "WaitContainer", &wait.base, container_exited, run, &err))
        stop_failed(run, &err);
    for (size_t i = 0; i < 2; i++) {
        streams[i].run = run;
        run->n_streams++;
        read_output(&streams[i]);
    }
}

static void container_created(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct run                   *run     = owner;
    Agent__StartContainerRequest  request = AGENT__START_CONTAINER_REQUEST__INIT;
    char                          id[]    = CONTAINER_ID;
    struct err                    err;

    if (!message) {
        request_failed(run, why);
        return;
    }
    request.id = id;
    if (!sandbox_call(run->sandbox, "StartContainer", &request.base, container_started, run, &err))
        stop_failed(run, &err);
}

/* Whoever wanted a shell is told at once that there is none: the workload is not run for that. */
static void refuse_production_guest(struct run *run)
{
    struct err err;

    (void) fail_with(&err, ERR_CONFIG, "config: this guest is no debug image: nothing in it answers to cloister debug, and nothing can make it; "
                     "a debug image has another initrd and another measurement"); /* only fills the record */
    stop_failed(run, &err);
}

static void guest_is_ready(void *owner)
{
    struct run                    *run     = owner;
    const struct pod              *pod     = run->wishes->pod;
    Agent__CreateContainerRequest  request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    Agent__Volume                  volumes[VOLUME_DISKS_MAX], *at[VOLUME_DISKS_MAX];
    char                           id[]    = CONTAINER_ID;
    struct err                     err;

    if (run->wishes->is_debug && !run->debug.has_shell) {
        refuse_production_guest(run);
        return;
    }
    request.id           = id;
    request.image_digest = (char *) (uintptr_t) pod->manifest;   /* protobuf-c's fields are not const; it only reads them */
    request.image_name   = (char *) (uintptr_t) pod->image_name; /* as above */
    request.args         = pod->args;
    request.n_args       = pod->n_args;
    request.env          = (char **) (uintptr_t) pod->env.at;    /* as above */
    request.n_env        = pod->env.n;
    for (size_t i = 0; i < pod->volumes.n; i++) {
        volumes[i]        = (Agent__Volume) AGENT__VOLUME__INIT;
        volumes[i].path   = (char *) (uintptr_t) pod->volumes.at[i].path; /* as above */
        volumes[i].volume = (char *) (uintptr_t) pod->volumes.at[i].name;
        at[i]             = &volumes[i];
    }
    request.volumes   = at;
    request.n_volumes = pod->volumes.n;
    if (!sandbox_call(run->sandbox, "CreateContainer", &request.base, container_created, run, &err))
        stop_failed(run, &err);
}

static void vm_has_ended(void *owner, const struct err *why)
{
    const struct run *run = owner;

    if (why->kind == ERR_NONE || run->debug.has_shell)
        stop(owner);
    else
        stop_failed(owner, why);
}

/* ---- signals ---- */

static void signal_was_sent(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    (void) owner;
    (void) message;
    (void) why; /* a container that has just ended cannot take it; its exit code is on its way */
}

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct run                   *run     = source->owner;
    Agent__SignalContainerRequest request = AGENT__SIGNAL_CONTAINER_REQUEST__INIT;
    struct signalfd_siginfo       came;
    char                          id[]    = CONTAINER_ID;
    struct err                    err;

    (void) events;
    if (read(source->fd, &came, sizeof came) != sizeof came)
        return;
    if (!run->has_started || run->debug.has_shell) { /* a shell's session is ours to end, not the workload's */
        run->ended_by = (int) came.ssi_signo;
        stop(run);
        return;
    }
    request.id     = id;
    request.signal = came.ssi_signo;
    if (!sandbox_call(run->sandbox, "SignalContainer", &request.base, signal_was_sent, run, &err))
        stop_failed(run, &err);
}

static FALLIBLE watch_signals(struct run *run, struct err *err)
{
    static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

    run->signals = (struct loop_source){ .fd = NO_FD, .ready = signal_came, .owner = run };
    (void) signal(SIGPIPE, SIG_IGN); /* a reader that left is seen where we write */
    return loop_signal_fd(forwarded, sizeof forwarded / sizeof *forwarded, &run->signals.fd, err) &&
           loop_add(run->loop, &run->signals, EPOLLIN, err);
}

static void leave(void *owner)
{
    stop(owner);
}

static FALLIBLE run_sandbox(struct run *run, struct sandbox_options *sandbox, struct err *err)
{
    if (!loop_new(&run->loop, err) || !watch_signals(run, err))
        return context(err, "config");
    sandbox->loop  = run->loop;
    sandbox->ready = guest_is_ready;
    sandbox->ended = vm_has_ended;
    sandbox->owner = run;
    run->debug     = (struct debug_session){ .loop = run->loop, .input.fd = NO_FD, .left = leave, .owner = run };
    if (run->wishes->is_debug) {
        sandbox->console_said  = debug_console_said;
        sandbox->console_owner = &run->debug;
    }
    if (!sandbox_start(sandbox, &run->sandbox, err))
        return false;
    run->debug.sandbox = run->sandbox;
    if (!loop_run(run->loop, err))
        return context(err, "config");
    if (run->wishes->wants_timeline && run->has_exited)
        timeline_print(&run->timeline, sandbox_times(run->sandbox), stderr);
    return true;
}

static void end_run(struct run *run)
{
    debug_session_end(&run->debug);
    sandbox_free(run->sandbox);
    loop_remove(&run->signals);
    auto_fd(&run->signals.fd);
    loop_free(run->loop);
}

FALLIBLE run_session(const struct run_wishes *wishes, struct sandbox_options *sandbox, int *exit_code, struct err *err)
{
    struct run run = { .wishes = wishes };
    bool       ran = run_sandbox(&run, sandbox, err);

    end_run(&run);
    if (ran && run.has_failed) {
        *err = run.failure;
        return false;
    }
    *exit_code = run.ended_by ? 128 + run.ended_by : run.debug.has_shell ? 0 : run.exit_code;
    return ran;
}
