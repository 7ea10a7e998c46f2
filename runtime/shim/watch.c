#include "runtime/shim/watch.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "runtime/shim/volumes.h"

struct watched {
    int  number;   /* of inotify; -1: not watched */
    bool is_stale; /* the guest does not have what is there now */
    bool is_asked; /* the guest works on it */
};

struct volume_watch {
    struct loop_source source;
    size_t             n;
    struct watched     volumes[]; /* one for each mount of the specification */
};

static void stop_watching(struct task *task, size_t i)
{
    struct watched *w = &task->watch->volumes[i];

    (void) inotify_rm_watch(task->watch->source.fd, w->number); /* fails for a folder that is gone */
    w->number   = -1;
    w->is_stale = false;
}

static void on_updated(struct task *task, const struct reply *reply)
{
    const struct spec_mount *mount = &task->spec.mounts[reply->which];

    task->watch->volumes[reply->which].is_asked = false;
    if (reply->response) {
        watch_send(task);
        return;
    }
    log_error("a volume is not updated", "id=%s target=%s why=\"%s\"", task->id, LOG_PEER(bytes_of_text(mount->target)),
              LOG_PEER(bytes_of_text(reply->why->text)));
    if (reply->why->kind == ERR_DENIED)
        stop_watching(task, reply->which);
}

static FALLIBLE send_one(struct task *task, size_t i, struct err *err)
{
    struct host_volumes         found;
    Agent__UpdateVolumeRequest  request = AGENT__UPDATE_VOLUME_REQUEST__INIT;
    struct call_request         call    = { "UpdateVolume", &request.base, on_updated, i, { 0 } };
    bool                        is_good = host_volume_read(&task->spec.mounts[i], &found, err);

    request.id     = task->guest_id;
    request.volume = found.trees;
    is_good        = is_good && pod_call(task, &call, err);
    host_volumes_free(&found);
    return is_good;
}

void watch_send(struct task *task)
{
    bool       is_there = task->is_in_guest && task->state >= TASK_CREATED && task->state <= TASK_RUNNING;
    struct err err;

    for (size_t i = 0; is_there && task->watch && i < task->watch->n; i++) {
        struct watched *w = &task->watch->volumes[i];

        if (!w->is_stale || w->is_asked)
            continue;
        w->is_stale = false;
        w->is_asked = send_one(task, i, &err);
        if (!w->is_asked)
            log_error("a volume is not updated", "id=%s why=\"%s\"", task->id, err.text);
    }
}

static void note(struct volume_watch *watch, const struct inotify_event *event)
{
    for (size_t i = 0; i < watch->n; i++) {
        bool is_it = watch->volumes[i].number == event->wd && event->len > 0 && strcmp(event->name, "..data") == 0;

        watch->volumes[i].is_stale |= is_it || (event->mask & IN_Q_OVERFLOW && watch->volumes[i].number >= 0);
    }
}

static void on_changes(struct loop_source *source, uint32_t events)
{
    struct task *task = source->owner;
    union {
        struct inotify_event event;
        char                 room[4096];
    } some;
    ssize_t len;

    (void) events;
    while ((len = read(source->fd, &some, sizeof some)) > 0)
        for (const char *at = some.room; at < some.room + len;) {
            struct inotify_event head;

            memcpy(&head, at, sizeof head); /* the kernel's, whole */
            note(task->watch, (const struct inotify_event *) (const void *) at);
            at += sizeof head + head.len;
        }
    watch_send(task);
}

void watch_start(struct task *task)
{
    const struct container_spec *spec = &task->spec;
    struct volume_watch         *watch;
    struct err                   err;
    bool                         is_needed = false;

    for (size_t i = 0; i < spec->n_mounts; i++)
        is_needed |= host_volume_is_tree(&spec->mounts[i]);
    if (!is_needed || task->watch)
        return;
    watch = task->watch = calloc(1, sizeof *watch + spec->n_mounts * sizeof *watch->volumes);
    if (!watch)
        abort();
    watch->n      = spec->n_mounts;
    watch->source = (struct loop_source){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .ready = on_changes, .owner = task };
    for (size_t i = 0; i < watch->n; i++)
        watch->volumes[i].number = watch->source.fd >= 0 && host_volume_is_tree(&spec->mounts[i])
                                       ? inotify_add_watch(watch->source.fd, spec->mounts[i].source, IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW)
                                       : -1;
    if (watch->source.fd < 0)
        log_error("volumes are not watched", "id=%s", task->id);
    else if (!loop_add(task->pod->options.loop, &watch->source, EPOLLIN, &err))
        log_error("volumes are not watched", "id=%s why=\"%s\"", task->id, err.text);
}

void watch_free(struct volume_watch *watch)
{
    if (!watch)
        return;
    loop_remove(&watch->source);
    auto_fd(&watch->source.fd);
    free(watch);
}
