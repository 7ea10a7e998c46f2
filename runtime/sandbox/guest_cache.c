#include "runtime/sandbox/guest_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"

#define BLOBS "blobs/sha256"

enum { FREE_MIN_PERCENT = 5 }; /* of the file system: a cache must not fill the host's disk */

FALLIBLE blob_path(const char *digest, char path[static BLOB_PATH_LEN], struct err *err)
{
    if (strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 7 + 64 ||
        strspn(digest + 7, "0123456789abcdef") != 64)
        return fail_with(err, ERR_MALFORMED, "blob digest");
    (void) snprintf(path, BLOB_PATH_LEN, BLOBS "/%s", digest + 7); /* the length was checked */
    return true;
}

FALLIBLE guest_cache_open(const char *folder, uint64_t bytes_max, struct guest_cache *out, struct err *err)
{
    AUTO(text) char *blobs = NULL;

    if (asprintf(&blobs, "%s/" BLOBS, folder) < 0)
        abort();
    if (!directory_make(blobs, err))
        return false;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_os(err, "open %s", folder);
    *out           = NO_GUEST_CACHE;
    out->folder_fd = fd;
    out->bytes_max  = bytes_max;
    out->bytes_left = bytes_max / 2;
    out->blobs_left = GUEST_BLOBS_MAX;
    return true;
}

static void incoming_drop(struct guest_cache *cache)
{
    auto_fd(&cache->fd);
    cache->fd = NO_FD;
    auto_digest_run(&cache->digest);
    cache->digest = (struct digest_run){ 0 };
}

void guest_cache_close(struct guest_cache *cache)
{
    incoming_drop(cache);
    auto_fd(&cache->folder_fd);
    cache->folder_fd = NO_FD;
}

FALLIBLE guest_cache_get(const struct guest_cache *cache, const char *digest, int *out_fd, struct err *err)
{
    char path[BLOB_PATH_LEN];

    if (!blob_path(digest, path, err))
        return false;
    AUTO(fd) int fd = openat(cache->folder_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "%s is not in the node's cache", digest)
                               : err_os(err, "open %s", digest);
    (void) futimens(fd, NULL); /* only the order in which blobs make room */
    *out_fd = TAKE_FD(fd);
    return true;
}

/* ---- room ---- */

struct kept {
    char            name[64 + 1];
    uint64_t        size;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct kept *) a)->used, *y = &((const struct kept *) b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static struct kept *list_kept(int blobs_fd, size_t *n, uint64_t *total)
{
    int          copy = dup(blobs_fd);
    DIR         *dir  = copy < 0 ? NULL : fdopendir(copy);
    struct kept *list = NULL;

    *n = *total = 0;
    if (!dir && copy >= 0)
        (void) close(copy);
    if (dir)
        rewinddir(dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat st;

        if (strlen(entry->d_name) != 64 || fstatat(blobs_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (*n % 256 == 0 && !(list = reallocarray(list, *n + 256, sizeof *list)))
            abort();
        memcpy(list[*n].name, entry->d_name, 65);
        list[*n].size = (uint64_t) st.st_size;
        list[*n].used = st.st_mtim;
        *total += list[(*n)++].size;
    }
    if (dir)
        (void) closedir(dir);
    return list;
}

static bool has_free_disk(int fd, uint64_t size)
{
    struct statvfs fs;

    if (fstatvfs(fd, &fs) < 0)
        return false;
    uint64_t free_bytes = (uint64_t) fs.f_bavail * fs.f_frsize, all = (uint64_t) fs.f_blocks * fs.f_frsize;

    return free_bytes >= size && free_bytes - size >= all / 100 * FREE_MIN_PERCENT;
}

/* Another process may do the same beside us: it would remove a few blobs more than necessary, and no harm is done. */
static FALLIBLE make_room(const struct guest_cache *cache, uint64_t size, struct err *err)
{
    AUTO(fd) int blobs_fd = openat(cache->folder_fd, BLOBS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    uint64_t     total;
    size_t       n, i = 0;

    if (blobs_fd < 0)
        return err_os(err, "open the node's cache");
    struct kept *list = list_kept(blobs_fd, &n, &total);

    if (n > 0)
        qsort(list, n, sizeof *list, by_use);
    for (; i < n && (total > cache->bytes_max - size || n - i >= GUEST_CACHE_BLOBS_MAX || !has_free_disk(blobs_fd, size)); i++) {
        (void) unlinkat(blobs_fd, list[i].name, 0); /* gone already: fine */
        total -= list[i].size;
    }
    free(list);
    return has_free_disk(blobs_fd, size) || fail_with(err, ERR_LIMIT, "the disk of the node's cache is full");
}

/* ---- arriving ---- */

static FALLIBLE begin(struct guest_cache *cache, const char *digest, uint64_t size, struct err *err)
{
    incoming_drop(cache);
    if (!blob_path(digest, cache->path, err))
        return false;
    if (size > cache->bytes_left || cache->blobs_left == 0)
        return fail_with(err, ERR_LIMIT, "this guest has brought enough into the node's cache");
    if (!make_room(cache, size, err))
        return false;
    cache->fd = openat(cache->folder_fd, BLOBS, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (cache->fd < 0)
        return err_os(err, "make a file in the node's cache");
    cache->bytes_left -= size;
    cache->blobs_left--;
    cache->offset = 0;
    cache->size   = size;
    digest_run_begin(&cache->digest, DIGEST_SHA256);
    return true;
}

static FALLIBLE keep(struct guest_cache *cache, struct err *err)
{
    struct digest      found;
    struct digest_text text;
    char               by_number[32];

    digest_run_end(&cache->digest, &found);
    text = digest_text(&found);
    if (strcmp(digest_hex(&text), cache->path + sizeof BLOBS) != 0)
        return fail_with(err, ERR_UNTRUSTED, "digest does not match: these bytes are %s", text.at);
    (void) snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", cache->fd); /* fits any number */
    return linkat(AT_FDCWD, by_number, cache->folder_fd, cache->path, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST ||
           err_os(err, "keep a blob");
}

static FALLIBLE take_piece(struct guest_cache *cache, const char *digest, uint64_t offset, uint64_t size,
                           struct bytes piece, struct err *err)
{
    char path[BLOB_PATH_LEN];

    if (offset == 0 && !begin(cache, digest, size, err))
        return false;
    if (!blob_path(digest, path, err))
        return false;
    if (cache->fd < 0 || strcmp(path, cache->path) != 0 || offset != cache->offset || size != cache->size ||
        piece.len > cache->size - cache->offset)
        return fail_with(err, ERR_MALFORMED, "a piece out of order");
    if (!write_all(cache->fd, piece, err))
        return context(err, "keep a blob");
    digest_run_update(&cache->digest, piece);
    cache->offset += piece.len;
    return true;
}

FALLIBLE guest_cache_put(struct guest_cache *cache, const char *digest, uint64_t offset, uint64_t size, struct bytes piece,
                        struct err *err)
{
    bool ok = take_piece(cache, digest, offset, size, piece, err);

    if (ok && cache->offset < cache->size)
        return true;
    ok = ok && keep(cache, err);
    incoming_drop(cache);
    return ok;
}
