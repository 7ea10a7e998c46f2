#include "attestation/collateral/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/text.h"

enum { FILE_MODE = 0600, CLAIM_POLL_MS = 20 };

FALLIBLE cache_open(const char *folder, struct cache *out, struct err *err)
{
    if (!directory_make(folder, err))
        return context(err, "collateral cache");
    out->folder = strdup(folder);
    if (!out->folder)
        abort();
    return true;
}

void cache_close(struct cache *cache)
{
    free(TAKE(cache->folder));
}

/* A name that no URL can steer. */
static FALLIBLE path_of(const struct cache *cache, struct bytes key, const char *suffix, char *out, size_t len, struct err *err)
{
    AUTO(buffer) struct buffer name = { 0 };
    uint8_t                    digest[SHA256_LEN];

    sha256_of(key, digest);
    hex_append(&name, BYTES_OF(digest));
    if (snprintf(out, len, "%s/%s%s", cache->folder, buffer_text(&name), suffix) < (int) len)
        return true;
    return fail_with(err, ERR_LIMIT, "collateral cache: path is too long");
}

/* "https://host:port" */
static struct bytes host_of(const char *url)
{
    const char *at = strstr(url, "://");

    at = at ? at + 3 : url;
    return (struct bytes){ (const uint8_t *) url, (size_t) (at - url) + strcspn(at, "/?#") };
}

static FALLIBLE json_file_read(const char *path, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    return file_read(path, ANSWER_TEXT_LEN_MAX, &text, err) && json_read(buffer_bytes(&text), ANSWER_TEXT_LEN_MAX, out, err);
}

static FALLIBLE json_file_write(const char *path, struct json_object *value, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    json_write(value, &text);
    return file_write(path, buffer_bytes(&text), FILE_MODE, err) || context(err, "collateral cache");
}

FALLIBLE cache_load(const struct cache *cache, const char *url, struct answer *out, struct err *err)
{
    AUTO(json) struct json_object *kept = NULL;
    AUTO(answer) struct answer     a    = { 0 };
    char                           path[PATH_MAX];

    if (!path_of(cache, bytes_of_text(url), ".json", path, sizeof path, err))
        return false;
    if (!json_file_read(path, &kept, err) || !answer_from_json(kept, &a, err) ||
        !bytes_equal(buffer_bytes(&a.url), bytes_of_text(url)))
        return fail_with(err, ERR_NOT_FOUND, "collateral cache: nothing is kept for %.100s", url);
    *out = TAKE(a);
    return true;
}

FALLIBLE cache_store(const struct cache *cache, const struct answer *answer, struct err *err)
{
    AUTO(json) struct json_object *value = answer_to_json(answer);
    char                           path[PATH_MAX];

    return path_of(cache, buffer_bytes(&answer->url), ".json", path, sizeof path, err) && json_file_write(path, value, err);
}

FALLIBLE cache_list(const struct cache *cache, struct answer *out, size_t room, size_t *n, struct err *err)
{
    static const char ENDING[] = ".json";
    AUTO(dir) DIR    *dir      = opendir(cache->folder);

    *n = 0;
    if (!dir)
        return err_os(err, "collateral cache: open %s", cache->folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        AUTO(json) struct json_object *kept = NULL;
        size_t                         len  = strlen(entry->d_name);
        char                           path[PATH_MAX];
        struct err                     ignored; /* what is damaged is as good as none */

        if (len < sizeof ENDING - 1 || strcmp(entry->d_name + len - (sizeof ENDING - 1), ENDING) != 0 ||
            (size_t) snprintf(path, sizeof path, "%s/%s", cache->folder, entry->d_name) >= sizeof path)
            continue;
        if (*n == room)
            return fail_with(err, ERR_LIMIT, "collateral cache: more than %zu answers are kept", room);
        if (json_file_read(path, &kept, &ignored) && answer_from_json(kept, &out[*n], &ignored))
            ++*n;
    }
    return true;
}

int64_t cache_quiet_until(const struct cache *cache, const char *url)
{
    AUTO(json) struct json_object *kept  = NULL;
    uint64_t                       until = 0;
    char                           path[PATH_MAX];
    struct err                     err;

    if (!path_of(cache, host_of(url), ".quiet", path, sizeof path, &err) || !json_file_read(path, &kept, &err) ||
        !json_get_u64(kept, "until", INT64_MAX, &until, &err))
        return 0;
    return (int64_t) until;
}

FALLIBLE cache_keep_quiet(const struct cache *cache, const char *url, int64_t until, struct err *err)
{
    AUTO(json) struct json_object *value = json_object_new_object();
    char                           path[PATH_MAX];

    json_add(value, "until", json_object_new_int64(until));
    return path_of(cache, host_of(url), ".quiet", path, sizeof path, err) && json_file_write(path, value, err);
}

static int64_t clock_ms(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

FALLIBLE cache_claim(const struct cache *cache, const char *url, int64_t timeout_ms, int *fd, struct err *err)
{
    const struct timespec pause    = { .tv_nsec = CLAIM_POLL_MS * 1000000L };
    int64_t               deadline = clock_ms() + timeout_ms;
    AUTO(fd) int          lock     = NO_FD;
    char                  path[PATH_MAX];

    if (!path_of(cache, bytes_of_text(url), ".lock", path, sizeof path, err))
        return false;
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (lock < 0)
        return err_os(err, "collateral cache: open %s", path);
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_os(err, "collateral cache: lock %s", path);
        if (clock_ms() >= deadline)
            return fail_with(err, ERR_TIMEOUT, "collateral cache: somebody else has been asking for %.100s for too long", url);
        (void) nanosleep(&pause, NULL); /* woken early is fine: the loop asks again */
    }
    *fd = TAKE_FD(lock);
    return true;
}
