/* cloister-snapshotter: containerd's proxy plugin that leaves encrypted layers packed, and the node's ciphertext. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "runtime/snapshotter/fetch.h"
#include "keys/grpc/grpc_server.h"
#include "runtime/snapshotter/node_image.h"
#include "runtime/snapshotter/snapshot_service.h"

enum { DEFAULT_CACHE_MIB = 20480 };

struct arguments {
    const char *socket, *root, *content;
    uint64_t    cache_mib;
    bool        skips_all, never_fetches;
};

/* All that lives from start to end. */
struct resources {
    const struct arguments *arguments;
    struct loop            *loop;
    struct snapshot_store  *store;
    struct blob_cache       cache;
    struct fetcher         *fetcher;
    struct snapshot_service service;
    struct grpc_server     *server;
    struct loop_source      signals;
};

static void auto_resources(struct resources *r)
{
    grpc_server_free(r->server);
    fetcher_free(r->fetcher);
    blob_cache_close(&r->cache);
    snapshot_store_close(r->store);
    loop_remove(&r->signals);
    auto_fd(&r->signals.fd);
    loop_free(r->loop);
}

/* The cache gets what a guest will read of this image: what containerd has of it, and the layer from where it came. */
static FALLIBLE fill_cache(struct resources *r, const struct node_image *image, struct err *err)
{
    char url[NODE_URL_MAX];

    if (!node_image_adopt(image, r->arguments->content, &r->cache, err))
        return false;
    if (r->arguments->never_fetches)
        return true;
    for (size_t i = 0; i < image->manifest.n_layers; i++) {
        const struct descriptor *layer = &image->manifest.layers[i];

        if (!node_image_url(image->reference, &layer->digest, url, err) ||
            !fetcher_want(r->fetcher, url, &layer->digest, layer->size, err))
            return false;
    }
    return true;
}

/* What cannot be said of a layer is said in the log, and the layer is unpacked as any other: that fails when it is encrypted. */
static bool stays_packed(void *owner, struct json_object *labels)
{
    struct resources                  *r     = owner;
    AUTO(node_image) struct node_image image = { 0 };
    struct err                         err;

    if (!node_image_read(r->arguments->content, labels, &image, &err)) {
        log_info("image not known", "error=%s", LOG_PEER(bytes_of_text(err.text)));
        return r->arguments->skips_all;
    }
    if (!r->arguments->skips_all && !node_image_stays_packed(&image))
        return false;
    if (!fill_cache(r, &image, &err))
        log_error("cache not filled", "image=%s error=%s", LOG_PEER(bytes_of_text(image.reference)), LOG_PEER(bytes_of_text(err.text)));
    return true;
}

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct resources *r = source->owner;

    (void) events;
    loop_stop(r->loop);
}

static FALLIBLE open_folders(struct resources *r, struct err *err)
{
    AUTO(buffer) struct buffer database = { 0 }, cache = { 0 };
    const char                *root = r->arguments->root;
    size_t                     n_evicted;

    if (root[0] != '/' || strpbrk(root, ":,\\ \t\n"))
        return fail_with(err, ERR_CONFIG, "--root %.100s: an absolute path without colon, comma or space is wanted", root);
    buffer_printf(&database, "%s/snapshots.db", root);
    buffer_printf(&cache, "%s/cache", root);
    r->service = (struct snapshot_service){ .root = root, .stays_packed = stays_packed, .owner = r };
    if (!directory_make(root, err) || !snapshot_store_open(buffer_text(&database), &r->store, err))
        return false;
    r->service.store = r->store;
    return snapshot_service_sweep(&r->service, err) &&
           blob_cache_open(buffer_text(&cache), r->arguments->cache_mib << 20, &r->cache, err) &&
           blob_cache_evict(&r->cache, &n_evicted, err);
}

static FALLIBLE serve(const struct arguments *arguments, struct err *err)
{
    static const int                 signals[] = { SIGTERM, SIGINT };
    AUTO(resources) struct resources r = { .arguments = arguments, .signals.fd = NO_FD };

    (void) signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    if (!loop_new(&r.loop, err) || !loop_signal_fd(signals, 2, &r.signals.fd, err) || !open_folders(&r, err) ||
        !fetcher_new(r.loop, &r.cache, &r.fetcher, err) ||
        !grpc_server_new(r.loop, arguments->socket, snapshot_service_call, &r.service, &r.server, err))
        return false;
    r.signals.ready = signal_came;
    r.signals.owner = &r;
    if (!loop_add(r.loop, &r.signals, EPOLLIN, err))
        return false;
    log_info("listening", "socket=%s root=%s", arguments->socket, arguments->root);
    return loop_run(r.loop, err);
}

int main(int argc, char **argv)
{
    struct arguments arguments = { .socket = "/run/cloister/snapshotter.sock", .root = "/var/lib/cloister/snapshotter",
                                   .content = "/var/lib/containerd/io.containerd.content.v1.content", .cache_mib = DEFAULT_CACHE_MIB };
    const struct option_row rows[] = {
        { "socket", OPTION_TEXT, &arguments.socket, "PATH", "where containerd connects (default /run/cloister/snapshotter.sock)", 0, 0 },
        { "root", OPTION_TEXT, &arguments.root, "DIR", "snapshots and cache (default /var/lib/cloister/snapshotter)", 0, 0 },
        { "content", OPTION_TEXT, &arguments.content, "DIR", "containerd's content store (default /var/lib/containerd/io.containerd.content.v1.content)", 0, 0 },
        { "cache", OPTION_NUMBER, &arguments.cache_mib, "MiB", "most that is kept of layers (default 20480)", 0, 1 << 30 },
        { "skip-all", OPTION_FLAG, &arguments.skips_all, NULL, "leave plain layers packed too: for nodes that only run confidential pods", 0, 0 },
        { "no-fetch", OPTION_FLAG, &arguments.never_fetches, NULL, "do not fetch layers into the cache: guests pull for themselves", 0, 0 },
    };
    const struct option_table table = {
        "cloister-snapshotter", "[OPTION]...",
        "A proxy snapshotter for containerd: encrypted layers are neither unpacked nor decrypted on this node; their ciphertext\n"
        "is kept for guests, which check what they read.",
        rows, sizeof rows / sizeof *rows, false, NULL
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;

    if (argc > 1 && strcmp(argv[1], FETCH_WORD) == 0)
        return fetch_main(argc - 1, argv + 1);
    log_open("cloister-snapshotter", LOG_LEVEL_INFO);
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) ||
        (outcome == OPTIONS_RUN && n > 0 && !fail_with(&err, ERR_CONFIG, "no operand is wanted: \"%.80s\"", operands[0]))) {
        fprintf(stderr, "cloister-snapshotter: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (serve(&arguments, &err))
        return 0;
    fprintf(stderr, "cloister-snapshotter: %s\n", err.text);
    return 1;
}
