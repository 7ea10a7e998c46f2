#include "guest/container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "guest/container/oci.h"

enum { PATH_LEN_MAX = 256 };

struct containers {
    struct containers_options options;
    struct container         *live[CONTAINERS_MAX];
    char                      used[CONTAINER_IDS_MAX][CONTAINER_ID_MAX + 1]; /* every id there ever was */
    size_t                    n_used;
    char                      path[PATH_LEN_MAX]; /* the one that container_root returned last */
};

const char *container_state_name(enum container_state state)
{
    static const char *const names[] = {
        [CONTAINER_NEW] = "being created",      [CONTAINER_CREATING] = "being created",
        [CONTAINER_CREATED] = "created",        [CONTAINER_STARTING] = "being started",
        [CONTAINER_RUNNING] = "running",        [CONTAINER_STOPPED] = "stopped",
        [CONTAINER_DELETING] = "being deleted",
    };

    return names[state];
}

FALLIBLE containers_new(const struct containers_options *options, struct containers **out, struct err *err)
{
    struct containers *all;

    if (!directory_make(options->directory, err))
        return false;
    all = calloc(1, sizeof *all);
    if (!all)
        abort();
    all->options = *options;
    *out         = all;
    return true;
}

struct container *containers_find(struct containers *all, const char *id)
{
    for (size_t i = 0; i < CONTAINERS_MAX; i++)
        if (all->live[i] && strcmp(all->live[i]->id, id) == 0)
            return all->live[i];
    return NULL;
}

size_t containers_count(const struct containers *all)
{
    size_t n = 0;

    for (size_t i = 0; i < CONTAINERS_MAX; i++)
        n += all->live[i] != NULL;
    return n;
}

