#include "runtime/oci_runtime/monitor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/oci_runtime/control.h"
#include "runtime/oci_runtime/guest_process.h"
#include "runtime/shim/machine.h"

enum { EXIT_LOST = 137, CLIENTS_MAX = 128, MIB = 1 << 20, HEADROOM_MIB = 64 };

#define CONTAINER "main"

struct monitor;

/* A command that is connected; one that runs a process stays until that ends. */
struct client {
    struct loop_source    source; /* fd NO_FD: free */
    struct monitor       *monitor;
    struct guest_process *process;
    int                   fds[CONTROL_FDS_MAX]; /* until the process has them */
    bool                  terminal, is_asking;
    char                  name[24];
};

struct monitor {
    struct monitor_options *options;
    struct loop            *loop;
    struct machine         *machine;
    struct loop_source      listener, signals;
    struct guest_process   *workload;
    struct client           clients[CLIENTS_MAX];
    unsigned                n_processes; /* that were ever run in it */
    bool                    is_created, is_starting, is_running, is_paused, is_over;
    int                     exit_code;
};

static void stop(struct monitor *m, int exit_code)
{
    if (!m->is_over)
        m->exit_code = exit_code;
    m->is_over = true;
    loop_stop(m->loop);
}

/* ---- create's answer ---- */

static void tell_creator(struct monitor *m, const char *text)
{
    struct err err;

    if (m->options->ready_fd < 0)
        return;
    if (!write_all(m->options->ready_fd, bytes_of_text(text), &err) || !write_all(m->options->ready_fd, bytes_of_text("\n"), &err))
        stop(m, EXIT_LOST); /* nobody waits for this container */
    auto_fd(&m->options->ready_fd);
    m->options->ready_fd = NO_FD;
}

static void give_up(struct monitor *m, const struct err *why)
{
    tell_creator(m, why->text);
    stop(m, EXIT_LOST);
}

static void container_created(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct monitor *m = owner;

    if (!message) {
        give_up(m, why);
        return;
    }
    m->is_created = true;
    tell_creator(m, "");
}

