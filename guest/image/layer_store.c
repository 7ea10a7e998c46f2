#include "guest/image/layer_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/file.h"

enum { ROOT_ATTRIBUTES_MAX = 4096 };

/* ---- names ---- */

/* With its length, so that no two lists of fields are the same bytes. */
static void field(struct digest_run *run, struct bytes value)
{
    uint64_t len[] = { value.len };

    digest_run_update(run, BYTES_OF(len));
    digest_run_update(run, value);
}

static void digest_field(struct digest_run *run, const struct digest *digest)
{
    struct digest_text text = digest_text(digest);

    field(run, bytes_of_text(text.at));
}

void layer_id_next(struct layer_id *id, const struct descriptor *layer, const struct layer_type *type, const struct layer_key *key,
                   const struct digest *diff_id)
{
    AUTO(digest_run) struct digest_run run    = { 0 };
    uint64_t                           size[] = { layer->size };
    struct digest                      out;

    digest_run_begin(&run, DIGEST_SHA256);
    field(&run, bytes_of_text(key ? "encrypted layer" : "layer"));
    field(&run, BYTES_OF(id->at));
    digest_field(&run, &layer->digest);
    field(&run, BYTES_OF(size));
    field(&run, bytes_of_text(type->name));
    digest_field(&run, diff_id);
    if (key) {
        uint8_t cipher[] = { (uint8_t) key->public.cipher };

        field(&run, BYTES_OF(cipher));
        field(&run, BYTES_OF(key->public.hmac));
        field(&run, BYTES_OF(key->private.nonce));
        field(&run, secret_expose(&key->private.key));
    }
    digest_run_end(&run, &out);
    memcpy(id->at, out.value, sizeof id->at);
}

/* ---- folders ---- */

void layer_store_path(const char *folder, unsigned number, char out[static LAYER_PATH_MAX])
{
    (void) snprintf(out, LAYER_PATH_MAX, "%s/layer-%u/tree", folder, number); /* cut, it is not found */
}

void layer_store_work_path(const char *folder, unsigned number, char out[static LAYER_PATH_MAX])
{
    (void) snprintf(out, LAYER_PATH_MAX, "%s/layer-%u/work", folder, number); /* likewise */
}

static void layer_remove(const struct layer_store *store, unsigned number)
{
    char       path[LAYER_PATH_MAX];
    struct err ignored; /* what stays behind is memory of a guest that will end */

    (void) snprintf(path, sizeof path, "%s/layer-%u", store->folder, number); /* as above */
    (void) !directory_remove(path, &ignored);
}

/* Of those that rootfs sets. A root with more than fits has none of them in the layers above it. */
static FALLIBLE root_copy_attributes(const char *from, const char *to, struct err *err)
{
    char    names[ROOT_ATTRIBUTES_MAX], value[ROOT_ATTRIBUTES_MAX];
    ssize_t len = listxattr(from, names, sizeof names);

    for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
        ssize_t n = strncmp(name, "user.", 5) == 0 ? getxattr(from, name, value, sizeof value) : -1;

        if (n >= 0 && setxattr(to, name, value, (size_t) n, 0) < 0)
            return err_os(err, "root of a layer: an extended attribute");
    }
    return true;
}

/* overlayfs shows the upper folder's own owner, mode and attributes as the root's: until the layer says otherwise, those below. */
static FALLIBLE root_copy(const char *from, const char *to, struct err *err)
{
    struct stat st;

    if (!root_copy_attributes(from, to, err))
        return false;
    if (stat(from, &st) < 0 || chown(to, st.st_uid, st.st_gid) < 0 || chmod(to, st.st_mode & 07777) < 0)
        return err_os(err, "root of a layer");

    const struct timespec times[2] = { st.st_mtim, st.st_mtim };

    return utimensat(AT_FDCWD, to, times, 0) == 0 || err_os(err, "root of a layer");
}

static FALLIBLE open_stacked(const struct layer_store *store, struct layer_begun *begun, const char *tree, struct err *err)
{
    unsigned lower[OCI_LAYERS_MAX];
    size_t   n = layer_store_stack(store, begun->below, lower);
    char     work[LAYER_PATH_MAX], below[LAYER_PATH_MAX];

    layer_store_work_path(store->folder, begun->number, work);
    layer_store_path(store->folder, begun->below, below);
    if (n == 0 || !store->overlay)
        return fail_with(err, ERR_BUG, "no layer to stack on");
    return directory_make(work, err) && root_copy(below, tree, err) &&
           store->overlay(store->owner, begun->number, lower, n, &begun->root_fd, err);
}

