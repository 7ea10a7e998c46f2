#include "guest/container/hidden_paths.h"

#include <string.h>

#include "guest/container/limits.h"
#include "guest/container/volumes.h"

#define MASKED   "masked_paths" /* members of an entry */
#define READONLY "readonly_paths"

static const char *const always_masked[] = {
    "/proc/acpi",       "/proc/asound",         "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys",
    "/proc/key-users",  "/proc/latency_stats",  "/proc/modules",    "/proc/scsi",     "/proc/sched_debug",
    "/proc/timer_list", "/proc/timer_stats",    "/sys/dev/block",   "/sys/devices/virtual/powercap",
    "/sys/firmware",    "/sys/kernel/config",   "/sys/kernel/debug", "/sys/kernel/security", "/sys/module",
    "/sys/class/virtio-ports",
};

static const char *const always_readonly[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static FALLIBLE check_list(struct json_object *entry, const char *name, struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, name, NULL))
        return true;
    if (!json_get(entry, name, json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) > HIDDEN_PATHS_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d entries", name, HIDDEN_PATHS_MAX);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *path = json_object_array_get_idx(list, i);

        if (!json_object_is_type(path, json_type_string))
            return fail_with(err, ERR_MALFORMED, "%s: entry %zu is not a string", name, i);
        if (!volume_path_form_check(json_object_get_string(path), err))
            return contextf(err, "%s: entry %zu", name, i);
    }
    return true;
}

FALLIBLE hidden_paths_check_entry(struct json_object *entry, struct err *err)
{
    return check_list(entry, MASKED, err) && check_list(entry, READONLY, err);
}

static FALLIBLE check_asked(char *const *paths, size_t n, const char *what, struct err *err)
{
    if (n > HIDDEN_PATHS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d %ss", HIDDEN_PATHS_MAX, what);
    for (size_t i = 0; i < n; i++)
        if (!volume_path_form_check(paths[i], err))
            return context(err, what);
    return true;
}

FALLIBLE hidden_paths_check(const struct hidden_paths *asked, struct err *err)
{
    return check_asked(asked->masked, asked->n_masked, "masked path", err) &&
           check_asked(asked->readonly, asked->n_readonly, "read-only path", err);
}

/* A process's own folder has links to everywhere. */
bool hidden_path_is_kernels(const char *path)
{
    static const char *const processes[] = { "/proc/self", "/proc/thread-self" };

    if (strncmp(path, "/sys/", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof processes / sizeof *processes; i++)
        if (volume_path_is_in(path, processes[i]))
            return false;
    return strncmp(path, "/proc/", 6) == 0 && !(path[6] >= '0' && path[6] <= '9');
}

static bool holds(struct json_object *list, const char *path)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), path) == 0)
            return true;
    return false;
}

static const char *first_unlisted(struct json_object *list, char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!hidden_path_is_kernels(paths[i]) && !holds(list, paths[i]))
            return paths[i];
    return NULL;
}

const char *hidden_paths_difference(struct json_object *entry, const struct hidden_paths *asked, const char **path)
{
    const char *masked   = first_unlisted(json_object_object_get(entry, MASKED), asked->masked, asked->n_masked);
    const char *readonly = first_unlisted(json_object_object_get(entry, READONLY), asked->readonly, asked->n_readonly);

    if (masked || readonly)
        *path = masked ? masked : readonly;
    return masked ? "masked path" : readonly ? "read-only path" : NULL;
}

static void add_once(struct json_object *to, const char *path)
{
    if (!holds(to, path) && json_object_array_add(to, json_object_new_string(path)) != 0)
        abort();
}

static struct json_object *joined(const char *const *always, size_t n_always, struct json_object *granted, char *const *asked, size_t n)
{
    struct json_object *out = json_object_new_array();

    for (size_t i = 0; i < n_always; i++)
        add_once(out, always[i]);
    for (size_t i = 0; granted && i < json_object_array_length(granted); i++)
        add_once(out, json_object_get_string(json_object_array_get_idx(granted, i)));
    for (size_t i = 0; i < n; i++)
        add_once(out, asked[i]);
    return out;
}
#define JOINED(always, granted, asked, n) joined(always, sizeof(always) / sizeof *(always), granted, asked, n)

void hidden_paths_add(struct json_object *to, struct json_object *masked, struct json_object *readonly, const struct hidden_paths *asked)
{
    static const struct hidden_paths nothing = { .n_masked = 0 };
    const struct hidden_paths       *a       = asked ? asked : &nothing;

    json_add(to, "maskedPaths", JOINED(always_masked, masked, a->masked, a->n_masked));
    json_add(to, "readonlyPaths", JOINED(always_readonly, readonly, a->readonly, a->n_readonly));
}
