#include "runtime/shim/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/log.h"
#include "runtime/net/pod_link.h"
#include "runtime/shim/service.h"

enum { BACKLOG = 64 };

struct daemon;

struct engine {
    struct engine           *next;
    struct daemon           *daemon;
    struct ttrpc_connection *connection;
};

struct daemon {
    struct loop       *loop;
    struct pod        *pod;
    struct loop_source listener, goodbye;
    struct engine     *engines;
    size_t             n_engines;
    bool               is_finished;
    char               record[DAEMON_PATH_MAX];
};

void daemon_socket_path(const char *directory, char out[static DAEMON_PATH_MAX])
{
    (void) snprintf(out, DAEMON_PATH_MAX, "%s/socket", directory); /* record_directory bounds it */
}

void daemon_record_path(const char *directory, char out[static DAEMON_PATH_MAX])
{
    (void) snprintf(out, DAEMON_PATH_MAX, "%s/state", directory); /* as above */
}

static FALLIBLE address_of(const char *directory, struct sockaddr_un *out, struct err *err)
{
    char path[DAEMON_PATH_MAX];

    daemon_socket_path(directory, path);
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof out->sun_path)
        return fail_with(err, ERR_LIMIT, "socket path over %zu bytes", sizeof out->sun_path - 1);
    memcpy(out->sun_path, path, strlen(path) + 1);
    return true;
}

/*
 * Held while a pod's directory is made or removed. So one without a record is left by a process that was killed, and
 * never one that is just being made.
 */
static FALLIBLE lock_root(const char *root, int *out, struct err *err)
{
    AUTO(fd) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return err_os(err, "lock %s", root);
    *out = TAKE_FD(fd);
    return true;
}

static FALLIBLE lock_beside(const char *directory, int *out, struct err *err)
{
    char root[RECORD_PATH_MAX];

    (void) snprintf(root, sizeof root, "%s", directory); /* record_directory bounds it */
    *strrchr(root, '/') = 0;
    return directory_make(root, err) && lock_root(root, out, err);
}

/* In the name of the process that makes it; the shim's own replaces it. */
static FALLIBLE write_first_record(const char *directory, struct err *err)
{
    AUTO(buffer) struct buffer text   = { 0 };
    struct record              record = { 0 };
    char                       path[DAEMON_PATH_MAX];

    daemon_record_path(directory, path);
    if (!process_mark_of(getpid(), &record.shim, err))
        return false;
    record_write(&record, &text);
    return file_write(path, buffer_bytes(&text), 0600, err);
}

FALLIBLE daemon_listen(const char *directory, int *listener, struct err *err)
{
    AUTO(fd) int       fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), lock = NO_FD;
    struct sockaddr_un at;

    if (fd < 0)
        return err_os(err, "socket");
    if (!address_of(directory, &at, err) || !lock_beside(directory, &lock, err) || !directory_make(directory, err))
        return false;
    if (chmod(directory, 0700) < 0)
        return err_os(err, "chmod %s", directory);
    if (!write_first_record(directory, err))
        return false;
    (void) unlink(at.sun_path); /* of a shim that died; a living one answered before */
    if (bind(fd, (const struct sockaddr *) &at, sizeof at) < 0 || chmod(at.sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0)
        return err_os(err, "listen on %s", at.sun_path);
    *listener = TAKE_FD(fd);
    return true;
}

bool daemon_answers(const char *directory)
{
    AUTO(fd) int       fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un at;
    struct err         ignored; /* what has no address does not answer */

    return fd >= 0 && address_of(directory, &at, &ignored) && connect(fd, (const struct sockaddr *) &at, sizeof at) == 0;
}

FALLIBLE daemon_clean_up(const char *directory, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct record              record = { 0 };
    char                       path[DAEMON_PATH_MAX];
    struct err                 ignored;

    daemon_record_path(directory, path);
    if (!file_read(path, SHIM_RECORD_MAX, &text, err))
        return err->kind == ERR_NOT_FOUND ? daemon_answers(directory) || directory_remove(directory, err) : false;
    if (!record_read(buffer_bytes(&text), &record, err))
        return false;
    if (!process_mark_await(&record.shim, SHIM_HANG_UP_MS)) /* its socket is closed: it was ending */
        process_mark_kill(&record.shim);
    process_mark_kill(&record.vmm);
    process_mark_kill(&record.platform);
    pod_cgroup_remove(&record.cgroup);
    if (*record.network && !pod_link_sweep(record.network, &ignored))
        log_error("redirections may be left", "why=\"%s\"", ignored.text); /* the rest can go all the same */
    return directory_remove(directory, err);
}

static bool is_abandoned(const char *directory)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct record              record;
    char                       path[DAEMON_PATH_MAX];
    struct err                 err;

    daemon_record_path(directory, path);
    if (daemon_answers(directory))
        return false;
    if (!file_read(path, SHIM_RECORD_MAX, &text, &err))
        return err.kind == ERR_NOT_FOUND; /* nobody is making it: we hold the lock */
    return record_read(buffer_bytes(&text), &record, &err) && !process_mark_lives(&record.shim);
}

