#include "runtime/snapshotter/blob_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"

enum { INDEX_MAX = 4 << 20, BLOBS_MAX = 1 << 16, LISTED_MAX = 1 << 20 /* of blobs, at one time */ };

#define NAME_ANNOTATION "org.opencontainers.image.ref.name"
#define EMPTY_INDEX     "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}"

static void path_of(const struct blob_cache *cache, const char *folder, const char *name, struct buffer *out)
{
    out->len = 0;
    buffer_printf(out, "%s/%s%s", cache->directory, folder, name);
}

static void blob_path(const struct blob_cache *cache, const char *folder, const struct digest *digest, struct buffer *out)
{
    struct digest_text text = digest_text(digest);

    path_of(cache, folder, digest_hex(&text), out);
}

static FALLIBLE write_when_missing(const struct blob_cache *cache, const char *name, const char *content, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    path_of(cache, name, "", &path);
    return access(buffer_text(&path), F_OK) == 0 || file_write(buffer_text(&path), bytes_of_text(content), 0644, err);
}

FALLIBLE blob_cache_open(const char *directory, uint64_t limit, struct blob_cache *out, struct err *err)
{
    AUTO(blob_cache) struct blob_cache cache = { strdup(directory), limit, BLOBS_MAX };
    AUTO(buffer) struct buffer         path  = { 0 };

    if (!cache.directory)
        abort();
    path_of(&cache, "blobs/sha256", "", &path);
    if (!directory_make(buffer_text(&path), err))
        return false;
    path_of(&cache, "incoming", "", &path);
    if (!directory_remove(buffer_text(&path), err) || !directory_make(buffer_text(&path), err) ||
        !write_when_missing(&cache, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err) ||
        !write_when_missing(&cache, "index.json", EMPTY_INDEX, err))
        return false;
    *out = TAKE(cache);
    return true;
}

void blob_cache_close(struct blob_cache *cache)
{
    free(cache->directory);
    *cache = (struct blob_cache){ 0 };
}

bool blob_cache_has(const struct blob_cache *cache, const struct digest *digest)
{
    AUTO(buffer) struct buffer path = { 0 };

    blob_path(cache, "blobs/sha256/", digest, &path);
    return utimensat(AT_FDCWD, buffer_text(&path), NULL, AT_SYMLINK_NOFOLLOW) == 0;
}

FALLIBLE blob_cache_begin(const struct blob_cache *cache, const struct digest *digest, int *fd, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    if (digest->algorithm != DIGEST_SHA256)
        return fail_with(err, ERR_UNSUPPORTED, "cache: %s", digest_algorithm_name(digest->algorithm));
    blob_path(cache, "incoming/", digest, &path);
    *fd = open(buffer_text(&path), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    return *fd >= 0 || err_os(err, "cache: %s", buffer_text(&path));
}

void blob_cache_announce(const struct blob_cache *cache, const struct digest *digest)
{
    AUTO(fd) int fd = NO_FD;
    struct err   ignored; /* see the header */

    (void) !blob_cache_begin(cache, digest, &fd, &ignored);
}

FALLIBLE blob_cache_commit(const struct blob_cache *cache, const struct digest *digest, int fd, struct err *err)
{
    AUTO(buffer) struct buffer from = { 0 }, to = { 0 };

    blob_path(cache, "incoming/", digest, &from);
    blob_path(cache, "blobs/sha256/", digest, &to);
    if (fsync(fd) < 0 || rename(buffer_text(&from), buffer_text(&to)) < 0)
        return err_os(err, "cache: %s", buffer_text(&to));
    return true;
}

void blob_cache_abandon(const struct blob_cache *cache, const struct digest *digest)
{
    AUTO(buffer) struct buffer path = { 0 };

    blob_path(cache, "incoming/", digest, &path);
    (void) unlink(buffer_text(&path)); /* what cannot be removed now is at the next start */
}

FALLIBLE blob_cache_add(const struct blob_cache *cache, const struct digest *digest, struct bytes content, struct err *err)
{
    AUTO(fd) int fd = NO_FD;

    if (!blob_cache_begin(cache, digest, &fd, err))
        return false;
    if (write_all(fd, content, err) && blob_cache_commit(cache, digest, fd, err))
        return true;
    blob_cache_abandon(cache, digest);
    return false;
}

/* ---- the index ---- */

/* An index that cannot be read is begun anew: it only names what pulls can name again. */
static struct json_object *read_index(const struct blob_cache *cache)
{
    AUTO(buffer) struct buffer     path = { 0 }, text = { 0 };
    AUTO(json) struct json_object *index = NULL;
    struct json_object            *manifests;
    struct err                     err;

    path_of(cache, "index.json", "", &path);
    if (!file_read(buffer_text(&path), INDEX_MAX, &text, &err) || !json_read(buffer_bytes(&text), INDEX_MAX, &index, &err) ||
        !json_get(index, "manifests", json_type_array, &manifests, &err)) {
        if (index)
            json_object_put(index);
        index = json_tokener_parse(EMPTY_INDEX);
        if (!index)
            abort();
    }
    return TAKE(index);
}

static FALLIBLE write_index(const struct blob_cache *cache, struct json_object *index, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 }, text = { 0 };

    path_of(cache, "index.json", "", &path);
    json_write(index, &text);
    return file_write(buffer_text(&path), buffer_bytes(&text), 0644, err) || context(err, "cache");
}

