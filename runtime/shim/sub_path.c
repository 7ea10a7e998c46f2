#include "runtime/shim/sub_path.h"

#include <stdio.h>
#include <string.h>

#include "runtime/shim/mountinfo.h"

static const char form[] = "/volume-subpaths/";

static const struct { const char *folder; enum sub_path_kind kind; } kinds[] = {
    { "empty-dir", SUB_PATH_EMPTY }, { "configmap", SUB_PATH_FILES },    { "secret", SUB_PATH_FILES },
    { "projected", SUB_PATH_FILES }, { "downward-api", SUB_PATH_FILES },
};

/* The name behind the form; its length is 0 for a path of another one. */
static size_t volume_name(const char *source, const char **name)
{
    const char *at = strstr(source, form);

    *name = at ? at + sizeof form - 1 : source;
    return at ? strcspn(*name, "/") : 0;
}

bool sub_path_is(const char *source)
{
    const char *name;
    size_t      len = volume_name(source, &name);

    return *source == '/' && len > 0 && len <= VOLUME_NAME_MAX && name[len] == '/';
}

/* What is behind `folder` in `path`, "" for itself; NULL when it is not in it. */
static const char *behind(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    if (len == 1)
        return path + 1;
    if (strncmp(path, folder, len) != 0 || (path[len] && path[len] != '/'))
        return NULL;
    return path + len + (path[len] == '/');
}

/* The line of the mount that `path` lies in: of several at one place the last is on top. False when there is none. */
static FALLIBLE find_mount(struct bytes mountinfo, const char *path, struct mount_line *out, bool *is_found, struct err *err)
{
    struct mount_line line;
    size_t            longest = 0;
    bool              is_there;

    *is_found = false;
    for (;;) {
        if (!mountinfo_next(&mountinfo, &line, &is_there, err))
            return false;
        if (!is_there)
            return true;
        if (behind(path, line.point) && strlen(line.point) >= longest) {
            longest   = strlen(line.point);
            *out      = line;
            *is_found = true;
        }
    }
}

/* Whether `mount` shows something of the volume at `folder`. */
static FALLIBLE is_of(struct bytes mountinfo, const struct mount_line *mount, const char *folder, const char **path, struct err *err)
{
    struct mount_line holder;
    char              root[2 * PATH_MAX];
    bool              is_found;

    *path = NULL;
    if (!find_mount(mountinfo, folder, &holder, &is_found, err))
        return false;
    if (!is_found || strcmp(holder.device, mount->device) != 0)
        return true;
    const char *below = behind(folder, holder.point);
    (void) snprintf(root, sizeof root, "%s%s%s", strcmp(holder.root, "/") == 0 && *below ? "" : holder.root, *below ? "/" : "", below); /* fits */
    *path = behind(mount->root, root);
    return true;
}

FALLIBLE sub_path_find(struct bytes mountinfo, const char *source, struct sub_path *out, struct err *err)
{
    struct sub_path   found = { SUB_PATH_NONE, "", "" };
    struct mount_line mount;
    const char       *name, *path;
    bool              is_found;
    size_t            len = volume_name(source, &name);

    *out = found;
    if (!sub_path_is(source))
        return true;
    if (!find_mount(mountinfo, source, &mount, &is_found, err))
        return false;
    if (!is_found || strcmp(mount.point, source) != 0)
        return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char folder[PATH_MAX];

        if ((size_t) snprintf(folder, sizeof folder, "%.*s/volumes/kubernetes.io~%s/%.*s", (int) (strstr(source, form) - source), source,
                              kinds[i].folder, (int) len, name) >= sizeof folder)
            return fail_with(err, ERR_LIMIT, "a path over %d characters", PATH_MAX - 1);
        if (!is_of(mountinfo, &mount, folder, &path, err))
            return false;
        if (!path)
            continue;
        if (strlen(path) > VOLUME_PATH_MAX)
            return fail_with(err, ERR_LIMIT, "subPath: over %d characters", VOLUME_PATH_MAX);
        found.kind = kinds[i].kind;
        (void) snprintf(found.volume, sizeof found.volume, "%.*s", (int) len, name); /* its length was checked */
        (void) snprintf(found.path, sizeof found.path, "%s", path); /* as above */
        break;
    }
    *out = found;
    return true;
}
