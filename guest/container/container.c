#include "guest/container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/process.h"
#include "guest/container/crun.h"
#include "guest/container/exec.h"
#include "guest/container/oci.h"
#include "guest/container/shared_processes.h"
#include "guest/container/tree.h"
#include "guest/init/image_disk.h"
#include "guest/init/overlay.h"
#include "guest/init/power.h"

struct containers {
    struct containers_options options;
    struct container         *live[CONTAINERS_MAX];
    char                      used[CONTAINER_IDS_MAX][CONTAINER_ID_MAX + 1]; /* every id there ever was */
    size_t                    n_used;
    struct shared_processes   processes;
    char                      path[CONTAINER_PATH_MAX]; /* the one that container_root returned last */
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

FALLIBLE container_id_check(const char *id, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t            len       = strnlen(id, CONTAINER_ID_MAX + 1);

    if (len > 0 && len <= CONTAINER_ID_MAX && id[0] != '-' && strspn(id, letters) == len)
        return true;
    return fail_with(err, ERR_MALFORMED, "id: wanted 1 to %d of a-z, 0-9 and, not first, -", CONTAINER_ID_MAX);
}

static FALLIBLE check_id(const struct containers *all, const char *id, struct err *err)
{
    if (!container_id_check(id, err))
        return context(err, "container");
    for (size_t i = 0; i < all->n_used; i++)
        if (strcmp(all->used[i], id) == 0)
            return fail_with(err, ERR_DENIED, "container id %s was used before", id);
    if (all->n_used == CONTAINER_IDS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d containers in the life of one guest", CONTAINER_IDS_MAX);
    return true;
}

const struct containers_options *containers_options(const struct containers *all)
{
    return &all->options;
}

const char *container_root(const struct container *container)
{
    container_path(container, "rootfs", container->all->path);
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
    c->first = (struct container_process){ .container = c, .streams = NO_STREAMS };
    c->late  = NO_LATE_SIGNALS;
    if (!directory_make(container_root(c), err)) {
        free(c);
        return false;
    }
    *slot = c;
    *out  = c;
    return true;
}

bool containers_images(struct containers *all, const struct container *but, char *out[static CONTAINERS_MAX], size_t *n)
{
    bool are_all_known = true;

    *n = 0;
    for (size_t i = 0; i < CONTAINERS_MAX; i++) {
        if (!all->live[i] || all->live[i] == but)
            continue;
        if (all->live[i]->mounted[0])
            out[(*n)++] = all->live[i]->mounted;
        else
            are_all_known = false;
    }
    return are_all_known;
}

/* The root directory itself is the upper one's: it is to look like the image's. */
static FALLIBLE root_copy(const char *lower, const char *upper, struct err *err)
{
    struct stat st;

    if (stat(lower, &st) < 0 || chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0)
        return err_os(err, "root of the image");
    return true;
}

FALLIBLE container_mount_root(struct container *c, char *const *lower, size_t n, struct err *err)
{
    char           upper[CONTAINER_PATH_MAX], work[CONTAINER_PATH_MAX];
    struct overlay overlay = { (const char *const *) lower, n, upper, work };
    AUTO(fd) int   fd      = NO_FD;

    container_path(c, "upper", upper);
    container_path(c, "work", work);
    (void) snprintf(c->mounted, sizeof c->mounted, "%s", lower[0]); /* a cut one is not found */
    return directory_make(upper, err) && directory_make(work, err) && root_copy(lower[0], upper, err) &&
           overlay_make(&overlay, &fd, err) && overlay_attach(fd, container_root(c), err);
}

struct container_process *container_process_find(struct container *container, const char *id)
{
    if (*id == 0)
        return &container->first;
    for (size_t i = 0; i < CONTAINER_EXECS_MAX; i++)
        if (container->execs[i] && strcmp(container->execs[i]->id, id) == 0)
            return container->execs[i];
    return NULL;
}

struct place_texts {
    char files[CONTAINER_PATH_MAX], shared[CONTAINER_PATH_MAX], subs[CONTAINER_PATH_MAX];
};

/* Where its volumes are; the texts are the caller's. No id begins with _. */
static struct volume_places places_of(const struct container *c, struct place_texts *texts)
{
    const char *all = c->all->options.directory;

    container_path(c, "files", texts->files);
    (void) snprintf(texts->shared, CONTAINER_PATH_MAX, "%s/_volumes", all); /* fits, as the next */
    (void) snprintf(texts->subs, CONTAINER_PATH_MAX, "%s/_subs-%s", all, c->id);
    return (struct volume_places){ texts->files, texts->shared, texts->subs };
}

void container_process_dismiss(struct container_process *p, const char *why)
{
    struct err gone;

    (void) fail_with(&gone, ERR_NOT_FOUND, "%s", why); /* false is what it returns */
    for (size_t i = 0; i < p->n_waiters; i++)
        ttrpc_refuse(p->waiters[i], &gone);
    for (size_t i = 0; i < STREAMS; i++)
        ttrpc_refuse(TAKE(p->readers[i]), &gone);
    p->n_waiters = 0;
}

void container_discard(struct container *container)
{
    struct containers   *all = container->all;
    struct place_texts   texts;
    struct volume_places places = places_of(container, &texts);
    char                 path[CONTAINER_PATH_MAX];
    struct err           ignored;

    volumes_unmake(&places);
    if (container->mounted[0])
        (void) umount2(container_root(container), MNT_DETACH); /* one that never was mounted is fine */
    container_path(container, "", path);
    (void) !directory_remove(path, &ignored); /* what stays behind is memory of a guest that will end */
    late_signals_end(&container->late);
    exec_discard_all(container);
    container_process_dismiss(&container->first, "start: it never ran"); /* after a deletion nobody is left to be told */
    streams_close(&container->first.streams);
    json_wipe(container->template); /* its environment may have secrets that were sealed */
    for (size_t i = 0; i < CONTAINERS_MAX; i++)
        if (all->live[i] == container)
            all->live[i] = NULL;
    free(container);
}

static FALLIBLE wrong_state(const struct container *c, struct err *err)
{
    return fail_with(err, ERR_CONFIG, "container %s is %s", c->id, container_state_name(c->state));
}

static void tell(struct container *c, const struct err *why)
{
    container_done_fn   *done    = TAKE(c->done);
    struct ttrpc_pending pending = TAKE(c->pending);

    done(c->all->options.owner, c, pending, why);
}


/* All is over: crun's work, and every process, which may be reaped after it. One whose start is still to be told stays. */
void container_settle(struct container *container)
{
    bool has_ended = container->is_deleted && container->first.pid == 0;

    for (size_t i = 0; i < CONTAINER_EXECS_MAX; i++)
        has_ended = has_ended && (!container->execs[i] || (container->execs[i]->has_ended && !container->execs[i]->done));
    if (!has_ended)
        return;
    tell(container, NULL);
    container_discard(container);
}

static void group_of(const struct container *c, char out[static CONTAINER_PATH_MAX])
{
    (void) snprintf(out, CONTAINER_PATH_MAX, "%s/%s", c->all->options.cgroups, c->id); /* cut, it is not found */
}

/* What the end of a PID namespace does for a container that has one of its own. */
static void end_rest(const struct container *c)
{
    char       path[CONTAINER_PATH_MAX];
    struct err err;

    if (!c->shares_processes || !c->all->options.cgroups)
        return;
    group_of(c, path);
    if (!cgroup_kill(path, &err))
        power_note("start", err.text);
}

static void on_init_ended(void *owner, pid_t pid, int status)
{
    struct container *c = owner;

    (void) pid;
    late_signals_end(&c->late);
    end_rest(c);
    c->first.exit_code = process_exit_code(status);
    c->first.has_ended = true;
    c->first.pid       = 0;
    if (c->state == CONTAINER_RUNNING || c->state == CONTAINER_CREATED)
        c->state = CONTAINER_STOPPED;
    if (c->mounted[0] && image_disk_is_damaged(c->mounted))
        power_note("verify", "the host gave blocks of an image that are not the image's; what read them got an error");
    c->all->options.ended(c->all->options.owner, &c->first);
    container_settle(c);
}

struct container *containers_find_cgroup(struct containers *all, uint64_t cgroup)
{
    char        path[CONTAINER_PATH_MAX];
    struct stat st;

    for (size_t i = 0; all->options.cgroups && i < CONTAINERS_MAX; i++) {
        if (!all->live[i])
            continue;
        group_of(all->live[i], path);
        if (stat(path, &st) == 0 && st.st_ino == cgroup)
            return all->live[i];
    }
    return NULL;
}

FALLIBLE container_stats(const struct container *container, struct cgroup_stats *out, struct err *err)
{
    char path[CONTAINER_PATH_MAX];

    if (!container->all->options.cgroups)
        return fail_with(err, ERR_UNSUPPORTED, "nothing is counted here");
    group_of(container, path);
    return cgroup_stats_read(path, out, err);
}

FALLIBLE container_update(struct container *container, const struct cgroup_limits *limits, struct err *err)
{
    char path[CONTAINER_PATH_MAX];

    if (container->state != CONTAINER_CREATED && container->state != CONTAINER_RUNNING)
        return wrong_state(container, err);
    if (!container->all->options.cgroups)
        return fail_with(err, ERR_UNSUPPORTED, "nothing is limited here");
    group_of(container, path);
    if (!cgroup_limits_write(path, limits, err))
        return false;
    container->limits = *limits;
    return true;
}

static struct streams_options streams_of(struct container *c)
{
    return (struct streams_options){ .loop = c->all->options.loop, .output = c->grant.output, .input = c->grant.input,
                                     .uid = c->uid, .gid = c->gid, .more = c->all->options.more, .owner = &c->first };
}

/* Watched last: who fails before is let go, and whoever is watched must stay. */
static FALLIBLE take_over(struct container *c, struct err *err)
{
    struct streams_options options = streams_of(c);
    bool                   limited = c->limits.memory_bytes > 0 || c->limits.cpu_quota_us > 0;

    if (c->first.streams.console >= 0 && !streams_take_terminal(&c->first.streams, &options, err))
        return false;
    return crun_read_pid(c, "pid", &c->first.pid, err) && (!limited || container_update(c, &c->limits, err)) &&
           reaper_watch(c->all->options.reaper, c->first.pid, on_init_ended, c, err);
}

static void on_created(void *owner, pid_t pid, int status)
{
    struct container *c = owner;
    struct err        err;

    (void) pid;
    if (status != 0) {
        (void) crun_failed(c, &err); /* false is what it returns */
        tell(c, &err);
        return;
    }
    c->state = CONTAINER_CREATED;
    if (take_over(c, &err)) {
        tell(c, NULL);
        return;
    }
    if (c->first.pid > 1)
        (void) kill(c->first.pid, SIGKILL); /* it waits to be started, and nobody will know of it */
    tell(c, &err);
}

static FALLIBLE make_volumes(struct container *c, const struct volumes *volumes, const struct volume_places *places, struct err *err)
{
    for (size_t i = 0; i < volumes->n_trees; i++)
        (void) snprintf(c->trees[i], sizeof c->trees[i], "%s", volumes->trees[i].path); /* fits: it was checked */
    c->has_last_words = c->grant.termination_log && volumes->termination_log && *volumes->termination_log;
    return volumes_make(volumes, places, c->uid, c->gid, err);
}

FALLIBLE container_update_volume(struct container *container, const char *path, const struct volume_file *files, size_t n,
                                 struct err *err)
{
    char folder[CONTAINER_PATH_MAX], place[VOLUME_HOST_PATH_MAX];

    if (container->state == CONTAINER_NEW || container->state == CONTAINER_DELETING)
        return wrong_state(container, err);
    for (size_t i = 0; *path && i < VOLUME_TREES_MAX; i++) {
        if (strcmp(container->trees[i], path) != 0)
            continue;
        container_path(container, "files", folder);
        volume_tree_place(folder, i, place);
        return tree_write(place, files, n, container->uid, container->gid, err);
    }
    return fail_with(err, ERR_NOT_FOUND, "no volume of files is at %.80s", path);
}

void container_last_words(const struct container *container, struct buffer *out)
{
    char         folder[CONTAINER_PATH_MAX], path[VOLUME_HOST_PATH_MAX];
    AUTO(fd) int fd = NO_FD;
    struct stat  st;

    if (!container->has_last_words)
        return;
    container_path(container, "files", folder);
    volume_termination_place(folder, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    uint8_t *to = buffer_grow(out, TERMINATION_LEN_MAX);
    ssize_t  n  = pread(fd, to, TERMINATION_LEN_MAX, st.st_size > TERMINATION_LEN_MAX ? st.st_size - TERMINATION_LEN_MAX : 0);
    out->len -= TERMINATION_LEN_MAX - (n > 0 ? (size_t) n : 0);
}

static FALLIBLE write_config(struct container *c, const struct container_command *command, struct err *err)
{
    AUTO(buffer) struct buffer json = WIPED_BUFFER;
    AUTO(fd) int               root = open(container_root(c), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    char                       root_path[CONTAINER_PATH_MAX], path[CONTAINER_PATH_MAX], hostname[HOSTNAME_LEN_MAX + 1];
    struct place_texts         texts;
    struct volume_places       places   = places_of(c, &texts);
    char                       processes[SHARED_PROCESSES_PATH_MAX];
    struct pod_sysctls         sysctls;
    bool                       is_named = command->hostname && *command->hostname;
    struct user                user;

    if (root < 0)
        return err_os(err, "root directory");
    if (!user_find_in(root, c->grant.user ? c->grant.user : command->image->user, &user, err) ||
        !privileges_apply(&c->grant.privileges, &user, err))
        return false;
    c->uid = user.uid;
    c->gid = user.gid;
    container_path(c, "rootfs", root_path);
    container_path(c, "config.json", path);
    if (command->volumes && !make_volumes(c, command->volumes, &places, err))
        return false;
    pod_sysctls_join(c->grant.sysctls, command->sysctls, &sysctls);
    if (!pod_sysctls_write(&sysctls, c->all->options.sysctls, err))
        return false;
    c->shares_processes = command->share_processes;
    if (c->shares_processes && !shared_processes_open(&c->all->processes, c->all->options.reaper, c->all->options.pod_init, processes, err))
        return false;
    (void) snprintf(hostname, sizeof hostname, "%.*s", HOSTNAME_LEN_MAX, c->id); /* cut on purpose */
    struct oci_request request = { .id = c->id, .image = command->image, .user = &user, .root = root_path,
                                   .args = command->args, .n_args = command->n_args, .env = command->env,
                                   .n_env = command->n_env, .is_whole = command->is_whole,
                                   .terminal = command->terminal, .cwd = c->grant.cwd,
                                   .read_only_root = c->grant.read_only_root, .privileges = c->grant.privileges, .volumes = command->volumes,
                                   .masked_paths = c->grant.masked_paths, .readonly_paths = c->grant.readonly_paths,
                                   .hidden = command->hidden, .sysctls = &sysctls,
                                   .places = &places, .processes = c->shares_processes ? processes : NULL,
                                   .hostname = is_named ? command->hostname : hostname };
    return oci_compose(&request, &json, &c->template, err) && file_write(path, buffer_bytes(&json), 0600, err);
}

FALLIBLE container_create(struct container *container, const struct container_command *command,
                          container_done_fn *done, struct ttrpc_pending pending, struct err *err)
{
    char              bundle[CONTAINER_PATH_MAX], pid_file[CONTAINER_PATH_MAX], console[CONTAINER_PATH_MAX];
    const char *const piped[]    = { "create", "--bundle", bundle, "--pid-file", pid_file, NULL };
    const char *const terminal[] = { "create",    "--bundle", bundle, "--pid-file", pid_file, "--console-socket",
                                     console, NULL };
    AUTO(fd) int      null       = open("/dev/null", O_RDWR | O_CLOEXEC);
    int               theirs[3]  = { NO_FD, NO_FD, NO_FD };
    const int         none[3]    = { null, null, null };

    if (container->state != CONTAINER_NEW)
        return wrong_state(container, err);
    if (null < 0)
        return err_os(err, "/dev/null");
    container_path(container, "", bundle);
    container_path(container, "pid", pid_file);
    container_path(container, "tty", console);
    container->state        = CONTAINER_CREATING;
    container->has_terminal = command->terminal;
    bool is_good            = write_config(container, command, err);
    struct streams_options options = streams_of(container);
    is_good = is_good && (command->terminal ? streams_listen(&container->first.streams, console, err)
                                            : streams_open(&container->first.streams, &options, theirs, err));
    container->done    = done;
    container->pending = pending;
    is_good = is_good && crun_run(container, command->terminal ? terminal : piped, command->terminal ? none : theirs,
                                  on_created, container, err);
    for (int i = 0; i < 3; i++)
        auto_fd(&theirs[i]);
    if (!is_good)
        container->done = NULL;
    return is_good;
}

static void on_started(void *owner, pid_t pid, int status)
{
    struct container *c = owner;
    struct err        err;

    (void) pid;
    c->state = c->first.has_ended ? CONTAINER_STOPPED : CONTAINER_RUNNING;
    if (status == 0) {
        if (!c->first.has_ended && !c->shares_processes) /* else it is not the first of its namespace, and misses none */
            late_signals_begin(&c->late, c->all->options.loop, c->first.pid);
        tell(c, NULL);
        return;
    }
    (void) crun_failed(c, &err); /* false is what it returns */
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
    if (crun_run(c, verb, fds, ended, c, err))
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
    if (c->first.pid > 0)
        (void) kill(c->first.pid, SIGKILL); /* most often dead already; not reaped, so the number is still its own */
    for (size_t i = 0; i < CONTAINER_EXECS_MAX; i++)
        if (c->execs[i] && c->execs[i]->pid > 1)
            (void) kill(c->execs[i]->pid, SIGKILL); /* as above: the kernel ends them with the first */
    container_settle(c);
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

FALLIBLE container_signal(struct container_process *process, uint32_t signal_number, bool all, struct err *err)
{
    struct container *c = process->container;

    if (signal_number < 1 || signal_number > 64)
        return fail_with(err, ERR_MALFORMED, "signal %u: there is no such signal", signal_number);
    if (process != &c->first && process->has_ended)
        return fail_with(err, ERR_CONFIG, "process %s has ended", process->id);
    if (c->state != CONTAINER_RUNNING || process->pid <= 1)
        return wrong_state(c, err);
    if (kill(process->pid, (int) signal_number) < 0) /* not reaped: the number is still its own */
        return err_os(err, "signal");
    if (process == &c->first)
        late_signals_keep(&c->late, signal_number);
    for (size_t i = 0; all && i < CONTAINER_EXECS_MAX; i++)
        if (c->execs[i] && c->execs[i]->pid > 1)
            (void) kill(c->execs[i]->pid, (int) signal_number); /* as above; one that ended needs none */
    return true;
}
