#include "runtime/oci_runtime/guest_process.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "base/file.h"

enum { PIECE_LEN = 64 << 10, N_OUTPUTS = 2 };

struct output {
    struct guest_process *process;
    Agent__OutputStream   stream;
    int                   fd;
    bool                  is_open;
};

/* Freed when it is let go and no answer of the guest is on its way any more. */
struct guest_process {
    struct guest_process_options options;
    char                        *container, *name; /* owned */
    struct output                outputs[N_OUTPUTS];
    struct loop_source           input;
    bool                         input_is_file;   /* which no epoll takes: it is always ready */
    bool                         has_exited, is_over, is_let_go;
    int                          exit_code;
    size_t                       n_calls;         /* whose answers are to come */
};

static void release(struct guest_process *p)
{
    if (!p->is_let_go || p->n_calls > 0)
        return;
    free(p->container);
    free(p->name);
    free(p);
}

static void finish(struct guest_process *p, const struct err *why)
{
    if (p->is_over || p->is_let_go)
        return;
    p->is_over = true;
    loop_remove(&p->input);
    p->options.ended(p->options.owner, p->exit_code, why);
}

static void finish_when_all_is_in(struct guest_process *p)
{
    for (size_t i = 0; i < N_OUTPUTS; i++)
        if (p->outputs[i].is_open)
            return;
    if (p->has_exited)
        finish(p, NULL);
}

static bool call(struct guest_process *p, const char *method, const ProtobufCMessage *request, ttrpc_reply_fn *reply, void *owner)
{
    struct err err;

    p->n_calls++;
    if (p->options.driver->call(p->options.machine, method, request, reply, owner, &err))
        return true;
    p->n_calls--;
    finish(p, &err);
    return false;
}

/* True when the answer still matters. */
static bool answered(struct guest_process *p)
{
    p->n_calls--;
    if (!p->is_let_go && !p->is_over)
        return true;
    release(p);
    return false;
}

/* ---- output ---- */

static void output_came(void *owner, const ProtobufCMessage *message, const struct err *why);

static void read_output(struct output *o)
{
    Agent__ReadOutputRequest request = AGENT__READ_OUTPUT_REQUEST__INIT;

    request.id      = o->process->container;
    request.process = o->process->name;
    request.stream  = o->stream;
    request.most    = PIECE_LEN;
    (void) call(o->process, "ReadOutput", &request.base, output_came, o); /* a failure has ended it */
}

static void output_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct output                   *o      = owner;
    const Agent__ReadOutputResponse *answer = (const Agent__ReadOutputResponse *) message;
    struct err                       err;

    if (!answered(o->process))
        return;
    if (!answer) {
        finish(o->process, why);
        return;
    }
    if (o->fd >= 0 && !write_all(o->fd, (struct bytes){ answer->data.data, answer->data.len }, &err))
        auto_fd(&o->fd), o->fd = NO_FD; /* its reader left: it is drained all the same */
    if (!answer->eof) {
        read_output(o);
        return;
    }
    o->is_open = false;
    auto_fd(&o->fd);
    o->fd = NO_FD;
    finish_when_all_is_in(o->process);
}

static void process_exited(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct guest_process *p = owner;

    if (!answered(p))
        return;
    if (!message) {
        finish(p, why);
        return;
    }
    p->exit_code  = (int) (((const Agent__WaitContainerResponse *) message)->exit_code & 0xff);
    p->has_exited = true;
    finish_when_all_is_in(p);
}

/* ---- input ---- */

static void input_is_ready(struct loop_source *source, uint32_t events);

static void wait_for_input(struct guest_process *p)
{
    struct err err;

    if (p->input.fd < 0)
        return;
    if (!p->input_is_file && !loop_add(p->options.loop, &p->input, EPOLLIN, &err))
        p->input_is_file = true; /* as epoll says of files and of /dev/null */
    if (p->input_is_file)
        input_is_ready(&p->input, EPOLLIN);
}