unsigned daemon_sweep(const char *root)
{
    AUTO(fd) int   lock   = NO_FD;
    AUTO(dir) DIR *folder = opendir(root);
    struct dirent *entry;
    unsigned       n_swept = 0;
    struct err     ignored; /* as the header says */

    if (!folder || !lock_root(root, &lock, &ignored))
        return 0;
    while ((entry = readdir(folder))) {
        char directory[RECORD_PATH_MAX];
        int  n = snprintf(directory, sizeof directory, "%s/%s", root, entry->d_name);

        if (entry->d_name[0] != '.' && n > 0 && n < RECORD_PATH_MAX - 8 && is_abandoned(directory))
            n_swept += daemon_clean_up(directory, &ignored);
    }
    return n_swept;
}

/* ---- engines ---- */

static void stop_when_alone(struct daemon *d)
{
    if (d->is_finished && d->n_engines == 0)
        loop_stop(d->loop);
}

static void forget_engine(struct engine *gone)
{
    struct daemon  *d  = gone->daemon;
    struct engine **at = &d->engines;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    d->n_engines--;
    pod_forget(d->pod, gone->connection);
    ttrpc_connection_free(gone->connection);
    free(gone);
}

/* Owners of rows are the pod, so which engine went is told by its connection being over: each has its own owner. */
static void on_engine_closed(void *owner, const struct err *why)
{
    struct engine *engine = owner;
    struct daemon *d      = engine->daemon;

    if (why->kind != ERR_NONE)
        log_info("an engine hung up", "why=\"%s\"", why->text);
    forget_engine(engine);
    stop_when_alone(d);
}

static void on_connect(struct loop_source *source, uint32_t events)
{
    struct daemon *d  = source->owner;
    AUTO(fd) int   fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct err     err;

    (void) events;
    if (fd < 0 || d->n_engines == SHIM_CONNECTIONS_MAX)
        return;
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        abort();
    struct ttrpc_connection_options options = { .loop = d->loop, .service = &task_v2_service, .rows = service_rows,
                                                .n_rows = n_service_rows, .closed = on_engine_closed, .owner = engine,
                                                .more = service_others, .n_more = n_service_others,
                                                .rows_owner = d->pod };
    engine->daemon = d;
    if (!ttrpc_connection_new(&options, TAKE_FD(fd), &engine->connection, &err)) {
        log_error("an engine could not be served", "why=\"%s\"", err.text);
        free(engine);
        return;
    }
    engine->next = d->engines;
    d->engines   = engine;
    d->n_engines++;
}

static bool engine_is_here(void *owner)
{
    return ((const struct daemon *) owner)->n_engines > 0;
}

/* ---- the end ---- */

static void on_goodbye(struct loop_source *source, uint32_t events)
{
    (void) events;
    loop_stop(((struct daemon *) source->owner)->loop);
}

/* Engines that hear the end of the connection before the last answer call it a failure: they hang up first. */
static void on_finished(void *owner)
{
    struct daemon *d = owner;
    struct err     err;

    if (d->is_finished)
        return;
    d->is_finished = true;
    d->goodbye     = (struct loop_source){ .fd = NO_FD, .ready = on_goodbye, .owner = d };
    if (!loop_timer_fd(SHIM_HANG_UP_MS, 0, &d->goodbye.fd, &err) || !loop_add(d->loop, &d->goodbye, EPOLLIN, &err))
        loop_stop(d->loop);
}

static FALLIBLE open_daemon(struct daemon *d, const struct daemon_options *o, struct err *err)
{
    struct pod_options pod = { .driver = o->driver, .namespace = o->invocation->namespace,
                               .ttrpc_address = o->ttrpc_address, .record_path = d->record,
                               .engine_is_here = engine_is_here, .finished = on_finished, .owner = d };

    daemon_record_path(o->directory, d->record);
    if (!loop_new(&d->loop, err))
        return false;
    pod.loop = d->loop;
    return pod_new(&pod, o->settings_take, &d->pod, err) && loop_add(d->loop, &d->listener, EPOLLIN, err);
}

static void close_daemon(struct daemon *d)
{
    while (d->engines)
        forget_engine(d->engines);
    pod_free(d->pod);
    loop_remove(&d->listener);
    loop_remove(&d->goodbye);
    auto_fd(&d->listener.fd);
    auto_fd(&d->goodbye.fd);
    loop_free(d->loop);
}

FALLIBLE daemon_run(const struct daemon_options *options, struct err *err)
{
    AUTO(fd) int  lock = NO_FD;
    struct daemon d = { .listener = { .fd = options->listener_take, .ready = on_connect }, .goodbye.fd = NO_FD };

    d.listener.owner = &d;
    (void) signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    bool is_good = open_daemon(&d, options, err);
    if (is_good)
        pod_write_record(d.pod);
    is_good = is_good && loop_run(d.loop, err);
    close_daemon(&d);
    if (is_good)
        is_good = lock_beside(options->directory, &lock, err) && directory_remove(options->directory, err);
    return is_good;
}