/* Host names are a DNS label in the guest; a name that is none is left to the guest. */
static bool is_label(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static void guest_is_ready(void *owner)
{
    struct monitor                *m       = owner;
    const struct container_spec   *spec    = m->options->spec;
    Agent__CreateContainerRequest  request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    char                           id[] = CONTAINER, none[] = "";
    struct rights_room             rights;
    struct err                     err;

    container_rights_ask(&spec->rights, NULL, &rights, &request);
    request.id           = id;
    request.image_digest = (char *) (uintptr_t) m->options->manifest;   /* written to the wire only */
    request.image_name   = (char *) (uintptr_t) m->options->image_name; /* as above */
    request.args         = spec->process.args;
    request.n_args       = spec->process.n_args;
    request.env          = spec->process.env;
    request.n_env        = spec->process.n_env;
    request.terminal     = spec->process.terminal;
    request.is_whole     = true;
    request.hostname     = is_label(spec->hostname) ? (char *) (uintptr_t) spec->hostname : none; /* as above */
    if (m->options->files) {
        request.files   = m->options->files->files_at;
        request.n_files = m->options->files->n_alone;
    }
    if (!m->options->driver->call(m->machine, "CreateContainer", &request.base, container_created, m, &err))
        give_up(m, &err);
}

static void machine_ended(void *owner, const struct err *why)
{
    give_up(owner, why);
}

/* ---- commands ---- */

static void hang_up(struct client *c)
{
    loop_remove(&c->source);
    auto_fd(&c->source.fd);
    c->source.fd = NO_FD;
    guest_process_free(TAKE(c->process));
    for (size_t i = 0; i < CONTROL_FDS_MAX; i++) {
        auto_fd(&c->fds[i]);
        c->fds[i] = NO_FD;
    }
}

static void answer(struct client *c, const char *name, struct json_object *value_take)
{
    AUTO(json) struct json_object *message = json_object_new_object();
    struct err                     err;

    json_add(message, name, value_take);
    if (!control_send(c->source.fd, message, NULL, 0, &err))
        hang_up(c); /* it does not wait for an answer any more */
}

static void refuse(struct client *c, const char *why)
{
    answer(c, "error", json_object_new_string(why));
}

static const char *status_of(const struct monitor *m)
{
    return m->is_paused ? "paused" : m->is_running ? "running" : "created";
}

static void workload_ended(void *owner, int exit_code, const struct err *why)
{
    stop(owner, why ? EXIT_LOST : exit_code);
}

/* The client may have hung up meanwhile: its place may be another's, or nobody's. */
static struct client *still_asking(struct client *c)
{
    bool asked = c->source.fd >= 0 && c->is_asking;

    c->is_asking = false;
    return asked ? c : NULL;
}

static void workload_started(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct client               *c = owner;
    struct monitor              *m = c->monitor;
    struct guest_process_options options = { .loop = m->loop, .driver = m->options->driver, .machine = m->machine, .container = CONTAINER, .process = "",
                                             .terminal = m->options->spec->process.terminal, .ended = workload_ended, .owner = m };

    c = still_asking(c);
    if (!message) {
        if (c)
            refuse(c, why->text);
        stop(m, 127);
        return;
    }
    for (size_t i = 0; i < 3; i++)
        options.fds[i] = TAKE_FD(m->options->fds[i]);
    m->is_starting = false;
    m->is_running  = true;
    if (c)
        answer(c, "ok", json_object_new_boolean(true));
    guest_process_new(&options, &m->workload);
}

static void do_start(struct client *c, struct json_object *request)
{
    Agent__StartContainerRequest start = AGENT__START_CONTAINER_REQUEST__INIT;
    struct monitor              *m     = c->monitor;
    char                         id[]  = CONTAINER;
    struct err                   err;

    (void) request;
    start.id = id;
    if (!m->is_created || m->is_starting || m->is_running) {
        refuse(c, m->is_starting ? "the container is being started" : m->is_running ? "the container is running" : "the container is being created");
        return;
    }
    m->is_starting = true;
    c->is_asking   = true;
    if (!m->options->driver->call(m->machine, "StartContainer", &start.base, workload_started, c, &err)) {
        m->is_starting = c->is_asking = false;
        refuse(c, err.text);
    }
}

static void do_state(struct client *c, struct json_object *request)
{
    (void) request;
    answer(c, "status", json_object_new_string(status_of(c->monitor)));
}

/* A container that was not started has nothing to signal: what would end it ends it. */
static void do_kill(struct client *c, struct json_object *request)
{
    struct monitor *m = c->monitor;
    uint64_t        signal_wanted;
    struct err      err;

    if (!json_get_u64(request, "signal", 64, &signal_wanted, &err) || signal_wanted == 0) {
        refuse(c, "a signal from 1 to 64 is wanted");
        return;
    }
    answer(c, "ok", json_object_new_boolean(true));
    if (m->is_paused && signal_wanted == SIGKILL)
        stop(m, 128 + SIGKILL); /* a guest that stands still would not hear it */
    else if (m->workload)
        guest_process_signal(m->workload, (uint32_t) signal_wanted);
    else if (signal_wanted == SIGKILL || signal_wanted == SIGTERM)
        stop(m, 128 + (int) signal_wanted);
}

/* All of the VM stands still: its virtual processors are threads of this process. */
static void set_paused(struct client *c, bool paused)
{
    struct monitor *m = c->monitor;
    pid_t           vmm, platform;

    if (!m->is_running || m->is_paused == paused) {
        refuse(c, paused ? "the container is not running" : "the container is not paused");
        return;
    }
    m->options->driver->processes(m->machine, &vmm, &platform);
    if (vmm <= 0 || kill(vmm, paused ? SIGSTOP : SIGCONT) < 0) {
        refuse(c, "the VM cannot be signalled");
        return;
    }
    m->is_paused = paused;
    answer(c, "ok", json_object_new_boolean(true));
}

static void do_pause(struct client *c, struct json_object *request)
{
    (void) request;
    set_paused(c, true);
}

static void do_resume(struct client *c, struct json_object *request)
{
    (void) request;
    set_paused(c, false);
}

static void process_ended(void *owner, int exit_code, const struct err *why)
{
    struct client *c = owner;

    answer(c, "exit", json_object_new_int(why ? EXIT_LOST : exit_code));
    hang_up(c);
}

static void process_started(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct client               *c = owner;
    struct monitor              *m = c->monitor;
    struct guest_process_options options = { .loop = m->loop, .driver = m->options->driver, .machine = m->machine, .container = CONTAINER, .process = c->name,
                                             .terminal = c->terminal, .ended = process_ended, .owner = c };

    if (!still_asking(c))
        return;
    if (!message) {
        refuse(c, why->text);
        return;
    }
    for (size_t i = 0; i < 3; i++)
        options.fds[i] = TAKE_FD(c->fds[i]);
    answer(c, "ok", json_object_new_boolean(true));
    if (c->source.fd >= 0)
        guest_process_new(&options, &c->process);
}

static void do_exec(struct client *c, struct json_object *request)
{
    Agent__ExecProcessRequest     exec   = AGENT__EXEC_PROCESS_REQUEST__INIT;
    AUTO(json) struct json_object *document = NULL;
    struct process_spec            process = { 0 };
    AUTO(process_room) struct process_room room = { .env = NULL };
    struct monitor                *m       = c->monitor;
    const char                    *text;
    char                           id[] = CONTAINER;
    struct err                     err;

    if (!m->is_running || m->is_paused || c->process || c->is_asking) {
        refuse(c, "the container is not running");
        return;
    }
    if (!json_get_text(request, "process", &text, &err) || !process_spec_read(bytes_of_text(text), &document, &process, &err)) {
        refuse(c, err.text);
        return;
    }
    (void) snprintf(c->name, sizeof c->name, "exec-%u", ++m->n_processes); /* fits */
    c->terminal   = process.terminal;
    exec.id       = id;
    exec.process  = c->name;
    process_spec_ask(&m->options->spec->process, &process, &room, &exec);
    c->is_asking  = true;
    if (!m->options->driver->call(m->machine, "ExecProcess", &exec.base, process_started, c, &err)) {
        c->is_asking = false;
        refuse(c, err.text);
    }
    process_spec_free(&process);
}

static void do_signal(struct client *c, struct json_object *request)
{
    uint64_t   signal_wanted;
    struct err err;

    if (!c->process || !json_get_u64(request, "signal", 64, &signal_wanted, &err))
        return;
    if (signal_wanted == SIGWINCH)
        guest_process_resize(c->process);
    else
        guest_process_signal(c->process, (uint32_t) signal_wanted);
}

static void stats_came(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    const Agent__StatsContainerResponse *stats = (const Agent__StatsContainerResponse *) message;
    struct client                       *c     = still_asking(owner);

    if (!c)
        return;
    if (!stats) {
        refuse(c, why->text);
        return;
    }
    struct json_object *data = json_object_new_object(), *cpu = json_object_new_object(), *usage = json_object_new_object();
    struct json_object *memory = json_object_new_object(), *memory_usage = json_object_new_object(), *pids = json_object_new_object();

    json_add(usage, "total", json_object_new_uint64(stats->cpu_usage_us * 1000));
    json_add(usage, "kernel", json_object_new_uint64(stats->cpu_system_us * 1000));
    json_add(usage, "user", json_object_new_uint64(stats->cpu_user_us * 1000));
    json_add(cpu, "usage", usage);
    json_add(memory_usage, "usage", json_object_new_uint64(stats->memory_bytes));
    json_add(memory_usage, "limit", json_object_new_uint64(stats->memory_limit_bytes));
    json_add(memory, "usage", memory_usage);
    json_add(pids, "current", json_object_new_uint64(stats->processes));
    json_add(pids, "limit", json_object_new_uint64(stats->processes_limit));
    json_add(data, "cpu", cpu);
    json_add(data, "memory", memory);
    json_add(data, "pids", pids);
    answer(c, "stats", data);
}

static void do_stats(struct client *c, struct json_object *request)
{
    Agent__StatsContainerRequest stats = AGENT__STATS_CONTAINER_REQUEST__INIT;
    char                         id[]  = CONTAINER;
    struct err                   err;

    (void) request;
    stats.id     = id;
    c->is_asking = true;
    if (!c->monitor->is_running || !c->monitor->options->driver->call(c->monitor->machine, "StatsContainer", &stats.base, stats_came, c, &err)) {
        c->is_asking = false;
        refuse(c, "the container is not running");
    }
}

static const struct verb {
    const char *name;
    void      (*act)(struct client *c, struct json_object *request);
} verbs[] = {
    { "start", do_start }, { "state", do_state },   { "kill", do_kill },     { "pause", do_pause },
    { "resume", do_resume }, { "exec", do_exec },   { "signal", do_signal }, { "stats", do_stats },
};

static void client_says(struct loop_source *source, uint32_t events)
{
    struct client                 *c       = source->owner;
    AUTO(json) struct json_object *request = NULL;
    int                            fds[CONTROL_FDS_MAX];
    const char                    *name;
    struct err                     err;

    (void) events;
    if (!control_receive(source->fd, &request, fds, &err)) {
        if (c->process)
            guest_process_signal(c->process, SIGKILL); /* whoever stood for it is gone */
        hang_up(c);
        return;
    }
    for (size_t i = 0; i < CONTROL_FDS_MAX; i++) {
        auto_fd(&c->fds[i]);
        c->fds[i] = fds[i];
    }
    for (size_t i = 0; json_get_text(request, "do", &name, &err) && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0) {
            verbs[i].act(c, request);
            return;
        }
    refuse(c, "no such request");
}

static void client_came(struct loop_source *source, uint32_t events)
{
    struct monitor *m  = source->owner;
    AUTO(fd) int    fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
    struct err      err;

    (void) events;
    for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
        struct client *c = &m->clients[i];

        if (c->source.fd >= 0 || c->is_asking)
            continue;
        *c = (struct client){ .source = { .fd = TAKE_FD(fd), .ready = client_says, .owner = c }, .monitor = m, .fds = { NO_FD, NO_FD, NO_FD } };
        if (!loop_add(m->loop, &c->source, EPOLLIN, &err))
            hang_up(c);
    }
}