static const char *name_of(struct json_object *entry)
{
    const char *name = json_object_get_string(json_object_object_get(json_object_object_get(entry, "annotations"), NAME_ANNOTATION));

    return name ? name : "";
}

/* Keeps the entries that `keep` wants; true when one went. */
static bool filter_index(struct json_object *index, bool (*keep)(const void *owner, struct json_object *entry), const void *owner)
{
    struct json_object *manifests = json_object_object_get(index, "manifests");
    bool                changed   = false;

    for (size_t i = json_object_array_length(manifests); i-- > 0;)
        if (!keep(owner, json_object_array_get_idx(manifests, i)))
            changed |= json_object_array_del_idx(manifests, i, 1) == 0;
    return changed;
}

static bool has_another_name(const void *owner, struct json_object *entry)
{
    return strcmp(owner, name_of(entry)) != 0;
}

FALLIBLE blob_cache_name(const struct blob_cache *cache, const char *reference, const struct digest *manifest,
                         uint64_t size, const char *media_type, struct err *err)
{
    AUTO(json) struct json_object *index       = read_index(cache);
    struct json_object            *entry       = json_object_new_object(), *annotations = json_object_new_object();
    struct digest_text             digest      = digest_text(manifest);

    (void) filter_index(index, has_another_name, reference); /* an entry that is the same may be among them */
    json_add_text(annotations, NAME_ANNOTATION, reference);
    json_add_text(entry, "mediaType", media_type);
    json_add_text(entry, "digest", digest.at);
    json_add(entry, "size", json_object_new_uint64(size));
    json_add(entry, "annotations", annotations);
    if (json_object_array_add(json_object_object_get(index, "manifests"), entry) != 0)
        abort();
    return write_index(cache, index, err);
}

static bool manifest_is_there(const void *owner, struct json_object *entry)
{
    const struct blob_cache   *cache  = owner;
    AUTO(buffer) struct buffer path   = { 0 };
    const char                *text   = json_object_get_string(json_object_object_get(entry, "digest"));
    struct digest              digest;
    struct err                 err;

    if (!text || !digest_read(bytes_of_text(text), &digest, &err))
        return false;
    blob_path(cache, "blobs/sha256/", &digest, &path);
    return access(buffer_text(&path), F_OK) == 0;
}

/* ---- room ---- */

struct kept {
    char            name[72];
    uint64_t        size;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;

    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static FALLIBLE list_blobs(int folder_fd, struct buffer *out, uint64_t *total, struct err *err)
{
    int       again  = dup(folder_fd);
    AUTO(dir) DIR *folder = again >= 0 ? fdopendir(again) : NULL;

    if (!folder) {
        auto_fd(&again);
        return err_os(err, "cache");
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct kept blob = { .size = 0 };
        struct stat at;

        if (strlen(entry->d_name) >= sizeof blob.name || fstatat(folder_fd, entry->d_name, &at, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(at.st_mode))
            continue;
        if (out->len / sizeof blob == LISTED_MAX)
            break; /* the rest is seen when these are gone */
        memcpy(blob.name, entry->d_name, strlen(entry->d_name));
        blob.size = (uint64_t) at.st_size;
        blob.used = at.st_mtim;
        *total += blob.size;
        buffer_append(out, (struct bytes){ (const uint8_t *) &blob, sizeof blob });
    }
    return true;
}

FALLIBLE blob_cache_evict(const struct blob_cache *cache, size_t *n_removed, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 }, all = { 0 };
    uint64_t                   total = 0;

    *n_removed = 0;
    path_of(cache, "blobs/sha256", "", &path);
    AUTO(fd) int folder_fd = open(buffer_text(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return err_os(err, "cache: %s", buffer_text(&path));
    if (!list_blobs(folder_fd, &all, &total, err))
        return false;
    struct kept *blobs = (struct kept *) (void *) all.at; /* written as such, just above */
    size_t       n     = all.len / sizeof *blobs;
    if (n > 0)
        qsort(blobs, n, sizeof *blobs, by_use);
    for (size_t i = 0; i < n && (total > cache->limit || n - i > cache->blobs_max); i++) {
        if (unlinkat(folder_fd, blobs[i].name, 0) < 0 && errno != ENOENT) /* a pod makes room as well */
            return err_os(err, "cache: %s", blobs[i].name);
        total -= blobs[i].size;
        ++*n_removed;
    }
    if (*n_removed == 0)
        return true;
    AUTO(json) struct json_object *index = read_index(cache);
    return !filter_index(index, manifest_is_there, cache) || write_index(cache, index, err);
}
