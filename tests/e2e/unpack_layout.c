/*
 * For tests: unpacks images from an OCI layout folder as the guest does, with a key from a file instead of a broker; with
 * --layers as layers that they share, which it then shows at their targets. On failure it prints "phase: what" and exits 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/options.h"
#include "guest/image/image.h"
#include "guest/init/overlay.h"

struct run {
    const char        *layout, *target, *manifest, *key_file, *scratch, *layers;
    struct layer_store store;
    uint64_t           budget_bytes, budget_inodes, budget_depth, most_each_read;
    bool               keeps_our_owner, prints_config, prints_times;
};

static bool read_blob(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                      uint64_t *total, struct err *err)
{
    const struct run *run = owner;
    char              path[4096];
    struct stat       st;

    (void) snprintf(path, sizeof path, "%s/blobs/%s", run->layout, digest); /* a cut path is not found */
    *strrchr(path, ':') = '/';
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_with(err, ERR_NOT_FOUND, "no blob %s", digest);
    ssize_t n = pread(fd, into, len > run->most_each_read ? run->most_each_read : len, (off_t) offset);

    if (n < 0)
        return err_os(err, "read blob %s", digest);
    *got   = (size_t) n;
    *total = (uint64_t) st.st_size;
    return true;
}

static bool read_key(void *owner, const char *kid, struct secret *out, struct err *err)
{
    const struct run          *run   = owner;
    AUTO(buffer) struct buffer bytes = { 0 };

    (void) kid; /* one key fits all here */
    if (!run->key_file)
        return fail_with(err, ERR_NOT_FOUND, "no such resource");
    return file_read(run->key_file, 4096, &bytes, err) && secret_copy(buffer_bytes(&bytes), out, err);
}

static void print_list(const char *name, const struct text_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        printf("%s[%zu]=%s\n", name, i, list->at[i]);
}

static FALLIBLE overlay_of(const char *folder, const unsigned *lower, size_t n, const char *upper, const char *work, int *out, struct err *err)
{
    char        paths[OCI_LAYERS_MAX][LAYER_PATH_MAX];
    const char *at[OCI_LAYERS_MAX];

    for (size_t i = 0; i < n; i++) {
        layer_store_path(folder, lower[i], paths[i]);
        at[i] = paths[i];
    }
    return overlay_make(&(struct overlay){ at, n, upper, work }, out, err);
}

static bool make_overlay(void *owner, unsigned upper, const unsigned *lower, size_t n, int *root_fd, struct err *err)
{
    const struct run *run = owner;
    char              tree[LAYER_PATH_MAX], work[LAYER_PATH_MAX];

    layer_store_path(run->layers, upper, tree);
    layer_store_work_path(run->layers, upper, work);
    return overlay_of(run->layers, lower, n, tree, work, root_fd, err);
}

/* As a container sees it: with room of its own above. */
static FALLIBLE show(const struct run *run, const struct image_progress *progress, struct err *err)
{
    unsigned     stack[OCI_LAYERS_MAX];
    size_t       n = layer_store_stack(&run->store, progress->top, stack);
    char         upper[LAYER_PATH_MAX * 2], work[LAYER_PATH_MAX * 2], top[LAYER_PATH_MAX];
    AUTO(fd) int fd = NO_FD;
    struct stat  st;

    (void) snprintf(upper, sizeof upper, "%s.upper", run->target); /* cut, it is not found, as the next */
    (void) snprintf(work, sizeof work, "%s.work", run->target);
    layer_store_path(run->layers, progress->top, top);
    if (!directory_make(upper, err) || !directory_make(work, err))
        return false;
    if (stat(top, &st) < 0 || chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0)
        return err_os(err, "root");
    printf("layers=%zu there=%zu pulled=%" PRIu64 " inodes=%" PRIu64 "\n", n, progress->n_layers_there, progress->bytes_pulled, progress->n_inodes);
    return overlay_of(run->layers, stack, n, upper, work, &fd, err) && overlay_attach(fd, run->target, err);
}