/* ---- signals to the process that stands for the container ---- */

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct monitor         *m = source->owner;
    struct signalfd_siginfo came;

    (void) events;
    if (read(source->fd, &came, sizeof came) != sizeof came)
        return;
    if (m->workload && came.ssi_signo == SIGWINCH)
        guest_process_resize(m->workload);
    else if (m->workload)
        guest_process_signal(m->workload, came.ssi_signo);
    else if (came.ssi_signo == SIGTERM || came.ssi_signo == SIGINT)
        stop(m, 128 + (int) came.ssi_signo);
}

static FALLIBLE watch(struct monitor *m, struct err *err)
{
    static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGCONT };
    int              listener;

    (void) signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    if (!loop_new(&m->loop, err) || !loop_signal_fd(forwarded, sizeof forwarded / sizeof *forwarded, &m->signals.fd, err) ||
        !control_listen(m->options->folder, &listener, err))
        return false;
    m->signals.ready = signal_came;
    m->signals.owner = m;
    m->listener      = (struct loop_source){ .fd = listener, .ready = client_came, .owner = m };
    return loop_add(m->loop, &m->signals, EPOLLIN, err) && loop_add(m->loop, &m->listener, EPOLLIN, err);
}

/* ---- the VM, and an empty root ---- */

static unsigned memory_of(const struct monitor_options *o)
{
    uint64_t asked = o->spec->limits.memory_bytes / MIB + (o->spec->limits.memory_bytes ? HEADROOM_MIB : 0);
    uint64_t whole = o->settings->memory_mib + asked;

    return (unsigned) (whole < o->settings->memory_most_mib ? whole : o->settings->memory_most_mib);
}

