/*
 * A VM for tests and benchmarks of the shim that only answers: containers are numbers in a table, output is a line, an
 * end comes with a signal. Its answers come from the loop, later, as a guest's do. No guest is judged by it.
 */
#pragma once

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "runtime/shim/machine.h"

enum { NULL_PROCESSES = 64, NULL_REPLIES = 256 };

struct null_process {
    char            id[140], exec[140]; /* "" id: free */
    bool            runs, has_ended, is_read[2];
    uint32_t        exit_code;
    ttrpc_reply_fn *waiter;
    void           *waiter_owner;
};

struct null_reply {
    ttrpc_reply_fn   *reply;
    void             *owner;
    ProtobufCMessage *message; /* NULL: a refusal */
    struct err        why;
};

struct machine {
    struct machine_options options;
    struct loop_source     wake;
    bool                   is_ready, is_lost;
    struct null_process    processes[NULL_PROCESSES];
    struct null_reply      replies[NULL_REPLIES];
    size_t                 n_replies;
};

/* What the next machine does, and what the last one was asked. Test programs have one thread. */
static struct {
    const char     *refuses;  /* a method whose calls are refused */
    const char     *holds;    /* a method whose calls are never answered */
    bool            never_ready;
    bool            runs_out_of_memory; /* whatever ends, ends for want of it */
    struct machine *last;     /* NULL: it was freed */
    unsigned        started, freed;
    char            asked[4096];
    struct buffer   input;
} null_machines __attribute__((unused));

static inline void null_wake(struct machine *m)
{
    static const uint64_t one = 1;

    if (write(m->wake.fd, &one, sizeof one) != sizeof one)
        abort();
}

static inline ProtobufCMessage *null_copy(const ProtobufCMessage *message)
{
    AUTO(buffer) struct buffer wire = { 0 };
    ProtobufCMessage          *copy = NULL;
    struct err                 err;

    message_append(&wire, message);
    if (!message_read(message->descriptor, buffer_bytes(&wire), MESSAGE_EXACT, &copy, &err))
        abort();
    return copy;
}

static inline void null_tell(struct machine *m, ttrpc_reply_fn *reply, void *owner, const ProtobufCMessage *message,
                             const char *why)
{
    struct null_reply *r = &m->replies[m->n_replies];

    if (m->n_replies == NULL_REPLIES)
        abort();
    *r = (struct null_reply){ reply, owner, message ? null_copy(message) : NULL, { .kind = ERR_DENIED } };
    (void) snprintf(r->why.text, sizeof r->why.text, "%s", why ? why : ""); /* cut is fine */
    m->n_replies++;
    null_wake(m);
}

static inline void null_on_wake(struct loop_source *source, uint32_t events)
{
    struct machine *m = source->owner;
    uint64_t        n;

    (void) events;
    if (read(source->fd, &n, sizeof n) != sizeof n)
        return;
    if (!m->is_ready && !null_machines.never_ready) {
        m->is_ready = true;
        m->options.ready(m->options.owner);
    }
    while (m->n_replies > 0) {
        struct null_reply first = m->replies[0];

        memmove(m->replies, m->replies + 1, --m->n_replies * sizeof m->replies[0]);
        first.reply(first.owner, first.message, &first.why);
        message_free(first.message);
    }
}

static inline bool null_start(const struct machine_options *options, struct machine **out, struct err *err)
{
    struct machine *m = calloc(1, sizeof *m);

    if (!m)
        abort();
    m->options = *options;
    m->wake    = (struct loop_source){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = null_on_wake, .owner = m };
    if (!loop_add(options->loop, &m->wake, EPOLLIN, err)) {
        free(m);
        return false;
    }
    null_machines.last = *out = m;
    null_machines.started++;
    null_wake(m);
    return true;
}

static inline struct null_process *null_find(struct machine *m, const char *id, const char *exec)
{
    for (size_t i = 0; i < NULL_PROCESSES; i++)
        if (m->processes[i].id[0] && strcmp(m->processes[i].id, id) == 0 && strcmp(m->processes[i].exec, exec) == 0)
            return &m->processes[i];
    return NULL;
}

static inline struct null_process *null_add(struct machine *m, const char *id, const char *exec)
{
    for (size_t i = 0; i < NULL_PROCESSES; i++)
        if (!m->processes[i].id[0]) {
            struct null_process *p = &m->processes[i];

            *p = (struct null_process){ 0 };
            (void) snprintf(p->id, sizeof p->id, "%s", id);
            (void) snprintf(p->exec, sizeof p->exec, "%s", exec);
            return p;
        }
    abort();
}

static inline void null_exit(struct machine *m, struct null_process *p, uint32_t code)
{
    Agent__WaitContainerResponse answer = AGENT__WAIT_CONTAINER_RESPONSE__INIT;

    p->has_ended     = true;
    p->runs          = false;
    p->exit_code     = code;
    answer.exit_code = code;
    answer.ran_out_of_memory = null_machines.runs_out_of_memory;
    if (p->waiter)
        null_tell(m, p->waiter, p->waiter_owner, &answer.base, NULL);
    p->waiter = NULL;
}