static FALLIBLE unpack(struct run *run, struct image_progress *progress, struct err *err)
{
    AUTO(image_config) struct image_config config  = { 0 };
    struct image_source                    source  = { .read = read_blob, .owner = run };
    struct image_request                   request = { .architecture    = "amd64",
                                                       .sources         = &source,
                                                       .n_sources       = 1,
                                                       .kek             = read_key,
                                                       .kek_owner       = run,
                                                       .budget          = IMAGE_BUDGET_DEFAULT,
                                                       .keeps_our_owner = run->keeps_our_owner };
    run->store.folder   = run->layers;
    run->store.overlay  = make_overlay;
    run->store.owner    = run;
    request.layers      = run->layers ? &run->store : NULL;
    AUTO(fd) int target = open(run->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(fd) int scratch = run->scratch ? open(run->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : NO_FD;

    request.budget.unpacked_bytes = run->budget_bytes;
    request.budget.inodes         = run->budget_inodes;
    request.budget.path_depth     = (uint32_t) run->budget_depth;
    request.scratch_fd            = scratch;
    if (target < 0)
        return err_os(err, "open %s", run->target);
    if (!digest_read(bytes_of_text(run->manifest), &request.manifest, err) ||
        !image_unpack(&request, target, &config, progress, err))
        return false;
    if (run->prints_config) {
        printf("user=%s\ncwd=%s\n", config.user, config.working_dir);
        print_list("env", &config.env);
        print_list("entrypoint", &config.entrypoint);
        print_list("cmd", &config.cmd);
    }
    return !run->layers || show(run, progress, err);
}

int main(int argc, char **argv)
{
    struct run              run      = { .store = { .is_apart = true }, .budget_bytes = 8ULL << 30, .budget_inodes = 1 << 20, .budget_depth = 128,
                                         .most_each_read = IMAGE_READ_MAX };
    struct image_progress   progress = { .phase = IMAGE_PULL };
    struct err              err      = { 0 };
    const struct option_row rows[]   = {
        { "key-file", OPTION_TEXT, &run.key_file, "FILE", "the key encryption key", 0, 0 },
        { "scratch", OPTION_TEXT, &run.scratch, "DIR", "where ciphertext waits; default: memory", 0, 0 },
        { "layers", OPTION_TEXT, &run.layers, "DIR", "where layers are kept that the images share", 0, 0 },
        { "bytes", OPTION_NUMBER, &run.budget_bytes, "N", "budget of unpacked bytes", 0, 0 },
        { "inodes", OPTION_NUMBER, &run.budget_inodes, "N", "budget of files", 0, 0 },
        { "depth", OPTION_NUMBER, &run.budget_depth, "N", "budget of path steps", 0, 0 },
        { "piece", OPTION_NUMBER, &run.most_each_read, "N", "bytes that the source gives at once", 1, IMAGE_READ_MAX },
        { "our-owner", OPTION_FLAG, &run.keeps_our_owner, NULL, "no chown, no device nodes", 0, 0 },
        { "config", OPTION_FLAG, &run.prints_config, NULL, "print the image config", 0, 0 },
        { "times", OPTION_FLAG, &run.prints_times, NULL, "print what each phase took", 0, 0 },
    };
    const struct option_table table = { .command = "unpack-layout", .synopsis = "[OPTION]... LAYOUT [DIGEST TARGET]...",
                                        .about = "Unpacks images as the guest does.", .rows = rows,
                                        .n_rows = sizeof rows / sizeof *rows };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) || !secret_heap_open(&err)) {
        fprintf(stderr, "unpack-layout: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n < 3 || n % 2 == 0) {
        fprintf(stderr, "unpack-layout: LAYOUT DIGEST TARGET are wanted\n");
        return 2;
    }
    run.layout = operands[0];
    bool ok    = true;

    for (size_t i = 1; i < n && ok; i += 2) {
        run.manifest = operands[i];
        run.target   = operands[i + 1];
        ok           = unpack(&run, &progress, &err);
    }
    layer_store_free(&run.store);

    if (run.prints_times)
        for (int p = 0; p < IMAGE_PHASES; p++)
            printf("%s_ms=%.3f\n", image_phase_name((enum image_phase) p), (double) progress.spent_ns[p] / 1e6);
    if (!ok)
        fprintf(stderr, "%s: %s: %s\n", image_phase_name(progress.phase), err_kind_name(err.kind), err.text);
    return ok ? 0 : 1;
}