static void input_written(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct guest_process *p = owner;

    (void) why; /* a process that takes no input any more, or that policy gives none */
    if (!answered(p))
        return;
    if (message)
        wait_for_input(p);
}

/* One piece at a time: what the guest has not taken waits where it is. */
static void input_is_ready(struct loop_source *source, uint32_t events)
{
    struct guest_process    *p       = source->owner;
    Agent__WriteInputRequest request = AGENT__WRITE_INPUT_REQUEST__INIT;
    uint8_t                  piece[PIECE_LEN];
    ssize_t                  n = read(source->fd, piece, sizeof piece);

    (void) events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    loop_remove(source);
    if (n <= 0) {
        auto_fd(&source->fd);
        source->fd = NO_FD;
    }
    request.id      = p->container;
    request.process = p->name;
    request.data    = (ProtobufCBinaryData){ n > 0 ? (size_t) n : 0, piece };
    request.eof     = n <= 0;
    (void) call(p, "WriteInput", &request.base, input_written, p); /* a failure has ended it */
}

/* ---- the whole ---- */

static void begin(struct guest_process *p)
{
    for (size_t i = 0; i < N_OUTPUTS; i++)
        if (p->outputs[i].is_open && !p->is_over)
            read_output(&p->outputs[i]);
    guest_process_resize(p);
    if (!p->is_over)
        wait_for_input(p);
}

void guest_process_new(const struct guest_process_options *options, struct guest_process **out)
{
    Agent__WaitContainerRequest wait = AGENT__WAIT_CONTAINER_REQUEST__INIT;
    struct guest_process       *p    = calloc(1, sizeof *p);

    if (!p || !(p->container = strdup(options->container)) || !(p->name = strdup(options->process)))
        abort();
    *out       = p;
    p->options = *options;
    p->input   = (struct loop_source){ .fd = options->fds[0], .ready = input_is_ready, .owner = p };
    for (size_t i = 0; i < N_OUTPUTS; i++)
        p->outputs[i] = (struct output){ p, i == 0 ? AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT : AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDERR,
                                         options->fds[i + 1], i == 0 || !options->terminal };
    wait.id      = p->container;
    wait.process = p->name;
    p->n_calls++; /* it stays until the end of this function, whoever lets it go */
    if (call(p, "WaitContainer", &wait.base, process_exited, p))
        begin(p);
    p->n_calls--;
    release(p);
}

void guest_process_free(struct guest_process *process)
{
    if (!process)
        return;
    loop_remove(&process->input);
    auto_fd(&process->input.fd);
    for (size_t i = 0; i < N_OUTPUTS; i++)
        auto_fd(&process->outputs[i].fd);
    process->is_let_go = true;
    release(process);
}

static void nothing_to_do(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    (void) message;
    (void) why; /* a process that has just ended takes no signal and has no terminal */
    (void) answered(owner);
}

void guest_process_signal(struct guest_process *process, uint32_t signal)
{
    Agent__SignalContainerRequest request = AGENT__SIGNAL_CONTAINER_REQUEST__INIT;

    request.id      = process->container;
    request.process = process->name;
    request.signal  = signal;
    if (!process->is_over)
        (void) call(process, "SignalContainer", &request.base, nothing_to_do, process); /* a failure has ended it */
}

void guest_process_resize(struct guest_process *process)
{
    Agent__ResizeTerminalRequest request = AGENT__RESIZE_TERMINAL_REQUEST__INIT;
    struct winsize               size;

    if (process->is_over || !process->options.terminal || process->outputs[0].fd < 0 ||
        ioctl(process->outputs[0].fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return;
    request.id      = process->container;
    request.process = process->name;
    request.columns = size.ws_col;
    request.rows    = size.ws_row;
    (void) call(process, "ResizeTerminal", &request.base, nothing_to_do, process); /* as above */
}
