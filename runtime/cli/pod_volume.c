#include "runtime/cli/pod_volume.h"

#include <stdio.h>
#include <string.h>

#include "keys/api/rcar.h"

static FALLIBLE copy(const char *from, size_t len, char *to, size_t room, const char *option, struct err *err)
{
    if (len == 0 || len >= room)
        return fail_with(err, ERR_CONFIG, "%.160s: NAME=FILE:PATH[:ro|:new] is wanted, each part of it shorter than %zu characters", option, room);
    memcpy(to, from, len);
    to[len] = 0;
    return true;
}

/* Off the end: a mode, then the path, which begins with the last ":/" there is. */
static FALLIBLE read_volume(const char *option, struct pod_volume *out, struct err *err)
{
    const char *file = strchr(option, '='), *end = option + strlen(option), *path = NULL;

    if (!file)
        return fail_with(err, ERR_CONFIG, "--volume %.160s: NAME=FILE:PATH[:ro|:new] is wanted", option);
    file++;
    if (end - file > 3 && strcmp(end - 3, ":ro") == 0)
        out->read_only = true, end -= 3;
    else if (end - file > 4 && strcmp(end - 4, ":new") == 0)
        out->format = true, end -= 4;
    for (const char *at = file; at + 1 < end; at++)
        if (at[0] == ':' && at[1] == '/')
            path = at + 1;
    if (!path)
        return fail_with(err, ERR_CONFIG, "--volume %.160s: NAME=FILE:PATH[:ro|:new] is wanted, PATH absolute", option);
    if (strspn(option, "abcdefghijklmnopqrstuvwxyz0123456789-") != (size_t) (file - 1 - option) || *option == '-')
        return fail_with(err, ERR_CONFIG, "--volume %.160s: a name has a-z, 0-9 and, not first, -", option);
    return copy(option, (size_t) (file - 1 - option), out->name, sizeof out->name, option, err) &&
           copy(file, (size_t) (path - 1 - file), out->file, sizeof out->file, option, err) &&
           copy(path, (size_t) (end - path), out->path, sizeof out->path, option, err);
}

static struct pod_volume *find(struct pod_volumes *volumes, const char *name, size_t len)
{
    for (size_t i = 0; i < volumes->n; i++)
        if (strlen(volumes->at[i].name) == len && strncmp(volumes->at[i].name, name, len) == 0)
            return &volumes->at[i];
    return NULL;
}

static FALLIBLE read_key(const char *option, struct pod_volumes *volumes, struct err *err)
{
    size_t             len    = strcspn(option, "=");
    struct pod_volume *volume = find(volumes, option, len);
    const char        *path;

    if (option[len] != '=' || !volume)
        return fail_with(err, ERR_CONFIG, "--volume-key %.160s: NAME=kbs:///REPOSITORY/TYPE/TAG is wanted, NAME of a --volume", option);
    if (!rcar_path_of_uri(option + len + 1, &path, err))
        return context(err, "--volume-key");
    return copy(option + len + 1, strlen(option + len + 1), volume->key, sizeof volume->key, option, err);
}

FALLIBLE pod_volumes_read(const struct option_list *volumes, const struct option_list *keys, struct pod_volumes *out, struct err *err)
{
    if (volumes->n > VOLUME_DISKS_MAX)
        return fail_with(err, ERR_CONFIG, "--volume: at most %d", VOLUME_DISKS_MAX);
    for (size_t i = 0; i < volumes->n; i++) {
        struct pod_volume one = { 0 };

        if (!read_volume(volumes->at[i], &one, err))
            return false;
        if (find(out, one.name, strlen(one.name)))
            return fail_with(err, ERR_CONFIG, "--volume %s: named twice", one.name);
        (void) snprintf(one.key, sizeof one.key, "kbs:///default/volume/%s", one.name); /* fits */
        out->at[out->n++] = one;
    }
    for (size_t i = 0; i < keys->n; i++)
        if (!read_key(keys->at[i], out, err))
            return false;
    return true;
}
