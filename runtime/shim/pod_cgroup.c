#include "runtime/shim/pod_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "runtime/shim/mountinfo.h"

enum { REMOVE_ROUNDS = 100 }; /* of 10 ms, in all */
enum { PLACE_MAX = POD_CGROUP_MOUNT_MAX + POD_CGROUP_PATH_MAX };

/* After each "/" a name, none of them "." or "..". */
static bool is_in_one_form(const char *path)
{
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/");

        if (len == 0 || strncmp(path + 1, ".", len) == 0 || strncmp(path + 1, "..", len) == 0)
            return false;
        path += 1 + len;
    }
    return *path == 0;
}

static FALLIBLE keep(struct buffer *path, char out[static POD_CGROUP_PATH_MAX], struct err *err)
{
    if (path->len >= POD_CGROUP_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "cgroupsPath: over %d characters", POD_CGROUP_PATH_MAX - 1);
    if (!is_in_one_form(buffer_text(path)))
        return fail_with(err, ERR_MALFORMED, "cgroupsPath %.80s: wanted an absolute path without empty, . and .. components", buffer_text(path));
    (void) snprintf(out, POD_CGROUP_PATH_MAX, "%s", buffer_text(path)); /* fits */
    return true;
}

/* "a-b.slice" lies in "a.slice". [systemd.slice(5)] */
static FALLIBLE add_slices(struct bytes slice, struct buffer *out, struct err *err)
{
    static const char suffix[] = ".slice";
    size_t            stem     = slice.len - (sizeof suffix - 1);

    if (slice.len <= sizeof suffix - 1 || memcmp(slice.at + stem, suffix, sizeof suffix - 1) != 0)
        return fail_with(err, ERR_MALFORMED, "cgroupsPath: the slice %.*s has not the name of one", (int) (slice.len < 80 ? slice.len : 80), (const char *) slice.at);
    for (size_t i = 1; i <= stem; i++)
        if (i == stem || slice.at[i] == '-')
            buffer_printf(out, "/%.*s.slice", (int) i, (const char *) slice.at);
    return true;
}

FALLIBLE pod_cgroup_path(const char *cgroups_path, char out[static POD_CGROUP_PATH_MAX], struct err *err)
{
    AUTO(buffer) struct buffer path   = { 0 };
    const char                *prefix = cgroups_path ? strchr(cgroups_path, ':') : NULL;
    const char                *name   = prefix ? strchr(prefix + 1, ':') : NULL;

    out[0] = 0;
    if (!cgroups_path || (*cgroups_path != '/' && !name))
        return true;
    if (*cgroups_path == '/') {
        buffer_append_text(&path, cgroups_path);
    } else {
        if (!add_slices((struct bytes){ (const uint8_t *) cgroups_path, (size_t) (prefix - cgroups_path) }, &path, err))
            return false;
        buffer_printf(&path, "/%.*s-%s.scope", (int) (name - prefix - 1), prefix + 1, name + 1);
    }
    return keep(&path, out, err);
}

FALLIBLE pod_cgroup_path_below(const char *parent, const char *id, char out[static POD_CGROUP_PATH_MAX], struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };
    size_t                     len  = strlen(parent);
    const char                *last = strrchr(parent, '/');

    out[0] = 0;
    if (len == 0)
        return true;
    if (len > 6 && strcmp(parent + len - 6, ".slice") == 0)
        buffer_printf(&path, "%s:cloister:%s", last ? last + 1 : parent, id);
    else
        buffer_printf(&path, "%s/%s", parent, id);
    return pod_cgroup_path(buffer_text(&path), out, err);
}