static FALLIBLE start_machine(struct monitor *m, struct err *err)
{
    const struct monitor_options *o       = m->options;
    struct machine_options        machine = { .loop = m->loop, .settings = o->settings, .cpus = (unsigned) o->settings->cpus,
                                              .memory_mib = memory_of(o), .initdata = o->initdata, .blobs = o->layout,
                                              .network = o->spec->network, .ready = guest_is_ready, .ended = machine_ended, .owner = m };

    return o->driver->start(&machine, &m->machine, err);
}

/* After the VM has started: it keeps the mounts that it was started with. */
static FALLIBLE leave_the_host(struct err *err)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("empty", "/tmp", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") < 0 || chdir("/tmp") < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return err_os(err, "leave the host's mounts");
    return true;
}

static void close_all(struct monitor *m)
{
    guest_process_free(TAKE(m->workload));
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        hang_up(&m->clients[i]);
    if (m->machine)
        m->options->driver->free(m->machine);
    loop_remove(&m->listener);
    loop_remove(&m->signals);
    auto_fd(&m->listener.fd);
    auto_fd(&m->signals.fd);
    loop_free(m->loop);
    for (size_t i = 0; i < 3; i++)
        auto_fd(&m->options->fds[i]);
}

int monitor_run(struct monitor_options *options)
{
    static struct monitor monitor; /* of the whole life of the process */
    struct monitor       *m = &monitor;
    struct err            err;

    m->options = options;
    m->listener.fd = m->signals.fd = NO_FD;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        m->clients[i] = (struct client){ .source.fd = NO_FD, .fds = { NO_FD, NO_FD, NO_FD } };
    if (!watch(m, &err) || !start_machine(m, &err) || !leave_the_host(&err) || !loop_run(m->loop, &err))
        give_up(m, &err);
    int exit_code = m->exit_code;
    close_all(m);
    return exit_code;
}

int signal_number(const char *name)
{
    char *end;
    long  number = strtol(name, &end, 10);

    if (*name && !*end)
        return number > 0 && number <= 64 ? (int) number : 0;
    name += strncmp(name, "SIG", 3) == 0 ? 3 : 0;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), name) == 0)
            return i;
    return 0;
}
