#include "guest/container/volumes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/container/sub_directory.h"
#include "guest/container/tree.h"

bool volume_path_is_in(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strncmp(path, directory, len) == 0 && (path[len] == 0 || path[len] == '/');
}

/* After each "/" a name: none is empty, "." or "..". */
static bool is_in_one_form(const char *path, const char **dotted)
{
    if (*path != '/')
        return false;
    while (*path) {
        const char *name = path + 1;
        size_t      len  = strcspn(name, "/");

        if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        if (strncmp(name, "..", 2) == 0)
            *dotted = name;
        path = name + len;
    }
    return true;
}

FALLIBLE volume_path_form_check(const char *path, struct err *err)
{
    const char *dotted = NULL; /* fine here */

    if (strlen(path) > VOLUME_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "path over %d characters", VOLUME_PATH_MAX);
    return is_in_one_form(path, &dotted) ||
           fail_with(err, ERR_MALFORMED, "path %.80s: wanted an absolute path below / without empty, . and .. components", path);
}

FALLIBLE volume_path_check(const char *path, struct err *err)
{
    static const char *const kept[] = { "/proc", "/sys", "/dev" };

    if (!volume_path_form_check(path, err))
        return context(err, "volume");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (volume_path_is_in(path, kept[i]))
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: nothing can be put into %s", path, kept[i]);
    return true;
}

FALLIBLE volume_directory_path_check(const char *path, struct err *err)
{
    return strcmp(path, "/dev/shm") == 0 || volume_path_check(path, err);
}

FALLIBLE termination_path_check(const char *path, struct err *err)
{
    return strcmp(path, TERMINATION_LOG) == 0 || volume_path_check(path, err);
}

FALLIBLE volume_below_check(const char *path, struct err *err)
{
    char        rooted[VOLUME_PATH_MAX + 2];
    const char *dotted = NULL;

    if ((size_t) snprintf(rooted, sizeof rooted, "/%s", path) >= sizeof rooted)
        return fail_with(err, ERR_LIMIT, "path in a volume over %d characters", VOLUME_PATH_MAX);
    if (!is_in_one_form(rooted, &dotted) || dotted)
        return fail_with(err, ERR_MALFORMED, "path in a volume %.80s: wanted a relative path without empty and . components and names that begin with ..",
                         path);
    return true;
}

static FALLIBLE check_name(const char *name, size_t most, struct err *err)
{
    size_t len = strnlen(name, most + 1);

    if (len > 0 && len <= most && *name != '-' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len)
        return true;
    return fail_with(err, ERR_MALFORMED, "volume name: wanted 1 to %zu of a-z, 0-9 and, not first, -", most);
}

FALLIBLE volume_name_check(const char *name, struct err *err)
{
    return check_name(name, VOLUME_NAME_MAX, err);
}

FALLIBLE volume_disk_name_check(const char *name, struct err *err)
{
    return check_name(name, VOLUME_DISK_NAME_MAX, err);
}

static FALLIBLE check_file(const struct volume_file *file, size_t *total, struct err *err)
{
    if (file->mode & ~0777u)
        return fail_with(err, ERR_MALFORMED, "file %.80s: mode %o is more than permissions", file->path, file->mode);
    if (file->content.len > VOLUME_FILE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "file %.80s: over %d bytes", file->path, VOLUME_FILE_LEN_MAX);
    *total += file->content.len;
    return *total <= VOLUME_FILES_LEN_MAX || fail_with(err, ERR_LIMIT, "files: over %d bytes together", VOLUME_FILES_LEN_MAX);
}

static FALLIBLE check_tree(const struct volume_file *files, size_t n, size_t *total, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!volume_below_check(files[i].path, err) || !check_file(&files[i], total, err))
            return false;
        for (size_t k = 0; k < n; k++)
            if (k != i && volume_path_is_in(files[i].path, files[k].path))
                return fail_with(err, ERR_MALFORMED, "path in a volume %.80s: is, or lies below, another file", files[i].path);
    }
    return true;
}

