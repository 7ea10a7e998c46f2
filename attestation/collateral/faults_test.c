/*
 * A disk that fails at any call: the cache says so, or counts as empty. It never answers with something else than
 * what was kept.
 */
#include "tests/harness/test.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attestation/collateral/cache.h"
#include "attestation/collateral/fetch.h"
#include "base/file.h"

static size_t n_calls, failing; /* the call that fails, from 1; 0: none */
static int    failure = EIO;

static bool fails_now(void)
{
    if (++n_calls != failing)
        return false;
    errno = failure;
    return true;
}

/* The linker puts __wrap_X in front of each X (--wrap). */
#define FAULT(type, name, parameters, arguments)                                  \
    type __real_##name parameters;                                                \
    type __wrap_##name parameters;                                                \
    type __wrap_##name parameters { return fails_now() ? -1 : __real_##name arguments; }

FAULT(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
FAULT(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n))
FAULT(int, mkdir, (const char *path, mode_t mode), (path, mode))
FAULT(int, flock, (int fd, int operation), (fd, operation))
FAULT(int, fsync, (int fd), (fd))
FAULT(int, rename, (const char *from, const char *to), (from, to))
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list ap;
    mode_t  mode = 0;

    va_start(ap, flags);
    if (flags & O_CREAT)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return fails_now() ? -1 : __real_open64(path, flags, mode);
}

/* Every option is one machine word: a long, a pointer or a function. */
#undef curl_easy_setopt
CURLcode __real_curl_easy_setopt(CURL *curl, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *curl, CURLoption option, ...);

CURLcode __wrap_curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list ap;
    void   *value;

    va_start(ap, option);
    value = va_arg(ap, void *);
    va_end(ap);
    return fails_now() ? CURLE_OUT_OF_MEMORY : __real_curl_easy_setopt(curl, option, value);
}

static const char url[] = "https://kds.example/vcek/v1/Genoa/x";
static char      *folder;

static int folder_make(void **state)
{
    struct err err;

    (void) state;
    return directory_make_temporary("cache-", &folder, &err) ? 0 : 1;
}

static int folder_remove(void **state)
{
    struct err err;
    bool       done = directory_remove(folder, &err);

    (void) state;
    free(folder);
    return done ? 0 : 1;
}

/* Everything that one question does to the cache. */
static bool keeps_and_finds(void)
{
    AUTO(cache) struct cache   cache = { 0 };
    AUTO(answer) struct answer kept = { .fetched_at = 1, .expires_at = 2 }, found = { 0 };
    AUTO(fd) int               claim = NO_FD;
    struct err                 err;

    buffer_append_text(&kept.url, url);
    buffer_append_text(&kept.body, "body");
    if (!cache_open(folder, &cache, &err) || !cache_claim(&cache, url, 0, &claim, &err) || !cache_store(&cache, &kept, &err) ||
        !cache_keep_quiet(&cache, url, 77, &err) || !cache_load(&cache, url, &found, &err))
        return false;
    assert_true(bytes_equal(buffer_bytes(&found.body), bytes_of_text("body"))); /* what it says is what was kept */
    return cache_quiet_until(&cache, url) == 77;
}

static void each_failing_call_is_an_error_or_an_empty_cache(void **state)
{
    AUTO(cache) struct cache cache = { 0 };
    size_t                   n, n_folders;
    struct err               err;

    (void) state;
    assert_true(keeps_and_finds());
    n_calls = 0;
    assert_true(cache_open(folder, &cache, &err));
    n_folders = n_calls; /* each part of the path is made, or was there */
    n_calls   = 0;
    assert_true(keeps_and_finds());
    n = n_calls;
    assert_true(n > 10 + n_folders);
    for (failing = 1; failing <= n; failing++) {
        n_calls = 0;
        if (keeps_and_finds() && failing > n_folders) /* the folder is there already: making it may fail */
            fail_msg("call %zu of %zu failed, and nobody noticed", failing, n);
    }
    failing = 0;
    assert_true(keeps_and_finds());
}

static void a_claim_that_is_interrupted_is_tried_again(void **state)
{
    AUTO(cache) struct cache cache = { 0 };
    AUTO(fd) int             claim = NO_FD;
    struct err               err;

    (void) state;
    assert_true(cache_open(folder, &cache, &err));
    n_calls = 0;
    failure = EINTR;
    failing = 2; /* open, then flock */
    assert_true(cache_claim(&cache, url, 1000, &claim, &err));
    failing = 0;
    failure = EIO;
}

static void a_folder_whose_path_is_too_long_is_refused(void **state)
{
    char                      *path  = calloc(1, 4096);
    AUTO(cache) struct cache   cache = { 0 };
    AUTO(answer) struct answer a     = { 0 };
    AUTO(fd) int               claim = NO_FD;
    struct err                 err;

    (void) state;
    memset(path, 'x', 4090);
    cache.folder = path;
    assert_false(cache_load(&cache, url, &a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(cache_store(&cache, &a, &err));
    assert_false(cache_keep_quiet(&cache, url, 1, &err));
    assert_false(cache_claim(&cache, url, 0, &claim, &err));
    assert_int_equal(cache_quiet_until(&cache, url), 0);
}

/* No request leaves without its limits: on time, size, protocol and redirects. */
static void nothing_is_asked_unless_every_option_is_set(void **state)
{
    const struct fetch_options options = { .timeout_ms = 1, .ca_file = "/nonexistent" };
    struct answer              answer  = { 0 };
    int64_t                    later   = 0;
    size_t                     n;
    struct err                 err;

    (void) state;
    n_calls = 0;
    assert_false(fetch("https://127.0.0.1:1/", &options, &answer, &later, &err));
    assert_int_not_equal(err.kind, ERR_BUG); /* it was asked, and nobody is there */
    n = 11;                                  /* options; what libcurl itself calls comes behind them */
    assert_true(n_calls >= n);
    for (failing = 1; failing <= n; failing++) {
        n_calls = 0;
        assert_false(fetch("https://127.0.0.1:1/", &options, &answer, &later, &err));
        assert_int_equal(err.kind, ERR_BUG);
        assert_int_equal(n_calls, failing);
    }
    failing = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_call_is_an_error_or_an_empty_cache),
        cmocka_unit_test(a_claim_that_is_interrupted_is_tried_again),
        cmocka_unit_test(a_folder_whose_path_is_too_long_is_refused),
        cmocka_unit_test(nothing_is_asked_unless_every_option_is_set),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