static FALLIBLE open_bottom(struct layer_begun *begun, const char *tree, struct err *err)
{
    begun->root_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return begun->root_fd >= 0 || err_os(err, "%s", tree);
}

FALLIBLE layer_store_begin(struct layer_store *store, unsigned below, struct layer_begun *out, struct err *err)
{
    char tree[LAYER_PATH_MAX];

    if (store->n == LAYER_STORE_MAX)
        return fail_with(err, ERR_LIMIT, "over %d layers at once", LAYER_STORE_MAX);
    *out = (struct layer_begun){ .number = ++store->n_made, .below = below, .root_fd = NO_FD };
    layer_store_path(store->folder, out->number, tree);
    if (directory_make(tree, err) && (below ? open_stacked(store, out, tree, err) : open_bottom(out, tree, err)))
        return true;
    layer_store_abandon(store, out);
    return false;
}

static void root_close(struct layer_begun *begun)
{
    auto_fd(&begun->root_fd);
    begun->root_fd = NO_FD;
}

FALLIBLE layer_store_end(struct layer_store *store, struct layer_begun *begun, const struct layer_id *id, uint64_t bytes,
                         uint64_t n_inodes, struct err *err)
{
    char work[LAYER_PATH_MAX];

    root_close(begun); /* first: with it goes the overlay that could change the tree */
    layer_store_work_path(store->folder, begun->number, work);
    if (!directory_remove(work, err))
        return context(err, "end a layer");
    store->layers = reallocarray(store->layers, store->n + 1, sizeof *store->layers);
    if (!store->layers)
        abort();
    store->layers[store->n++] = (struct stored_layer){ *id, begun->number, begun->below, bytes, n_inodes };
    *begun = NO_LAYER_BEGUN;
    return true;
}

void layer_store_abandon(struct layer_store *store, struct layer_begun *begun)
{
    root_close(begun);
    if (begun->number)
        layer_remove(store, begun->number);
    *begun = NO_LAYER_BEGUN;
}

/* ---- what is there ---- */

static const struct stored_layer *by_number(const struct layer_store *store, unsigned number)
{
    for (size_t i = 0; number && i < store->n; i++)
        if (store->layers[i].number == number)
            return &store->layers[i];
    return NULL;
}

const struct stored_layer *layer_store_find(const struct layer_store *store, const struct layer_id *ids, size_t n, size_t *n_there)
{
    for (*n_there = n; *n_there > 0; --*n_there)
        for (size_t i = 0; i < store->n; i++)
            if (memcmp(store->layers[i].id.at, ids[*n_there - 1].at, sizeof ids->at) == 0)
                return &store->layers[i];
    return NULL;
}

size_t layer_store_stack(const struct layer_store *store, unsigned top, unsigned out[static OCI_LAYERS_MAX])
{
    const struct stored_layer *layer = by_number(store, top);
    size_t                     n     = 0;

    for (; layer && n < OCI_LAYERS_MAX; layer = by_number(store, layer->below))
        out[n++] = layer->number;
    return n;
}

static bool is_in_a_stack(const struct layer_store *store, unsigned number, const unsigned *tops, size_t n_tops)
{
    for (size_t i = 0; i < n_tops; i++)
        for (const struct stored_layer *l = by_number(store, tops[i]); l; l = by_number(store, l->below))
            if (l->number == number)
                return true;
    return false;
}

void layer_store_keep(struct layer_store *store, const unsigned *tops, size_t n)
{
    bool   is_kept[LAYER_STORE_MAX];
    size_t kept = 0;

    for (size_t i = 0; i < store->n; i++) /* all are judged before the first goes: stacks are walked by what is there */
        is_kept[i] = is_in_a_stack(store, store->layers[i].number, tops, n);
    for (size_t i = 0; i < store->n; i++)
        if (is_kept[i])
            store->layers[kept++] = store->layers[i];
        else
            layer_remove(store, store->layers[i].number);
    store->n = kept;
}

void layer_store_shorten(struct layer_store *store, size_t n)
{
    while (store->n > n)
        layer_remove(store, store->layers[--store->n].number);
}

void layer_store_free(struct layer_store *store)
{
    free(store->layers);
    store->layers = NULL;
    store->n      = 0;
}