FALLIBLE volume_tree_check(const struct volume_file *files, size_t n, struct err *err)
{
    size_t total = 0;

    return check_tree(files, n, &total, err);
}

/* `self`: the path's own text, which stands in one of the lists. */
static FALLIBLE check_against(const struct volumes *v, const char *const *self, struct err *err)
{
    for (size_t i = 0; i < v->n_files; i++)
        if (self != &v->files[i].path && volume_path_is_in(*self, v->files[i].path))
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: is, or lies below, another file", *self);
    for (size_t i = 0; i < v->n_trees; i++)
        if (self != &v->trees[i].path && volume_path_is_in(*self, v->trees[i].path))
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: is, or lies in, another volume of files", *self);
    for (size_t i = 0; i < v->n_directories; i++)
        if (self != &v->directories[i].path && strcmp(*self, v->directories[i].path) == 0)
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: is named twice", *self);
    return true;
}

static FALLIBLE check_apart(const struct volume_disk *disk, const char *path, struct err *err)
{
    if (!volume_path_is_in(path, disk->path) && !volume_path_is_in(disk->path, path))
        return true;
    return fail_with(err, ERR_MALFORMED, "volume path %.80s: overlaps with the persistent volume at %.80s", path, disk->path);
}

static FALLIBLE check_disk(const struct volumes *v, size_t disk, struct err *err)
{
    const struct volume_disk *d = &v->disks[disk];

    if (!volume_path_check(d->path, err) || !volume_disk_name_check(d->volume, err))
        return false;
    for (size_t i = 0; i < v->n_files; i++)
        if (!check_apart(d, v->files[i].path, err))
            return false;
    for (size_t i = 0; i < v->n_directories; i++)
        if (!check_apart(d, v->directories[i].path, err))
            return false;
    for (size_t i = 0; i < v->n_trees; i++)
        if (!check_apart(d, v->trees[i].path, err))
            return false;
    if (v->termination_log && *v->termination_log && !check_apart(d, v->termination_log, err))
        return false;
    for (size_t i = 0; i < disk; i++)
        if (!check_apart(d, v->disks[i].path, err))
            return false;
    return true;
}

static bool has_sub_path(const struct volume_directory *directory)
{
    return directory->sub_path && *directory->sub_path;
}

static int by_length(const void *a, const void *b)
{
    size_t la = strlen(((const struct volume_directory *) a)->path), lb = strlen(((const struct volume_directory *) b)->path);

    return (la > lb) - (la < lb);
}

FALLIBLE volumes_check(struct volumes *volumes, struct err *err)
{
    const struct volumes *v       = volumes;
    bool                  has_log = v->termination_log && *v->termination_log;
    size_t                total   = 0;

    volumes->n_all = v->n_files;
    for (size_t i = 0; i < v->n_trees; i++)
        volumes->n_all += v->trees[i].n;
    for (size_t i = 0; i < v->n_files; i++)
        if (!volume_path_check(v->files[i].path, err) || !check_file(&v->files[i], &total, err) ||
            !check_against(v, &v->files[i].path, err))
            return false;
    for (size_t i = 0; i < v->n_trees; i++)
        if (!volume_path_check(v->trees[i].path, err) || !check_against(v, &v->trees[i].path, err) ||
            !check_tree(v->files + v->trees[i].first, v->trees[i].n, &total, err))
            return false;
    for (size_t i = 0; i < v->n_directories; i++)
        if (!volume_directory_path_check(v->directories[i].path, err) || !volume_name_check(v->directories[i].volume, err) ||
            (has_sub_path(&v->directories[i]) && !volume_below_check(v->directories[i].sub_path, err)) || !check_against(v, &v->directories[i].path, err))
            return false;
    if (has_log && (!termination_path_check(v->termination_log, err) || !check_against(v, &v->termination_log, err)))
        return false;
    for (size_t i = 0; i < volumes->n_disks; i++)
        if (!check_disk(volumes, i, err))
            return false;
    qsort(volumes->directories, volumes->n_directories, sizeof *volumes->directories, by_length);
    return true;
}

