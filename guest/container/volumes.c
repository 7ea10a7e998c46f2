#include "guest/container/volumes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

bool volume_path_is_in(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strncmp(path, directory, len) == 0 && (path[len] == 0 || path[len] == '/');
}

/* No empty component, no "." and no "..". */
static bool is_in_one_form(const char *path)
{
    if (*path != '/')
        return false;
    while (*path) {
        const char *name = path + 1;
        size_t      len  = strcspn(name, "/");

        if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        path = name + len;
    }
    return true;
}

FALLIBLE volume_path_check(const char *path, struct err *err)
{
    static const char *const kept[] = { "/proc", "/sys", "/dev" };

    if (strlen(path) > VOLUME_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "volume path over %d characters", VOLUME_PATH_MAX);
    if (!is_in_one_form(path))
        return fail_with(err, ERR_MALFORMED, "volume path %.80s: wanted an absolute path below / without empty, . and .. components", path);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (volume_path_is_in(path, kept[i]))
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: nothing can be put into %s", path, kept[i]);
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
    if (!volume_path_check(file->path, err))
        return false;
    if (file->mode & ~0777u)
        return fail_with(err, ERR_MALFORMED, "file %.80s: mode %o is more than permissions", file->path, file->mode);
    if (file->content.len > VOLUME_FILE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "file %.80s: over %d bytes", file->path, VOLUME_FILE_LEN_MAX);
    *total += file->content.len;
    return *total <= VOLUME_FILES_LEN_MAX || fail_with(err, ERR_LIMIT, "files: over %d bytes together", VOLUME_FILES_LEN_MAX);
}

static FALLIBLE check_against(const struct volumes *v, const char *path, size_t file, size_t directory, struct err *err)
{
    for (size_t i = 0; i < v->n_files; i++)
        if (i != file && volume_path_is_in(path, v->files[i].path))
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: is, or lies below, another file", path);
    for (size_t i = 0; i < v->n_directories; i++)
        if (i != directory && strcmp(path, v->directories[i].path) == 0)
            return fail_with(err, ERR_MALFORMED, "volume path %.80s: is named twice", path);
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
    for (size_t i = 0; i < disk; i++)
        if (!check_apart(d, v->disks[i].path, err))
            return false;
    return true;
}

static int by_length(const void *a, const void *b)
{
    size_t la = strlen(((const struct volume_directory *) a)->path), lb = strlen(((const struct volume_directory *) b)->path);

    return (la > lb) - (la < lb);
}

FALLIBLE volumes_check(struct volumes *volumes, struct err *err)
{
    size_t total = 0;

    for (size_t i = 0; i < volumes->n_files; i++)
        if (!check_file(&volumes->files[i], &total, err) || !check_against(volumes, volumes->files[i].path, i, SIZE_MAX, err))
            return false;
    for (size_t i = 0; i < volumes->n_directories; i++)
        if (!volume_path_check(volumes->directories[i].path, err) || !volume_name_check(volumes->directories[i].volume, err) ||
            !check_against(volumes, volumes->directories[i].path, SIZE_MAX, i, err))
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

void volume_directory_place(const char *shared, const char *volume, char out[static VOLUME_HOST_PATH_MAX])
{
    (void) snprintf(out, VOLUME_HOST_PATH_MAX, "%s/%s", shared, volume); /* likewise */
}

static FALLIBLE make_file(const struct volume_file *file, const char *path, uid_t uid, gid_t gid, struct err *err)
{
    if (!file_write(path, file->content, file->mode, err))
        return false;
    return (geteuid() == uid && getegid() == gid) || lchown(path, uid, gid) == 0 || err_os(err, "owner of a file");
}

/* Kubernetes gives an empty directory to everyone. */
static FALLIBLE make_shared(const char *path, struct err *err)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        return true;
    return directory_make(path, err) && (chmod(path, 0777) == 0 || err_os(err, "mode of an empty directory"));
}

FALLIBLE volumes_make(const struct volumes *volumes, const char *folder, const char *shared, uid_t uid, gid_t gid,
                      struct err *err)
{
    char path[VOLUME_HOST_PATH_MAX];

    if (volumes->n_files > 0 && !directory_make(folder, err))
        return false;
    for (size_t i = 0; i < volumes->n_files; i++) {
        volume_file_place(folder, i, path);
        if (!make_file(&volumes->files[i], path, uid, gid, err))
            return contextf(err, "file %.80s", volumes->files[i].path);
    }
    for (size_t i = 0; i < volumes->n_directories; i++) {
        volume_directory_place(shared, volumes->directories[i].volume, path);
        if (!make_shared(path, err))
            return contextf(err, "directory %.80s", volumes->directories[i].path);
    }
    return true;
}