static FALLIBLE check_id(const struct containers *all, const char *id, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t            len       = strnlen(id, CONTAINER_ID_MAX + 1);

    if (len == 0 || len > CONTAINER_ID_MAX || id[0] == '-' || strspn(id, letters) != len)
        return fail_with(err, ERR_MALFORMED, "container id: wanted 1 to %d of a-z, 0-9 and, not first, -",
                         CONTAINER_ID_MAX);
    for (size_t i = 0; i < all->n_used; i++)
        if (strcmp(all->used[i], id) == 0)
            return fail_with(err, ERR_DENIED, "container id %s was used before", id);
    if (all->n_used == CONTAINER_IDS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d containers in the life of one guest", CONTAINER_IDS_MAX);
    return true;
}

/* "directory/id/name"; sized for the longest id. */
static void path_of(const struct container *c, const char *name, char out[static PATH_LEN_MAX])
{
    (void) snprintf(out, PATH_LEN_MAX, "%s/%s/%s", c->all->options.directory, c->id, name); /* cut, it is not found */
}

const char *container_root(const struct container *container)
{
    path_of(container, "rootfs", container->all->path);
    return container->all->path;
}

FALLIBLE containers_add(struct containers *all, const char *id, struct policy_grant grant, struct container **out,
                        struct err *err)
{
    struct container **slot = NULL;

    if (!check_id(all, id, err))
        return false;
    for (size_t i = 0; i < CONTAINERS_MAX && !slot; i++)
        slot = all->live[i] ? NULL : &all->live[i];
    if (!slot)
        return fail_with(err, ERR_LIMIT, "over %d containers at once", CONTAINERS_MAX);

    struct container *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    (void) snprintf(c->id, sizeof c->id, "%s", id);                               /* checked above */
    (void) snprintf(all->used[all->n_used++], sizeof all->used[0], "%s", id);     /* likewise */
    c->all   = all;
    c->grant = grant;
    c->input = NO_INPUT;
    for (int i = 0; i < CONTAINER_STREAMS; i++)
        c->outputs[i] = NO_OUTPUT;
    if (!directory_make(container_root(c), err)) {
        free(c);
        return false;
    }
    *slot = c;
    *out  = c;
    return true;
}

void container_discard(struct container *container)
{
    struct containers *all = container->all;
    char               path[PATH_LEN_MAX];
    struct err         ignored;

    path_of(container, "", path);
    (void) !directory_remove(path, &ignored); /* what stays behind is memory of a guest that will end */
    for (int i = 0; i < CONTAINER_STREAMS; i++)
        output_close(&container->outputs[i]);
    input_close(&container->input);
    for (size_t i = 0; i < CONTAINERS_MAX; i++)
        if (all->live[i] == container)
            all->live[i] = NULL;
    free(container);
}

/* The last line of what crun logged, escaped: of the form "TIME: what". */
static void crun_reason(const struct container *c, struct buffer *out)
{
    AUTO(buffer) struct buffer log = { 0 };
    char                       path[PATH_LEN_MAX];
    struct err                 ignored;

    path_of(c, "crun.log", path);
    if (!file_read(path, CRUN_LOG_MAX, &log, &ignored) || log.len == 0) {
        buffer_append_text(out, "no reason given");
        return;
    }
    while (log.len > 0 && log.at[log.len - 1] == '\n')
        log.len--;
    const uint8_t *line  = log.len ? memrchr(log.at, '\n', log.len) : NULL;
    size_t         begin = line ? (size_t) (line - log.at) + 1 : 0;
    printable_append(out, (struct bytes){ log.at + begin, log.len - begin }, 160);
}

static void tell(struct container *c, const struct err *why)
{
    container_done_fn   *done    = TAKE(c->done);
    struct ttrpc_pending pending = TAKE(c->pending);

    done(c->all->options.owner, c, pending, why);
}

/* `crun_verb` and its options end with NULL; `fds` become 0, 1 and 2 of crun and so of the container. */
static FALLIBLE run_crun(struct container *c, const char *const *verb, const int *fds, reaper_ended_fn *ended,
                         struct err *err)
{
    static const char *const environment[] = { "PATH=/bin", NULL };
    char                     log_option[PATH_LEN_MAX + 16], log_path[PATH_LEN_MAX];
    const char              *argv[16] = { c->all->options.crun, "--root", "/run/crun", "--cgroup-manager=cgroupfs",
                                          log_option };
    struct process_fd        places[] = { { fds[0], 0 }, { fds[1], 1 }, { fds[2], 2 } };
    struct process_options   options  = { .argv = argv, .environment = environment, .fds = places, .n_fds = 3,
                                          .directory = "/" };
    struct process           process  = NO_PROCESS;
    size_t                   n        = 5;

    path_of(c, "crun.log", log_path);
    (void) snprintf(log_option, sizeof log_option, "--log=file:%s", log_path); /* sized for it */
    while (*verb && n < sizeof argv / sizeof *argv - 2)
        argv[n++] = *verb++;
    argv[n++] = c->id;
    if (!process_start(&options, &process, err))
        return false;
    (void) close(process.pidfd); /* the reaper watches by number, which is ours until it is reaped */
    if (reaper_watch(c->all->options.reaper, process.pid, ended, c, err))
        return true;
    (void) kill(process.pid, SIGKILL); /* not reaped yet: the number is still its own */
    return false;
}

static FALLIBLE wrong_state(const struct container *c, struct err *err)
{
    return fail_with(err, ERR_CONFIG, "container %s is %s", c->id, container_state_name(c->state));
}

/* Both are over: crun's work, and the first process, which may be reaped after it. */
static void finish_delete(struct container *c)
{
    tell(c, NULL);
    container_discard(c);
}

static void on_init_ended(void *owner, pid_t pid, int status)
{
    struct container *c = owner;

    (void) pid;
    c->exit_code = process_exit_code(status);
    c->has_ended = true;
    c->pid       = 0;
    if (c->state == CONTAINER_RUNNING || c->state == CONTAINER_CREATED)
        c->state = CONTAINER_STOPPED;
    c->all->options.ended(c->all->options.owner, c);
    if (c->is_deleted)
        finish_delete(c);
}

static FALLIBLE read_pid(const struct container *c, pid_t *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[PATH_LEN_MAX];
    char                      *end = NULL;

    path_of(c, "pid", path);
    if (!file_read(path, 32, &text, err))
        return false;
    long pid = strtol(buffer_text(&text), &end, 10);
    if (pid <= 1 || pid > INT32_MAX || (*end && *end != '\n'))
        return fail_with(err, ERR_BUG, "crun wrote no process number");
    *out = (pid_t) pid;
    return true;
}

static void on_created(void *owner, pid_t pid, int status)
{
    struct container          *c      = owner;
    AUTO(buffer) struct buffer reason = { 0 };
    struct err                 err;

    (void) pid;
    if (status != 0) {
        crun_reason(c, &reason);
        (void) fail_with(&err, ERR_OS, "%s", buffer_text(&reason)); /* false is what it returns */
        tell(c, &err);
        return;
    }
    c->state = CONTAINER_CREATED;
    bool is_good = read_pid(c, &c->pid, &err) &&
                   reaper_watch(c->all->options.reaper, c->pid, on_init_ended, c, &err);
    tell(c, is_good ? NULL : &err);
}

static FALLIBLE write_config(struct container *c, const struct container_command *command, struct user *user,
                             struct err *err)
{
    AUTO(buffer) struct buffer json = { 0 };
    AUTO(fd) int               root = open(container_root(c), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    char                       root_path[PATH_LEN_MAX], path[PATH_LEN_MAX];

    if (root < 0)
        return err_os(err, "root directory");
    if (!user_find_in(root, command->image->user, user, err))
        return false;
    path_of(c, "rootfs", root_path);
    path_of(c, "config.json", path);
    struct oci_request request = { .id = c->id, .image = command->image, .user = user, .root = root_path,
                                   .args = command->args, .n_args = command->n_args, .env = command->env,
                                   .n_env = command->n_env };
    return oci_compose(&request, &json, err) && file_write(path, buffer_bytes(&json), 0600, err);
}

/*
 * Both ends of each stream; the container's go to crun and are closed here afterwards. Its user owns them, because
 * programs open /dev/stdout anew.
 */
static FALLIBLE open_streams(struct container *c, const struct user *user, int theirs[static 3], struct err *err)
{
    int fds[2];

    for (int i = 0; i < CONTAINER_STREAMS; i++) {
        struct output_options options = { .loop = c->all->options.loop, .is_denied = !c->grant.output,
                                          .more = c->all->options.more, .owner = c };

        if (pipe2(fds, O_CLOEXEC) < 0)
            return err_os(err, "output");
        theirs[1 + i] = fds[1];
        if (!output_open(&c->outputs[i], &options, fds[0], err))
            return false;
        if (fchown(fds[1], user->uid, user->gid) < 0)
            return err_os(err, "output");
    }
    if (!c->grant.input) {
        theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return theirs[0] >= 0 || err_os(err, "/dev/null");
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_os(err, "input");
    theirs[0] = fds[0];
    return input_open(&c->input, c->all->options.loop, fds[1], err) &&
           (fchown(fds[0], user->uid, user->gid) == 0 || err_os(err, "input"));
}

FALLIBLE container_create(struct container *container, const struct container_command *command,
                          container_done_fn *done, struct ttrpc_pending pending, struct err *err)
{
    char              bundle[PATH_LEN_MAX], pid_file[PATH_LEN_MAX];
    const char *const verb[]    = { "create", "--bundle", bundle, "--pid-file", pid_file, NULL };
    int               theirs[3] = { NO_FD, NO_FD, NO_FD };
    struct user       user;

    if (container->state != CONTAINER_NEW)
        return wrong_state(container, err);
    path_of(container, "", bundle);
    path_of(container, "pid", pid_file);
    container->state = CONTAINER_CREATING;
    bool is_good     = write_config(container, command, &user, err) && open_streams(container, &user, theirs, err);
    container->done    = done;
    container->pending = pending;
    is_good            = is_good && run_crun(container, verb, theirs, on_created, err);
    for (int i = 0; i < 3; i++)
        auto_fd(&theirs[i]);
    if (!is_good)
        container->done = NULL;
    return is_good;
}

static void on_started(void *owner, pid_t pid, int status)
{
    struct container          *c      = owner;
    AUTO(buffer) struct buffer reason = { 0 };
    struct err                 err;

    (void) pid;
    c->state = c->has_ended ? CONTAINER_STOPPED : CONTAINER_RUNNING;
    if (status == 0) {
        tell(c, NULL);
        return;
    }
    crun_reason(c, &reason);
    (void) fail_with(&err, ERR_OS, "%s", buffer_text(&reason)); /* false is what it returns */
    tell(c, &err);
}

static FALLIBLE run_quietly(struct container *c, const char *const *verb, reaper_ended_fn *ended,
                            container_done_fn *done, struct ttrpc_pending pending, struct err *err)
{
    AUTO(fd) int null   = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int    fds[3] = { null, null, null };

    if (null < 0)
        return err_os(err, "/dev/null");
    c->done    = done;
    c->pending = pending;
    if (run_crun(c, verb, fds, ended, err))
        return true;
    c->done = NULL;
    return false;
}

FALLIBLE container_start(struct container *container, container_done_fn *done, struct ttrpc_pending pending,
                         struct err *err)
{
    static const char *const verb[] = { "start", NULL };

    if (container->state != CONTAINER_CREATED)
        return wrong_state(container, err);
    container->state = CONTAINER_STARTING;
    return run_quietly(container, verb, on_started, done, pending, err);
}

static void on_deleted(void *owner, pid_t pid, int status)
{
    struct container *c = owner;

    (void) pid;
    (void) status; /* what crun could not remove was not there: the directory goes in any case */
    c->is_deleted = true;
    if (c->pid == 0)
        finish_delete(c);
    else
        (void) kill(c->pid, SIGKILL); /* most often dead already; not reaped, so the number is still its own */
}

FALLIBLE container_delete(struct container *container, container_done_fn *done, struct ttrpc_pending pending,
                          struct err *err)
{
    static const char *const verb[] = { "delete", "--force", NULL };

    if (container->state != CONTAINER_CREATED && container->state != CONTAINER_RUNNING &&
        container->state != CONTAINER_STOPPED)
        return wrong_state(container, err);
    container->state = CONTAINER_DELETING;
    return run_quietly(container, verb, on_deleted, done, pending, err);
}

FALLIBLE container_signal(struct container *container, uint32_t signal_number, struct err *err)
{
    if (signal_number < 1 || signal_number > 64)
        return fail_with(err, ERR_MALFORMED, "signal %u: there is no such signal", signal_number);
    if (container->state != CONTAINER_RUNNING || container->pid <= 1)
        return wrong_state(container, err);
    if (kill(container->pid, (int) signal_number) < 0) /* not reaped: the number is still its own */
        return err_os(err, "signal");
    return true;
}