void volume_file_place(const char *folder, size_t i, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "%s/%zu", folder, i); /* both are short */
}

void volume_disk_place(const char *volume, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "/run/volumes/%s", volume); /* it is short */
}

void volume_tree_place(const char *folder, size_t i, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "%s/volume-%zu", folder, i); /* as above */
}

void volume_termination_place(const char *folder, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "%s/termination-log", folder); /* as above */
}

void volume_directory_place(const char *shared, const char *volume, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "%s/%s", shared, volume); /* likewise */
}

void volume_sub_place(const char *subs, size_t i, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "%s/%zu", subs, i); /* likewise */
}

static FALLIBLE make_file(const struct volume_file *file, const char *path, uid_t uid, gid_t gid, struct err *err)
{
    if (!file_write(path, file->content, file->mode, err))
        return false;
    return (geteuid() == uid && getegid() == gid) || lchown(path, uid, gid) == 0 || err_os(err, "owner of a file");
}

/* Kubernetes gives an empty directory to everyone. One with a bound is a file system of its own. */
static FALLIBLE make_shared(const char *path, uint64_t size, struct err *err)
{
    char        options[64];
    struct stat st;

    if (lstat(path, &st) == 0)
        return true;
    if (!directory_make(path, err))
        return false;
    (void) snprintf(options, sizeof options, "mode=0777,size=%llu", (unsigned long long) size); /* sized for it */
    if (size > 0 && mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return err_os(err, "memory of an empty directory");
    return chmod(path, 0777) == 0 || err_os(err, "mode of an empty directory");
}

static FALLIBLE make_sub(const struct volume_directory *directory, const struct volume_places *places, size_t i, struct err *err)
{
    char volume[VOLUME_HOST_PATH_MAX], place[VOLUME_HOST_PATH_MAX];

    if (!has_sub_path(directory))
        return true;
    volume_directory_place(places->shared, directory->volume, volume);
    volume_sub_place(places->subs, i, place);
    return sub_directory_mount(volume, directory->sub_path, place, err);
}

static FALLIBLE make_termination_log(const char *folder, struct err *err)
{
    char path[VOLUME_HOST_PATH_MAX];

    volume_termination_place(folder, path);
    return file_write(path, (struct bytes){ 0 }, 0666, err);
}

FALLIBLE volumes_make(const struct volumes *volumes, const struct volume_places *places, uid_t uid, gid_t gid, struct err *err)
{
    char path[VOLUME_HOST_PATH_MAX];

    if (!directory_make(places->folder, err))
        return false;
    for (size_t i = 0; i < volumes->n_files; i++) {
        volume_file_place(places->folder, i, path);
        if (!make_file(&volumes->files[i], path, uid, gid, err))
            return contextf(err, "file %.80s", volumes->files[i].path);
    }
    for (size_t i = 0; i < volumes->n_trees; i++) {
        const struct volume_tree *tree = &volumes->trees[i];

        volume_tree_place(places->folder, i, path);
        if (!tree_write(path, volumes->files + tree->first, tree->n, uid, gid, err))
            return contextf(err, "volume %.80s", tree->path);
    }
    for (size_t i = 0; i < volumes->n_directories; i++) {
        volume_directory_place(places->shared, volumes->directories[i].volume, path);
        if (!make_shared(path, volumes->directories[i].size, err) || !make_sub(&volumes->directories[i], places, i, err))
            return contextf(err, "directory %.80s", volumes->directories[i].path);
    }
    return !volumes->termination_log || !*volumes->termination_log || make_termination_log(places->folder, err);
}

void volumes_unmake(const struct volume_places *places)
{
    char path[VOLUME_HOST_PATH_MAX];

    for (size_t i = 0; i < VOLUME_DIRECTORIES_MAX; i++) {
        volume_sub_place(places->subs, i, path);
        sub_directory_unmount(path);
    }
    (void) rmdir(places->subs); /* most often it is not there */
}