static inline void null_read(struct machine *m, const Agent__ReadOutputRequest *asked, ttrpc_reply_fn *reply, void *owner)
{
    Agent__ReadOutputResponse answer = AGENT__READ_OUTPUT_RESPONSE__INIT;
    struct null_process      *p      = null_find(m, asked->id, asked->process);
    size_t                    which  = asked->stream == AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    static uint8_t            line[] = "out\n";

    answer.eof = !p || p->is_read[which];
    if (!answer.eof && which == 0)
        answer.data = (ProtobufCBinaryData){ 4, line };
    else
        answer.eof = true;
    if (p)
        p->is_read[which] = true;
    null_tell(m, reply, owner, &answer.base, NULL);
}

static inline bool null_call(struct machine *m, const char *method, const ProtobufCMessage *request,
                             ttrpc_reply_fn *reply, void *owner, struct err *err)
{
    Agent__CreateContainerResponse empty = AGENT__CREATE_CONTAINER_RESPONSE__INIT;
    Agent__StatsContainerResponse  stats = AGENT__STATS_CONTAINER_RESPONSE__INIT;
    size_t                         len   = strlen(null_machines.asked);

    (void) err;
    (void) snprintf(null_machines.asked + len, sizeof null_machines.asked - len, "%s ", method); /* cut is fine */
    if (null_machines.refuses && strcmp(method, null_machines.refuses) == 0) {
        null_tell(m, reply, owner, NULL, "start: policy says no");
        return true;
    }
    if (null_machines.holds && strcmp(method, null_machines.holds) == 0)
        return true;
    if (strcmp(method, "CreateContainer") == 0) {
        null_add(m, ((const Agent__CreateContainerRequest *) request)->id, "");
    } else if (strcmp(method, "StartContainer") == 0) {
        null_find(m, ((const Agent__StartContainerRequest *) request)->id, "")->runs = true;
    } else if (strcmp(method, "ExecProcess") == 0) {
        const Agent__ExecProcessRequest *asked = (const Agent__ExecProcessRequest *) request;

        null_add(m, asked->id, asked->process)->runs = true;
    } else if (strcmp(method, "WaitContainer") == 0) {
        const Agent__WaitContainerRequest *asked = (const Agent__WaitContainerRequest *) request;
        struct null_process               *p     = null_find(m, asked->id, asked->process);

        p->waiter       = reply;
        p->waiter_owner = owner;
        return true;
    } else if (strcmp(method, "ReadOutput") == 0) {
        null_read(m, (const Agent__ReadOutputRequest *) request, reply, owner);
        return true;
    } else if (strcmp(method, "WriteInput") == 0) {
        const Agent__WriteInputRequest *asked = (const Agent__WriteInputRequest *) request;

        buffer_append(&null_machines.input, (struct bytes){ asked->data.data, asked->data.len });
    } else if (strcmp(method, "SignalContainer") == 0) {
        const Agent__SignalContainerRequest *asked = (const Agent__SignalContainerRequest *) request;

        null_exit(m, null_find(m, asked->id, asked->process), 128 + asked->signal);
    } else if (strcmp(method, "DeleteContainer") == 0) {
        const Agent__DeleteContainerRequest *asked = (const Agent__DeleteContainerRequest *) request;
        struct null_process                 *p     = null_find(m, asked->id, asked->process);

        if (p)
            p->id[0] = 0;
    } else if (strcmp(method, "StatsContainer") == 0) {
        stats.memory_bytes = 4096;
        null_tell(m, reply, owner, &stats.base, NULL);
        return true;
    }
    null_tell(m, reply, owner, &empty.base, NULL); /* the shim looks at none of the empty answers */
    return true;
}

static inline bool null_lend(struct machine *m, const char *name, int fd, struct err *err)
{
    size_t len = strlen(null_machines.asked);

    (void) m;
    (void) fd;
    (void) err;
    (void) snprintf(null_machines.asked + len, sizeof null_machines.asked - len, "lend:%s ", name); /* cut is fine */
    return true;
}

static inline bool null_is_lost(const struct machine *m)
{
    return m->is_lost;
}

static inline void null_processes_of(const struct machine *m, pid_t *vmm, pid_t *platform)
{
    (void) m;
    *vmm = *platform = 0;
}

static inline void null_free(struct machine *m)
{
    loop_remove(&m->wake);
    (void) close(m->wake.fd);
    for (size_t i = 0; i < m->n_replies; i++)
        message_free(m->replies[i].message);
    free(m);
    null_machines.last = NULL;
    null_machines.freed++;
}

static const struct machine_driver null_machine __attribute__((unused)) = {
    .start = null_start, .call = null_call, .lend = null_lend, .is_lost = null_is_lost, .processes = null_processes_of, .free = null_free
};