static bool is_wanted(const struct mount_line *line)
{
    static const char *const controllers[] = { "memory", "cpu", "cpuacct", "pids", "blkio" };
    char                     options[MOUNT_WORD_MAX], *rest = NULL;

    if (strcmp(line->type, "cgroup2") == 0)
        return true;
    if (strcmp(line->type, "cgroup") != 0)
        return false;
    (void) snprintf(options, sizeof options, "%s", line->options); /* of the same size */
    for (const char *word = strtok_r(options, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++)
            if (strcmp(word, controllers[i]) == 0)
                return true;
    return false;
}

/* Each directory on the way that is not there, and how many that were. */
static FALLIBLE make_in(const char *mount, const char *path, unsigned *made, struct err *err)
{
    char place[PLACE_MAX];

    (void) snprintf(place, sizeof place, "%s%s", mount, path); /* sized for both */
    *made = 0;
    for (char *end = place + strlen(mount) + 1; end; ) {
        end = strchr(end, '/');
        if (end)
            *end = 0;
        bool is_new = mkdir(place, 0755) == 0;
        if (!is_new && errno != EEXIST)
            return err_os(err, "control group %.160s", place);
        *made += is_new;
        if (end)
            *end++ = '/';
    }
    return true;
}

FALLIBLE pod_cgroup_make(struct bytes mountinfo, const char *path, struct pod_cgroup *out, struct err *err)
{
    char              devices[POD_CGROUP_HIERARCHIES_MAX][sizeof ((struct mount_line *) NULL)->device];
    struct mount_line line;
    bool              is_there, is_known;

    *out = (struct pod_cgroup){ .n = 0 };
    (void) snprintf(out->path, sizeof out->path, "%s", path); /* of pod_cgroup_path */
    while (*path && out->n < POD_CGROUP_HIERARCHIES_MAX) {
        if (!mountinfo_next(&mountinfo, &line, &is_there, err))
            return false;
        if (!is_there)
            break;
        is_known = !is_wanted(&line) || strlen(line.point) >= POD_CGROUP_MOUNT_MAX;
        for (size_t i = 0; i < out->n; i++)
            is_known |= strcmp(devices[i], line.device) == 0; /* a hierarchy that is mounted twice */
        if (is_known)
            continue;
        memcpy(devices[out->n], line.device, sizeof line.device);
        (void) snprintf(out->at[out->n].mount, POD_CGROUP_MOUNT_MAX, "%s", line.point); /* fits, see above */
        out->n++;
        if (!make_in(out->at[out->n - 1].mount, path, &out->at[out->n - 1].made, err))
            return false;
    }
    return true;
}

FALLIBLE pod_cgroup_enter(const struct pod_cgroup *group, pid_t pid, struct err *err)
{
    char place[PLACE_MAX + sizeof "/cgroup.procs"], number[16];

    (void) snprintf(number, sizeof number, "%d", (int) pid); /* fits */
    for (size_t i = 0; pid > 0 && i < group->n; i++) {
        (void) snprintf(place, sizeof place, "%s%s/cgroup.procs", group->at[i].mount, group->path); /* sized for it */
        AUTO(fd) int fd = open(place, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, number, strlen(number)) < 0)
            return err_os(err, "control group %.160s", place);
    }
    return true;
}

/* ENOENT is as good: one that could not be made. */
static bool remove_one(const char *place, unsigned *rounds)
{
    static const struct timespec pause = { .tv_nsec = 10 * 1000000L };

    while (rmdir(place) < 0) {
        if (errno != EBUSY || *rounds == 0)
            return errno == ENOENT;
        (*rounds)--;
        (void) nanosleep(&pause, NULL); /* woken early is fine */
    }
    return true;
}

void pod_cgroup_remove(struct pod_cgroup *group)
{
    unsigned rounds = REMOVE_ROUNDS;

    for (size_t i = 0; i < group->n; i++) {
        char place[PLACE_MAX];

        (void) snprintf(place, sizeof place, "%s%s", group->at[i].mount, group->path); /* sized for both */
        for (unsigned left = group->at[i].made; left > 0 && strlen(place) > strlen(group->at[i].mount); *strrchr(place, '/') = 0) {
            bool     was_there = access(place, F_OK) == 0;
            unsigned none      = 0; /* above the group nobody is waited for */

            if (!remove_one(place, left == group->at[i].made ? &rounds : &none))
                break; /* someone else's is in it */
            left -= was_there;
        }
    }
    *group = (struct pod_cgroup){ .n = 0 };
}
