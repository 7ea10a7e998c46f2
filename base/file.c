#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

FALLIBLE file_read_fd(int fd, size_t len_max, struct buffer *out, struct err *err)
{
    size_t  start = out->len;
    uint8_t block[8192]; /* PID 1 of a guest would keep the pages of a larger one */

    for (;;) {
        ssize_t n = read(fd, block, sizeof block);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "read");
        if (n == 0)
            return true;
        if ((size_t) n > len_max - (out->len - start))
            return fail_with(err, ERR_LIMIT, "more than %zu bytes", len_max);
        buffer_append(out, (struct bytes){ block, (size_t) n });
    }
}

FALLIBLE file_read(const char *path, size_t len_max, struct buffer *out, struct err *err)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat  at;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return fail_with(err, ERR_NOT_FOUND, "%s: no such file", path);
    if (fd < 0)
        return err_os(err, "open %s", path);
    if (fstat(fd, &at) < 0 || S_ISDIR(at.st_mode))
        return fail_with(err, ERR_CONFIG, "%s: is a directory, a file is wanted", path);
    return file_read_fd(fd, len_max, out, err) || context(err, path);
}

FALLIBLE write_all(int fd, struct bytes content, struct err *err)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.at, content.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "write");
        content.at += n;
        content.len -= (size_t) n;
    }
    return true;
}

static FALLIBLE write_and_sync(int fd, struct bytes content, mode_t mode, struct err *err)
{
    if (!write_all(fd, content, err))
        return false;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return err_os(err, "sync");
    return true;
}

FALLIBLE file_write(const char *path, struct bytes content, mode_t mode, struct err *err)
{
    char         temporary[PATH_MAX];
    AUTO(fd) int fd = NO_FD;
    int          n  = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);

    if (n < 0 || (size_t) n >= sizeof temporary)
        return fail_with(err, ERR_LIMIT, "write %s: the path is too long", path);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return err_os(err, "write %s", path);
    if (!write_and_sync(fd, content, mode, err)) {
        (void) unlink(temporary); /* already failing; the first cause is the one to report */
        return contextf(err, "write %s", path);
    }
    if (rename(temporary, path) < 0) {
        (void) err_os(err, "write %s", path);
        (void) unlink(temporary); /* as above */
        return false;
    }
    return true;
}

/* One that is there counts, also for a process that may make none; `kept` is errno afterwards. */
static bool is_directory(const char *path, int kept)
{
    struct stat st;
    bool        is = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

    errno = kept;
    return is;
}

FALLIBLE directory_make(const char *path, struct err *err)
{
    char   made[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof made)
        return fail_with(err, ERR_CONFIG, "make directory: a path of %zu bytes", len);
    memcpy(made, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (made[i] != '/' && made[i] != 0)
            continue;
        made[i] = 0;
        if (mkdir(made, 0755) < 0 && errno != EEXIST && !is_directory(made, errno))
            return err_os(err, "make directory %s", made);
        made[i] = path[i];
    }
    return true;
}

/* Neither into what is mounted there nor along a link. Sets errno. */
static int folder_open(int at, const char *name)
{
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS };

    return (int) syscall(SYS_openat2, at, name, &how, sizeof how);
}

/* A file, or a directory with nothing in it. Sets errno, to ENOTEMPTY for any other directory. */
static bool entry_remove(int folder, const char *name)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return false;
    if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    if (errno == EEXIST)
        errno = ENOTEMPTY;
    return false;
}

/* Under a name that has nothing in it there, if anything: all of it will be removed. Sets errno. */
static bool move_up(int folder, const char *name, int top, unsigned *n_moved)
{
    char other[32];

    for (;;) {
        (void) snprintf(other, sizeof other, ".removed-%u", (*n_moved)++); /* fits */
        if (renameat(folder, name, top, other) == 0 || errno == ENOENT)
            return true;
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
            return false;
    }
}

/* Directories in `folder` that are not empty go beside it, into `top`. Sets errno. */
static bool folder_empty(int folder_take, int top, unsigned *n_moved)
{
    AUTO(dir) DIR *all = fdopendir(folder_take);

    if (!all) {
        (void) close(folder_take); /* only looked at */
        return false;
    }
    for (struct dirent *entry; errno = 0, (entry = readdir(all));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || entry_remove(dirfd(all), entry->d_name))
            continue;
        if (errno != ENOTEMPTY)
            return false;
        if (!move_up(dirfd(all), entry->d_name, top, n_moved))
            return false;
    }
    return errno == 0;
}

/* One round over the directory; `is_empty` when nothing was left. Sets errno. */
static bool top_empty(int top, unsigned *n_moved, bool *is_empty)
{
    AUTO(dir) DIR *all = fdopendir(openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

    *is_empty = true;
    if (!all)
        return false;
    for (struct dirent *entry; errno = 0, (entry = readdir(all));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *is_empty = false;
        if (entry_remove(top, entry->d_name))
            continue;
        if (errno != ENOTEMPTY)
            return false;
        int folder = folder_open(top, entry->d_name);

        if (folder < 0 || !folder_empty(folder, top, n_moved))
            return false;
        if (!entry_remove(top, entry->d_name) && errno != ENOTEMPTY) /* what came meanwhile is for the next round */
            return false;
    }
    return errno == 0;
}

/* Flat: each directory is emptied beside the first one, so that depth costs neither stack nor descriptors, and no path is too long. */
FALLIBLE directory_remove(const char *path, struct err *err)
{
    AUTO(fd) int top      = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    unsigned     n_moved  = 0;
    bool         is_empty = false;

    if (top < 0 && errno == ENOENT)
        return true;
    if (top < 0 && (errno == ENOTDIR || errno == ELOOP))
        return unlink(path) == 0 || errno == ENOENT || err_os(err, "remove %s", path);
    if (top < 0)
        return err_os(err, "remove %s", path);
    while (!is_empty)
        if (!top_empty(top, &n_moved, &is_empty))
            return err_os(err, "remove %s", path);
    return rmdir(path) == 0 || errno == ENOENT || err_os(err, "remove %s", path);
}

FALLIBLE directory_make_temporary(const char *prefix, char **out, struct err *err)
{
    const char *parent = getenv("TMPDIR");
    char       *made   = NULL;

    if (asprintf(&made, "%s/%sXXXXXX", parent && parent[0] ? parent : "/tmp", prefix) < 0)
        abort();
    if (!mkdtemp(made)) {
        (void) err_os(err, "make directory %s", made);
        free(made);
        return false;
    }
    *out = made;
    return true;
}

FALLIBLE memory_file(const char *name, struct bytes content, int *out_fd, struct err *err)
{
    AUTO(fd) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char         path[32];

    if (fd < 0)
        return err_os(err, "memory file %s", name);
    if (!write_all(fd, content, err))
        return contextf(err, "memory file %s", name);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return err_os(err, "memory file %s", name);
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* fits */
    *out_fd = open(path, O_RDONLY | O_CLOEXEC);
    return *out_fd >= 0 || err_os(err, "memory file %s", name);
}
