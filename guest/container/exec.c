#include "guest/container/exec.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "guest/container/crun.h"
#include "guest/container/oci.h"

/* "exec-N.kind": short, because one of them is a socket's. */
static void name_of(const struct container_process *p, const char *kind, char out[static 32])
{
    (void) snprintf(out, 32, "exec-%u.%s", p->slot, kind); /* kinds are a few letters */
}

static void exec_path(const struct container_process *p, const char *kind, char out[static CONTAINER_PATH_MAX])
{
    char name[32];

    name_of(p, kind, name);
    container_path(p->container, name, out);
}

static void discard(struct container_process *p)
{
    struct container *c = p->container;

    container_process_dismiss(p, "start: it never ran"); /* of one that has ended nobody waits any more */
    streams_close(&p->streams);
    c->execs[p->slot] = NULL;
    free(p);
}

static void tell(struct container_process *p, const struct err *why)
{
    container_done_fn *done = TAKE(p->done);

    done(containers_options(p->container->all)->owner, p->container, TAKE(p->pending), why);
}

static void on_ended(void *owner, pid_t pid, int status)
{
    struct container_process *p = owner;

    (void) pid;
    p->exit_code = process_exit_code(status);
    p->has_ended = true;
    p->pid       = 0;
    containers_options(p->container->all)->ended(containers_options(p->container->all)->owner, p);
    container_settle(p->container);
}

static struct streams_options streams_of(struct container_process *p)
{
    const struct container          *c   = p->container;
    const struct containers_options *all = containers_options(c->all);

    return (struct streams_options){ .loop = all->loop, .output = c->grant.output, .input = c->grant.input,
                                     .uid = p->uid, .gid = p->gid, .more = all->more, .owner = p };
}

static FALLIBLE take_over(struct container_process *p, struct err *err)
{
    struct streams_options options = streams_of(p);
    char                   name[32];
    pid_t                  pid;

    name_of(p, "pid", name);
    if (p->streams.console >= 0 && !streams_take_terminal(&p->streams, &options, err))
        return false;
    if (!crun_read_pid(p->container, name, &pid, err))
        return false;
    p->pid = pid;
    return reaper_watch(containers_options(p->container->all)->reaper, pid, on_ended, p, err);
}

static void on_started(void *owner, pid_t pid, int status)
{
    struct container_process *p = owner;
    struct container         *c = p->container;
    struct err                err;

    (void) pid;
    if (status == 0 ? take_over(p, &err) : crun_failed(c, &err)) {
        tell(p, NULL);
        container_settle(c); /* it may have ended before this, and the container's deletion have waited for it alone */
        return;
    }
    if (p->pid > 1)
        (void) kill(p->pid, SIGKILL); /* not watched, so not reaped by us yet */
    tell(p, &err);
    discard(p);
    container_settle(c);
}

static const char *text_or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static FALLIBLE find_user(struct container_process *p, const char *wanted, struct user *out, struct err *err)
{
    AUTO(fd) int root = open(container_root(p->container), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (root < 0)
        return err_os(err, "root directory");
    if (!user_find_in(root, wanted, out, err) || !privileges_apply(&p->container->grant.privileges, out, err))
        return false;
    p->uid = out->uid;
    p->gid = out->gid;
    return true;
}

static FALLIBLE write_process(struct container_process *p, const struct exec_wish *wish, struct err *err)
{
    AUTO(buffer) struct buffer json = WIPED_BUFFER;
    char                       path[CONTAINER_PATH_MAX];
    struct user                user;
    struct oci_exec            exec = { wish->args, wish->n_args, wish->terminal, NULL, p->container->grant.privileges,
                                        text_or_null(wish->cwd), wish->env, wish->n_env };

    exec_path(p, "json", path);
    if (text_or_null(wish->user)) {
        if (!find_user(p, wish->user, &user, err))
            return false;
        exec.user = &user;
    }
    return oci_compose_exec(p->container->template, &exec, &json, err) &&
           file_write(path, buffer_bytes(&json), 0600, err);
}

static FALLIBLE start(struct container_process *p, const struct exec_request *request, struct err *err)
{
    char process[CONTAINER_PATH_MAX], pid_file[CONTAINER_PATH_MAX], console[CONTAINER_PATH_MAX];
    const char *const      piped[]    = { "exec", "--detach", "--process", process, "--pid-file", pid_file, NULL };
    const char *const      terminal[] = { "exec", "--detach", "--process", process, "--pid-file", pid_file,
                                          "--console-socket", console, NULL };
    struct streams_options options;
    int                    theirs[3]  = { NO_FD, NO_FD, NO_FD };

    exec_path(p, "json", process);
    exec_path(p, "pid", pid_file);
    exec_path(p, "tty", console);
    (void) unlink(pid_file); /* of an earlier process in the same place */
    if (!write_process(p, &request->wish, err))
        return false;
    AUTO(fd) int null    = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int    none[3] = { null, null, null };
    if (null < 0)
        return err_os(err, "/dev/null");
    options      = streams_of(p); /* whose user is known now */
    bool is_good = request->wish.terminal ? streams_listen(&p->streams, console, err)
                                     : streams_open(&p->streams, &options, theirs, err);
    is_good      = is_good && crun_run(p->container, request->wish.terminal ? terminal : piped,
                                       request->wish.terminal ? none : theirs, on_started, p, err);
    for (int i = 0; i < 3; i++)
        auto_fd(&theirs[i]);
    return is_good;
}

FALLIBLE exec_start(struct container *container, const struct exec_request *request, container_done_fn *done,
                    struct ttrpc_pending pending, struct err *err)
{
    unsigned slot = 0;

    if (!container_id_check(request->id, err))
        return false;
    if (container->state != CONTAINER_RUNNING)
        return fail_with(err, ERR_CONFIG, "container %s is %s", container->id, container_state_name(container->state));
    if (container_process_find(container, request->id))
        return fail_with(err, ERR_CONFIG, "process id %s is in use", request->id);
    while (slot < CONTAINER_EXECS_MAX && container->execs[slot])
        slot++;
    if (slot == CONTAINER_EXECS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d processes were run in the container and not deleted", CONTAINER_EXECS_MAX);

    struct container_process *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    *p = (struct container_process){ .container = container, .slot = slot, .streams = NO_STREAMS, .done = done,
                                     .pending = pending, .uid = container->uid, .gid = container->gid };
    (void) snprintf(p->id, sizeof p->id, "%s", request->id); /* checked above */
    container->execs[slot] = p;
    if (start(p, request, err))
        return true;
    discard(p);
    return false;
}

FALLIBLE exec_delete(struct container_process *process, struct err *err)
{
    if (!process->has_ended)
        return fail_with(err, ERR_CONFIG, "process %s has not ended", process->id);
    discard(process);
    return true;
}

void exec_discard_all(struct container *container)
{
    for (unsigned i = 0; i < CONTAINER_EXECS_MAX; i++)
        if (container->execs[i])
            discard(container->execs[i]);
}
