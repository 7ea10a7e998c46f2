#include "guest/api/tree_digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

enum { PIECE_LEN = 64 << 10 };

struct walk {
    EVP_MD_CTX         *all;
    struct tree_digest *out;
    uint8_t            *piece;
    char                path[TREE_PATH_MAX + 1];
};

static FALLIBLE hash(EVP_MD_CTX *ctx, struct bytes what, struct err *err)
{
    return EVP_DigestUpdate(ctx, what.at, what.len) == 1 || err_openssl(err, ERR_OS, "SHA-256");
}

static FALLIBLE add_record(struct walk *w, char type, mode_t mode, uint64_t size, const uint8_t *content, struct err *err)
{
    AUTO(buffer) struct buffer record = { 0 };

    if (++w->out->entries > TREE_ENTRIES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d entries", TREE_ENTRIES_MAX);
    buffer_printf(&record, "%c %04o %llu ", type, (unsigned) (mode & 07777), (unsigned long long) size);
    if (content)
        hex_append(&record, (struct bytes){ content, SHA256_LEN });
    else
        buffer_append_text(&record, "-");
    buffer_printf(&record, " %s", w->path);
    buffer_append(&record, (struct bytes){ (const uint8_t *) "", 1 });
    return hash(w->all, buffer_bytes(&record), err);
}

/* What is read counts, not what its inode said before. */
static FALLIBLE file_digest(struct walk *w, int fd, uint64_t *size, uint8_t digest[static SHA256_LEN], struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    *size = 0;
    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        return err_openssl(err, ERR_OS, "SHA-256");
    for (;;) {
        ssize_t n = read(fd, w->piece, PIECE_LEN);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "read %.120s", w->path);
        if (n == 0)
            break;
        *size += (uint64_t) n;
        if (!hash(ctx, (struct bytes){ w->piece, (size_t) n }, err))
            return false;
    }
    w->out->bytes += *size;
    return EVP_DigestFinal_ex(ctx, digest, NULL) == 1 || err_openssl(err, ERR_OS, "SHA-256");
}

static FALLIBLE add_file(struct walk *w, int parent, const char *name, const struct stat *st, struct err *err)
{
    AUTO(fd) int fd = openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    uint8_t      digest[SHA256_LEN];
    uint64_t     size;

    if (fd < 0)
        return err_os(err, "open %.120s", w->path);
    return file_digest(w, fd, &size, digest, err) && add_record(w, 'f', st->st_mode, size, digest, err);
}

static FALLIBLE add_link(struct walk *w, int parent, const char *name, struct err *err)
{
    char    target[TREE_PATH_MAX];
    uint8_t digest[SHA256_LEN];
    ssize_t len = readlinkat(parent, name, target, sizeof target);

    if (len < 0 || len == sizeof target)
        return len < 0 ? err_os(err, "link %.120s", w->path) : fail_with(err, ERR_LIMIT, "link %.120s", w->path);
    sha256_of((struct bytes){ (const uint8_t *) target, (size_t) len }, digest);
    return add_record(w, 'l', 0777, (uint64_t) len, digest, err);
}

struct names {
    char **at;
    size_t n, capacity;
};

static void auto_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->at[i]);
    free(names->at);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static FALLIBLE list(const struct walk *w, DIR *directory, struct names *out, struct err *err)
{
    errno = 0;
    for (struct dirent *entry; (entry = readdir(directory)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (w->out->entries + out->n >= TREE_ENTRIES_MAX)
            return fail_with(err, ERR_LIMIT, "over %d entries", TREE_ENTRIES_MAX);
        if (out->n == out->capacity) {
            out->capacity = out->capacity ? 2 * out->capacity : 64;
            out->at       = reallocarray(out->at, out->capacity, sizeof *out->at);
        }
        if (!out->at || !(out->at[out->n] = strdup(entry->d_name)))
            abort();
        out->n++;
    }
    if (errno)
        return err_os(err, "list %.120s", w->path);
    if (out->n > 0)
        qsort(out->at, out->n, sizeof *out->at, by_bytes);
    return true;
}

static FALLIBLE walk_directory(struct walk *w, int fd_take, unsigned depth, struct err *err);

static FALLIBLE add_entry(struct walk *w, int parent, const char *name, unsigned depth, struct err *err)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_os(err, "look at %.120s", w->path);
    if (S_ISREG(st.st_mode))
        return add_file(w, parent, name, &st, err);
    if (S_ISLNK(st.st_mode))
        return add_link(w, parent, name, err);
    if (!S_ISDIR(st.st_mode))
        return fail_with(err, ERR_UNSUPPORTED, "%.120s is neither file, directory nor link", w->path);
    if (depth == TREE_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "%.120s: over %d levels", w->path, TREE_DEPTH_MAX);
    if (!add_record(w, 'd', st.st_mode, 0, NULL, err))
        return false;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? err_os(err, "open %.120s", w->path) : walk_directory(w, fd, depth + 1, err);
}

static FALLIBLE walk_directory(struct walk *w, int fd_take, unsigned depth, struct err *err)
{
    AUTO(dir) DIR             *directory = fdopendir(fd_take);
    AUTO(names) struct names   names     = { 0 };
    size_t                     len       = strlen(w->path);

    if (!directory) {
        (void) close(fd_take);
        return err_os(err, "open %.120s", w->path);
    }
    if (!list(w, directory, &names, err))
        return false;
    for (size_t i = 0; i < names.n; i++) {
        int n = snprintf(w->path + len, sizeof w->path - len, "%s%s", len ? "/" : "", names.at[i]);

        if (n < 0 || (size_t) n >= sizeof w->path - len)
            return fail_with(err, ERR_LIMIT, "a path over %d characters", TREE_PATH_MAX);
        if (!add_entry(w, dirfd(directory), names.at[i], depth, err))
            return false;
        w->path[len] = 0;
    }
    return true;
}

FALLIBLE tree_digest_of(int directory_fd, struct tree_digest *out, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *all   = EVP_MD_CTX_new();
    AUTO(heap) uint8_t      *piece = zeroed(1, PIECE_LEN);
    struct tree_digest       found = { 0 };
    struct walk              w     = { .all = all, .out = &found, .piece = piece };
    int                      fd    = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* an offset of its own */

    if (fd < 0)
        return err_os(err, "open the directory");
    if (!all || EVP_DigestInit_ex(all, EVP_sha256(), NULL) != 1) {
        (void) close(fd);
        return err_openssl(err, ERR_OS, "SHA-256");
    }
    if (!walk_directory(&w, fd, 0, err))
        return false;
    if (EVP_DigestFinal_ex(all, found.sha256, NULL) != 1)
        return err_openssl(err, ERR_OS, "SHA-256");
    *out = found;
    return true;
}
