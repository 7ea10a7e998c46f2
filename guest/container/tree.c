#include "guest/container/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { GENERATION_LEN_MAX = 24 };

/* The number in the link's target "..N"; 0: there is none yet. */
static unsigned long current_generation(const char *folder)
{
    char    link[VOLUME_HOST_PATH_MAX], target[GENERATION_LEN_MAX] = "";

    (void) snprintf(link, sizeof link, "%s/..data", folder); /* short, as all of these */
    ssize_t len = readlink(link, target, sizeof target - 1);
    return len > 2 ? strtoul(target + 2, NULL, 10) : 0;
}

static FALLIBLE write_file(const char *folder, const struct volume_file *file, uid_t uid, gid_t gid, struct err *err)
{
    char  path[VOLUME_HOST_PATH_MAX];
    char *end;

    if ((size_t) snprintf(path, sizeof path, "%s/%s", folder, file->path) >= sizeof path)
        return fail_with(err, ERR_LIMIT, "a path over %d characters", VOLUME_HOST_PATH_MAX);
    end  = strrchr(path, '/');
    *end = 0;
    if (!directory_make(path, err))
        return false;
    *end = '/';
    if (!file_write(path, file->content, file->mode, err))
        return false;
    return (geteuid() == uid && getegid() == gid) || lchown(path, uid, gid) == 0 || err_os(err, "owner of a file");
}

static FALLIBLE write_generation(const char *place, const struct volume_file *files, size_t n, uid_t uid, gid_t gid, struct err *err)
{
    if (!directory_remove(place, err) || !directory_make(place, err)) /* one that could not be finished may be there */
        return false;
    for (size_t i = 0; i < n; i++)
        if (!write_file(place, &files[i], uid, gid, err))
            return contextf(err, "file %.80s", files[i].path);
    return true;
}

static FALLIBLE point_to(const char *folder, unsigned long generation, struct err *err)
{
    char target[GENERATION_LEN_MAX], link[VOLUME_HOST_PATH_MAX], next[VOLUME_HOST_PATH_MAX];

    (void) snprintf(target, sizeof target, "..%lu", generation);
    (void) snprintf(link, sizeof link, "%s/..data", folder);
    (void) snprintf(next, sizeof next, "%s/..data_tmp", folder);
    if (unlink(next) < 0 && errno != ENOENT)
        return err_os(err, "volume");
    return (symlink(target, next) == 0 && rename(next, link) == 0) || err_os(err, "volume");
}

static size_t first_len(const char *path)
{
    return strcspn(path, "/");
}

static FALLIBLE make_links(const char *folder, const struct volume_file *files, size_t n, struct err *err)
{
    char link[VOLUME_HOST_PATH_MAX], target[VOLUME_HOST_PATH_MAX];

    for (size_t i = 0; i < n; i++) {
        int len = (int) first_len(files[i].path);

        (void) snprintf(link, sizeof link, "%s/%.*s", folder, len, files[i].path);
        (void) snprintf(target, sizeof target, "..data/%.*s", len, files[i].path);
        if (symlink(target, link) < 0 && errno != EEXIST)
            return err_os(err, "volume");
    }
    return true;
}

static bool is_wanted(const char *name, const struct volume_file *files, size_t n)
{
    if (strncmp(name, "..", 2) == 0 || strcmp(name, ".") == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (first_len(files[i].path) == strlen(name) && strncmp(files[i].path, name, strlen(name)) == 0)
            return true;
    return false;
}

static FALLIBLE remove_links(const char *folder, const struct volume_file *files, size_t n, struct err *err)
{
    AUTO(dir) DIR *all = opendir(folder);
    struct dirent *row;

    if (!all)
        return err_os(err, "volume");
    while ((row = readdir(all)))
        if (!is_wanted(row->d_name, files, n) && unlinkat(dirfd(all), row->d_name, 0) < 0)
            return err_os(err, "volume");
    return true;
}

FALLIBLE tree_write(const char *folder, const struct volume_file *files, size_t n, uid_t uid, gid_t gid, struct err *err)
{
    unsigned long old = current_generation(folder);
    char          place[VOLUME_HOST_PATH_MAX], before[VOLUME_HOST_PATH_MAX];
    struct err    ignored;

    if (!directory_make(folder, err))
        return false;
    (void) snprintf(place, sizeof place, "%s/..%lu", folder, old + 1);
    (void) snprintf(before, sizeof before, "%s/..%lu", folder, old);
    if (!write_generation(place, files, n, uid, gid, err) || !point_to(folder, old + 1, err)) {
        (void) !directory_remove(place, &ignored); /* already failing; and the next one begins with that */
        return false;
    }
    return make_links(folder, files, n, err) && remove_links(folder, files, n, err) &&
           (old == 0 || directory_remove(before, err));
}
