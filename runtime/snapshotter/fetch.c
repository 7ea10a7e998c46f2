#include "runtime/snapshotter/fetch.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

enum { NOBODY = 65534, BLOB_FD = 3, STALL_S = 60, URL_MAX = 1024 };

/* ---- the child ---- */

struct download {
    struct digest_run run;
    uint64_t          left;
};

static size_t take_piece(char *data, size_t size, size_t n, void *owner)
{
    struct download *d     = owner;
    struct bytes     piece = { (const uint8_t *) data, size * n };
    struct err       err;

    if (piece.len > d->left || !write_all(BLOB_FD, piece, &err))
        return 0; /* libcurl ends with an error */
    d->left -= piece.len;
    digest_run_update(&d->run, piece);
    return piece.len;
}

static CURLcode get(const char *url, struct download *d)
{
    CURL    *curl = curl_easy_init();
    CURLcode code = CURLE_FAILED_INIT;

    if (!curl)
        return code;
    if (curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https") == CURLE_OK && /* registries redirect to their store */
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long) STALL_S) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_piece) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, d) == CURLE_OK)
        code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code;
}

int fetch_main(int argc, char **argv)
{
    struct digest   wanted, found;
    struct download d = { 0 };
    struct err      err;

    if (argc != 4 || !digest_read(bytes_of_text(argv[2]), &wanted, &err))
        return 2;
    d.left = strtoull(argv[3], NULL, 10);
    digest_run_begin(&d.run, wanted.algorithm);
    CURLcode code = get(argv[1], &d);
    digest_run_end(&d.run, &found);
    auto_digest_run(&d.run);
    if (code != CURLE_OK) {
        fprintf(stderr, "%s\n", curl_easy_strerror(code));
        return 1;
    }
    if (d.left == 0 && digest_equal(&wanted, &found))
        return 0;
    fprintf(stderr, "the registry gave other bytes\n");
    return 1;
}

/* ---- the parent ---- */

struct wanted {
    char          url[URL_MAX];
    struct digest digest;
    uint64_t      size;
};

struct fetcher {
    struct loop             *loop;
    const struct blob_cache *cache;
    struct wanted            waiting[FETCH_WAITING_MAX]; /* the first is being fetched while `child` runs */
    size_t                   n;
    struct process           child;
    struct loop_source       child_exit;
    int                      blob_fd;
};

static void fetch_next(struct fetcher *f);

static void end_first(struct fetcher *f)
{
    auto_fd(&f->blob_fd);
    f->blob_fd = NO_FD;
    memmove(&f->waiting[0], &f->waiting[1], --f->n * sizeof f->waiting[0]);
}

static void keep_or_abandon(struct fetcher *f, int exit_code)
{
    struct wanted     *first = &f->waiting[0];
    struct digest_text text  = digest_text(&first->digest);
    size_t             n_evicted;
    struct err         err;

    if (exit_code != 0) {
        log_info("blob not fetched", "digest=%s exit=%d; a guest fetches it itself", text.at, exit_code);
        blob_cache_abandon(f->cache, &first->digest);
    } else if (!blob_cache_commit(f->cache, &first->digest, f->blob_fd, &err) || !blob_cache_evict(f->cache, &n_evicted, &err))
        log_error("cache", "error=%s", err.text);
    else
        log_info("blob fetched", "digest=%s bytes=%" PRIu64 " evicted=%zu", text.at, first->size, n_evicted);
}

static void child_ended(struct loop_source *source, uint32_t events)
{
    struct fetcher *f = source->owner;
    int             status;
    struct err      err;

    (void) events;
    loop_remove(source);
    keep_or_abandon(f, process_wait(&f->child, 0, &status, &err) ? process_exit_code(status) : 1);
    end_first(f);
    fetch_next(f);
}

static FALLIBLE start_child(struct fetcher *f, struct err *err)
{
    struct wanted     *first = &f->waiting[0];
    struct digest_text digest = digest_text(&first->digest);
    char               size[24];

    (void) snprintf(size, sizeof size, "%" PRIu64, first->size); /* fits */
    if (!blob_cache_begin(f->cache, &first->digest, &f->blob_fd, err))
        return false;
    const char *const       argv[] = { "/proc/self/exe", FETCH_WORD, first->url, digest.at, size, NULL };
    const struct process_fd fds[]  = { { f->blob_fd, BLOB_FD } };
    struct process_options  options = { .argv = argv, .fds = fds, .n_fds = 1, .user = geteuid() == 0 ? NOBODY : 0,
                                        .dies_with_us = true };

    if (!process_start(&options, &f->child, err))
        return false;
    f->child_exit = (struct loop_source){ .fd = f->child.pidfd, .ready = child_ended, .owner = f };
    return loop_add(f->loop, &f->child_exit, EPOLLIN, err);
}

static void fetch_next(struct fetcher *f)
{
    struct err err;

    while (f->n > 0) {
        if (!blob_cache_has(f->cache, &f->waiting[0].digest)) {
            if (start_child(f, &err))
                return;
            log_error("blob not fetched", "error=%s", err.text);
        }
        blob_cache_abandon(f->cache, &f->waiting[0].digest);
        end_first(f);
    }
}

FALLIBLE fetcher_new(struct loop *loop, const struct blob_cache *cache, struct fetcher **out, struct err *err)
{
    struct fetcher *f = calloc(1, sizeof *f);

    if (!f)
        return fail_with(err, ERR_LIMIT, "out of memory");
    f->loop          = loop;
    f->cache         = cache;
    f->child         = NO_PROCESS;
    f->child_exit.fd = f->blob_fd = NO_FD;
    *out                          = f;
    return true;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    loop_remove(&fetcher->child_exit);
    process_kill(&fetcher->child);
    auto_fd(&fetcher->blob_fd);
    free(fetcher);
}

FALLIBLE fetcher_want(struct fetcher *fetcher, const char *url, const struct digest *digest, uint64_t size, struct err *err)
{
    if (blob_cache_has(fetcher->cache, digest))
        return true;
    for (size_t i = 0; i < fetcher->n; i++)
        if (digest_equal(&fetcher->waiting[i].digest, digest))
            return true;
    if (fetcher->n == FETCH_WAITING_MAX || strlen(url) >= URL_MAX)
        return fail_with(err, ERR_LIMIT, "over %d blobs wait to be fetched", FETCH_WAITING_MAX);
    if (size > (uint64_t) BLOB_SIZE_MAX_GIB << 30)
        return fail_with(err, ERR_LIMIT, "a blob over %d GiB", BLOB_SIZE_MAX_GIB);
    struct wanted *last = &fetcher->waiting[fetcher->n++];
    (void) snprintf(last->url, sizeof last->url, "%s", url); /* its length was checked */
    last->digest = *digest;
    last->size   = size;
    blob_cache_announce(fetcher->cache, digest);
    if (fetcher->n == 1)
        fetch_next(fetcher);
    return true;
}
