/*
 * For tests: obtains an image from a registry as the guest does, in two processes, with files in a folder instead of a
 * broker. On failure it prints "phase: kind: what" and exits 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/options.h"
#include "guest/registry/obtain.h"

struct run {
    const char *settings_file, *resources, *cache, *pinned, *scratch;
    uint64_t    backoff_ms, patience_s;
    bool        keeps_our_owner;
};

/* "kbs:///R/T/G" is the file R/T/G below the folder. */
static bool resource(void *owner, const char *kid, struct buffer *out, struct err *err)
{
    const struct run *run = owner;
    char              path[4096];

    if (!run->resources)
        return fail_with(err, ERR_NOT_FOUND, "no such resource");
    (void) snprintf(path, sizeof path, "%s/%s", run->resources, kid + strlen("kbs:///")); /* a cut path is not found */
    return file_read(path, 1 << 20, out, err);
}

static bool kek(void *owner, const char *kid, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer bytes = { 0 };

    return resource(owner, kid, &bytes, err) && secret_copy(buffer_bytes(&bytes), out, err);
}

static bool cache_read(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                       uint64_t *total, struct err *err)
{
    const struct run *run = owner;
    char              path[4096];
    struct stat       st;

    (void) snprintf(path, sizeof path, "%s/%s", run->cache, digest); /* as above */
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_with(err, ERR_NOT_FOUND, "not kept");
    ssize_t n = pread(fd, into, len, (off_t) offset);

    if (n < 0)
        return err_os(err, "read");
    *got   = (size_t) n;
    *total = (uint64_t) st.st_size;
    return true;
}

static bool cache_put(void *owner, const char *digest, uint64_t offset, struct bytes piece, uint64_t total)
{
    struct run *run = owner;
    char        path[4096];
    struct err  unheard; /* a cache is only a saving */

    (void) total;
    (void) snprintf(path, sizeof path, "%s/%s", run->cache, digest); /* as above */
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (offset == 0 ? O_TRUNC : O_APPEND), 0600);

    return fd >= 0 && write_all(fd, piece, &unheard);
}

/* The most memory that this process has had so far; rusage's would be that of whoever started it. [proc(5)] */
static long peak_kib(void)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 unheard; /* no number, then */
    const char                *line;

    if (!file_read("/proc/self/status", 64 << 10, &text, &unheard))
        return 0;
    line = strstr(buffer_text(&text), "VmHWM:");
    return line ? strtol(line + strlen("VmHWM:"), NULL, 10) : 0;
}

static FALLIBLE obtain(struct run *run, int fetcher_fd, const char *name, const char *target, struct err *err)
{
    AUTO(image_settings) struct image_settings settings = { 0 };
    AUTO(image_config) struct image_config     config   = { 0 };
    AUTO(ttrpc_client) struct ttrpc_client     fetcher  = { 0 };
    AUTO(buffer) struct buffer                 text     = { 0 };
    struct image_progress                      progress = { 0 };
    struct digest                              pinned, found;
    struct obtain o = { .settings = &settings, .fetcher = &fetcher, .resource = resource, .kek = kek, .owner = run,
                        .budget = IMAGE_BUDGET_DEFAULT, .scratch_fd = NO_FD, .keeps_our_owner = run->keeps_our_owner,
                        .backoff_ms = (uint32_t) run->backoff_ms, .patience_s = (uint32_t) run->patience_s };
    AUTO(fd) int target_fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    AUTO(fd) int scratch = run->scratch ? open(run->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : NO_FD;

    o.scratch_fd = scratch;
    if (target_fd < 0)
        return err_os(err, "open %s", target);
    if ((run->settings_file && !file_read(run->settings_file, 1 << 20, &text, err)) ||
        !image_settings_read(buffer_bytes(&text), &settings, err) || !ttrpc_client_over(fetcher_fd, &fetcher, err) ||
        (run->pinned && !digest_read(bytes_of_text(run->pinned), &pinned, err)))
        return context(err, "config");
    if (run->cache) {
        o.cache = (struct image_source){ .read = cache_read, .owner = run, .name = "the node's cache", .is_cache = true };
        o.keep  = (struct image_keep){ cache_put, run };
    }
    bool ok = obtain_image(&o, name, run->pinned ? &pinned : NULL, target_fd, &config, &progress, &found, err);

    printf("manifest=%s\npulled=%llu\ncached=%llu\nfailures=%u\nlast_failure=%s\n", digest_text(&found).at,
           (unsigned long long) progress.bytes_pulled, (unsigned long long) progress.bytes_cached, progress.n_failures,
           progress.last_failure);
    printf("pull_ms=%.1f\nkeeper_rss_kib=%ld\n", (double) progress.spent_ns[IMAGE_PULL] / 1e6, peak_kib());
    return ok || (contextf(err, "%s: %s", image_phase_name(progress.phase), err_kind_name(err->kind)));
}

static pid_t fetcher_start(int *fd)
{
    int   ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || (pid = fork()) < 0)
        return -1;
    if (pid == 0) {
        (void) close(ends[0]);
        printf("fetcher_idle_kib=%ld\n", peak_kib());
        (void) fflush(stdout); /* what a failure would hide is only a number */
        _exit(fetcher_run(ends[1]));
    }
    (void) close(ends[1]);
    *fd = ends[0];
    return pid;
}

int main(int argc, char **argv)
{
    struct run              run    = { 0 };
    struct err              err    = { 0 };
    const struct option_row rows[] = {
        { "settings", OPTION_TEXT, &run.settings_file, "FILE", "cdh.toml", 0, 0 },
        { "resources", OPTION_TEXT, &run.resources, "DIR", "what the broker would have: R/T/G", 0, 0 },
        { "cache", OPTION_TEXT, &run.cache, "DIR", "the node's cache", 0, 0 },
        { "pinned", OPTION_TEXT, &run.pinned, "DIGEST", "the digest that the guest's policy wants", 0, 0 },
        { "scratch", OPTION_TEXT, &run.scratch, "DIR", "where ciphertext waits; default: memory", 0, 0 },
        { "backoff", OPTION_NUMBER, &run.backoff_ms, "MS", "pause before the second try", 0, 10000 },
        { "patience", OPTION_NUMBER, &run.patience_s, "S", "with a registry that says nothing", 0, 600 },
        { "our-owner", OPTION_FLAG, &run.keeps_our_owner, NULL, "no chown, no device nodes", 0, 0 },
    };
    const struct option_table table = { .command = "pull-image", .synopsis = "[OPTION]... NAME TARGET",
                                        .about = "Obtains an image as the guest does.", .rows = rows,
                                        .n_rows = sizeof rows / sizeof *rows };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    AUTO(fd) int         fd = NO_FD;
    struct rusage        theirs;
    int                  status;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) || !secret_heap_open(&err) || n != 2) {
        fprintf(stderr, "pull-image: %s\n", n == 2 ? err.text : "NAME and TARGET are wanted");
        return 2;
    }
    printf("keeper_idle_kib=%ld\n", peak_kib());
    (void) fflush(stdout); /* so that the child has nothing of it */
    pid_t pid = fetcher_start(&fd);
    bool  ok  = pid > 0 && obtain(&run, fd, operands[0], operands[1], &err);

    (void) shutdown(fd, SHUT_RDWR); /* ends the fetcher */
    if (pid > 0 && wait4(pid, &status, 0, &theirs) == pid)
        printf("fetcher_status=%d\nfetcher_rss_kib=%ld\n", status, theirs.ru_maxrss);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    return ok ? 0 : 1;
}
