#include "guest/image/image.h"

#include <string.h>

#include "guest/image/blob.h"
#include "guest/image/inflate.h"
#include "guest/image/rootfs.h"
#include "keys/ocicrypt/layer_type.h"
#include "keys/ocicrypt/packet.h"

static const char *const phase_names[IMAGE_PHASES] = {
    [IMAGE_PULL] = "pull", [IMAGE_KEY] = "key", [IMAGE_VERIFY] = "verify", [IMAGE_UNPACK] = "unpack"
};

const char *image_phase_name(enum image_phase phase)
{
    return phase_names[phase];
}

/* All that is known of the image before its first layer is asked for. */
struct plan {
    struct manifest          manifest;
    struct image_config      config;
    const struct layer_type *types[OCI_LAYERS_MAX];
    struct layer_key         keys[OCI_LAYERS_MAX];
};

static void auto_plan(struct plan *plan)
{
    for (size_t i = 0; i < OCI_LAYERS_MAX; i++)
        auto_layer_key(&plan->keys[i]);
    auto_manifest(&plan->manifest);
    auto_image_config(&plan->config);
}

static FALLIBLE document_fetch(struct ledger *ledger, const struct digest *digest, const uint64_t *size,
                               struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (!blob_read(ledger, BLOB_MANIFEST, digest, size, &text, err))
        return false;
    return oci_document_read(buffer_bytes(&text), out, err);
}

/* From an index, one step and no more: what it names for our platform must be a manifest. */
static FALLIBLE manifest_choose(struct ledger *ledger, const struct image_request *request,
                                struct json_object **document, struct err *err)
{
    AUTO(image_index) struct image_index index  = { 0 };
    const struct descriptor             *chosen = NULL;

    if (!image_index_read_take(TAKE(*document), &index, err) ||
        !image_index_choose(&index, "linux", request->architecture, &chosen, err))
        return false;
    return document_fetch(ledger, &chosen->digest, &chosen->size, document, err) || context(err, "manifest");
}

static FALLIBLE manifest_fetch(struct ledger *ledger, const struct image_request *request, struct manifest *out,
                               struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    enum oci_kind                  kind     = OCI_MANIFEST;

    if (!document_fetch(ledger, &request->manifest, NULL, &document, err) || !oci_kind_of(document, &kind, err))
        return context(err, "manifest");
    if (kind == OCI_INDEX && !manifest_choose(ledger, request, &document, err))
        return false;
    return manifest_read_take(TAKE(document), out, err);
}

static FALLIBLE config_fetch(struct ledger *ledger, const struct image_request *request, const struct manifest *m,
                             struct image_config *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (!blob_read(ledger, BLOB_OTHER, &m->config.digest, &m->config.size, &text, err))
        return context(err, "image config");
    if (!image_config_read(buffer_bytes(&text), out, err))
        return false;
    if (out->n_diff_ids != m->n_layers)
        return fail_with(err, ERR_MALFORMED, "image config: %zu diff_ids for %zu layers", out->n_diff_ids,
                         m->n_layers);
    if (strcmp(out->os, "linux") != 0 || strcmp(out->architecture, request->architecture) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "image config: not for linux/%s", request->architecture);
    return true;
}

static FALLIBLE types_find(const struct image_request *request, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < plan->manifest.n_layers; i++) {
        if (!layer_type_find(plan->manifest.layers[i].media_type, &plan->types[i], err))
            return contextf(err, "layer %zu of %zu", i + 1, plan->manifest.n_layers);
        if (plan->types[i]->packing == LAYER_EROFS && plan->manifest.n_layers != 1)
            return fail_with(err, ERR_UNSUPPORTED, "layer %zu of %zu: one that is mounted stands alone", i + 1, plan->manifest.n_layers);
        if ((request->must_be_encrypted || request->required_kid) && !plan->types[i]->is_encrypted)
            return fail_with(err, ERR_DENIED, "layer %zu of %zu: not encrypted", i + 1, plan->manifest.n_layers);
    }
    return true;
}

/* Layers usually share one key encryption key: the broker is asked once. */
struct kek_cache {
    const struct image_request *request;
    char                        kid[ENC_KID_MAX + 1];
    struct secret               kek;
};

static void auto_kek_cache(struct kek_cache *cache)
{
    secret_free(&cache->kek);
}

static bool kek_get(void *owner, const char *kid, struct secret *out, struct err *err)
{
    struct kek_cache *cache    = owner;
    const char       *required = cache->request->required_kid;

    if (required && strcmp(required, kid) != 0)
        return fail_with(err, ERR_DENIED, "encrypted with key %.80s; the policy wants %.80s", kid, required);
    if (!cache->kek.held || strcmp(cache->kid, kid) != 0) {
        secret_free(&cache->kek);
        if (!cache->request->kek(cache->request->kek_owner, kid, &cache->kek, err))
            return contextf(err, "key %s", kid);
        (void) snprintf(cache->kid, sizeof cache->kid, "%s", kid); /* as long as any kid */
    }
    return secret_copy(secret_expose(&cache->kek), out, err);
}

static FALLIBLE keys_open(struct ledger *ledger, const struct image_request *request, struct plan *plan,
                          struct err *err)
{
    AUTO(kek_cache) struct kek_cache cache = { .request = request };
    uint64_t                         began = clock_now_ns();

    phase_enter(ledger, IMAGE_KEY);
    for (size_t i = 0; i < plan->manifest.n_layers; i++)
        if (plan->types[i]->is_encrypted &&
            (!layer_key_open(&plan->manifest.layers[i], kek_get, &cache, &plan->keys[i], err) ||
             !layer_key_fits(&plan->keys[i], plan->types[i], err)))
            return contextf(err, "layer %zu of %zu", i + 1, plan->manifest.n_layers);
    phase_spent(ledger, IMAGE_KEY, &began);
    return true;
}

static FALLIBLE entries_apply(struct ledger *ledger, struct inflate *inflate, struct rootfs *rootfs, struct err *err)
{
    AUTO(tar) struct tar tar    = tar_over(inflate_stream(inflate));
    bool                 is_end = false;

    rootfs_layer_begin(rootfs);
    for (;;) {
        struct tar_entry entry;

        if (!tar_next(&tar, &entry, &is_end, err))
            return false;
        if (is_end)
            return rootfs_layer_end(rootfs, err);
        if (!rootfs_apply(rootfs, &entry, &tar, err))
            return false;
        ledger->progress->bytes_unpacked = rootfs->bytes;
        ledger->progress->n_inodes       = rootfs->n_inodes;
    }
}

static FALLIBLE layer_unpack(struct ledger *ledger, const struct image_request *request, const struct plan *plan,
                             size_t i, struct rootfs *rootfs, struct err *err)
{
    AUTO(blob) struct blob        blob    = NO_BLOB;
    AUTO(inflate) struct inflate *inflate = NULL;
    const struct layer_key       *key     = plan->types[i]->is_encrypted ? &plan->keys[i] : NULL;
    const struct digest          *diff_id = &plan->config.diff_ids[i];
    struct digest                 found;

    if (!blob_fetch(ledger, &plan->manifest.layers[i], key, request->scratch_fd, &blob, err))
        return false;

    uint64_t               began   = clock_now_ns();
    struct inflate_options options = { .packing    = plan->types[i]->packing,
                                       .from       = blob_stream(&blob),
                                       .ratio      = request->budget.ratio,
                                       .window_log = request->budget.window_log,
                                       .algorithm  = diff_id->algorithm };

    phase_enter(ledger, IMAGE_UNPACK);
    if (!inflate_new(&options, &inflate, err) || !entries_apply(ledger, inflate, rootfs, err))
        return false;
    phase_spent(ledger, IMAGE_UNPACK, &began);

    phase_enter(ledger, IMAGE_VERIFY);
    inflate_digest(inflate, &found);
    if (!digest_equal(&found, diff_id)) {
        struct digest_text text = digest_text(&found);

        return fail_with(err, ERR_UNTRUSTED, "diff_id does not match: the unpacked layer is %s", text.at);
    }
    return true;
}

/* The host lends what its cache has: so the layer is brought there, if it is ciphertext, as for the next guest. */
static FALLIBLE bring_to_host(struct ledger *ledger, const struct descriptor *layer, bool is_encrypted, struct err *err)
{
    struct err why = { 0 };

    if (!is_encrypted || !ledger->keep.put)
        return false;
    if (blob_pass_on(ledger, layer, &why))
        return true;
    return fail_with(err, why.kind, "the host has it not: %s", why.text);
}

/* The root hash is the manifest's; with a key, it is also what the key's owner encrypted: only then is it believed. */
static FALLIBLE layer_mount(struct ledger *ledger, const struct image_request *request, const struct plan *plan, struct err *err)
{
    const struct descriptor   *layer = &plan->manifest.layers[0];
    const struct layer_key    *key   = plan->types[0]->is_encrypted ? &plan->keys[0] : NULL;
    AUTO(secret) struct secret secret = { 0 };
    struct block_layer         blocks;
    uint64_t                   began = clock_now_ns();

    phase_enter(ledger, IMAGE_VERIFY);
    if (!block_layer_read(layer, &blocks, err) || (key && (!block_layer_check(&blocks, &key->private, &key->public, err) ||
                                                           !block_layer_key(&key->private, &secret, err))))
        return false;
    phase_spent(ledger, IMAGE_VERIFY, &began);
    phase_enter(ledger, IMAGE_PULL);
    if (!request->mount)
        return fail_with(err, ERR_UNSUPPORTED, "made to be mounted from a disk, and the host lent none");
    bool is_mounted = request->mount(request->mount_owner, &layer->digest, &blocks, &secret, ledger->progress->mounted, err);
    if (!is_mounted && err->kind == ERR_NOT_FOUND) {
        if (!bring_to_host(ledger, layer, key != NULL, err))
            return false;
        is_mounted = request->mount(request->mount_owner, &layer->digest, &blocks, &secret, ledger->progress->mounted, err);
    }

    /* other bytes than the manifest's are found by the kernel, while it mounts */
    phase_enter(ledger, is_mounted || err->kind == ERR_UNTRUSTED ? IMAGE_VERIFY : err->kind == ERR_NOT_FOUND ? IMAGE_PULL : IMAGE_UNPACK);
    phase_spent(ledger, IMAGE_UNPACK, &began);
    return is_mounted;
}

static FALLIBLE plan_make(struct ledger *ledger, const struct image_request *request, struct plan *plan,
                          struct err *err)
{
    return manifest_fetch(ledger, request, &plan->manifest, err) && types_find(request, plan, err) &&
           config_fetch(ledger, request, &plan->manifest, &plan->config, err) &&
           keys_open(ledger, request, plan, err);
}

/* All layers into one folder, one after the other. */
static FALLIBLE unpack_flat(struct ledger *ledger, const struct image_request *request, const struct plan *plan, int target_fd,
                            struct rootfs *rootfs, struct err *err)
{
    rootfs_move(rootfs, target_fd, false);
    for (size_t i = 0; i < plan->manifest.n_layers; i++)
        if (!layer_unpack(ledger, request, plan, i, rootfs, err)) {
            struct err unheard; /* the first failure is the one to report; the target is useless either way */
            bool       is_clean = layer_tree_clear(target_fd, NULL, &unheard);

            (void) is_clean;
            return contextf(err, "layer %zu of %zu", i + 1, plan->manifest.n_layers);
        }
    return true;
}

/* The image as a stack in the store: how its layers are named, and how far it has come. */
struct stacking {
    struct layer_store *store;
    struct layer_id     ids[OCI_LAYERS_MAX];
    size_t              n_there;
    struct manifest     missing; /* the part of the image's that is not there, borrowed */
    struct layer_begun  begun;
    unsigned            top;
};

static void layers_name(const struct plan *plan, struct layer_id ids[static OCI_LAYERS_MAX])
{
    struct layer_id id = { { 0 } };

    for (size_t i = 0; i < plan->manifest.n_layers; i++) {
        layer_id_next(&id, &plan->manifest.layers[i], plan->types[i], plan->types[i]->is_encrypted ? &plan->keys[i] : NULL,
                      &plan->config.diff_ids[i]);
        ids[i] = id;
    }
}

/* What is there counts as if it came: whether an image is within its budgets must not depend on others. */
static FALLIBLE layers_find(struct ledger *ledger, const struct plan *plan, struct stacking *s, struct rootfs *rootfs, struct err *err)
{
    const struct stored_layer *found = layer_store_find(s->store, s->ids, plan->manifest.n_layers, &s->n_there);

    phase_enter(ledger, IMAGE_UNPACK);
    for (size_t i = 0; i < s->n_there; i++)
        if (!blob_charge(ledger, &plan->manifest.layers[i], err))
            return contextf(err, "layer %zu of %zu", i + 1, plan->manifest.n_layers);
    s->missing = plan->manifest;
    s->missing.layers += s->n_there;
    s->missing.n_layers -= s->n_there;
    ledger->manifest = &s->missing;
    if (!found)
        return true;
    s->top = found->number;
    if (!rootfs_count(rootfs, found->bytes, found->n_inodes, err))
        return false;
    ledger->progress->n_layers_there = s->n_there;
    ledger->progress->bytes_unpacked = rootfs->bytes;
    ledger->progress->n_inodes       = rootfs->n_inodes;
    return true;
}

static FALLIBLE layer_stack(struct ledger *ledger, const struct image_request *request, const struct plan *plan, size_t i,
                            struct stacking *s, struct rootfs *rootfs, struct err *err)
{
    bool is_last = i + 1 == plan->manifest.n_layers;

    if (s->begun.root_fd < 0) {
        phase_enter(ledger, IMAGE_UNPACK);
        if (!layer_store_begin(s->store, s->top, &s->begun, err))
            return false;
        rootfs_move(rootfs, s->begun.root_fd, s->top != 0);
    }
    if (!layer_unpack(ledger, request, plan, i, rootfs, err))
        return false;
    if (!is_last && !s->store->is_apart)
        return true;
    rootfs_move(rootfs, NO_FD, false); /* it lets go of the root, with all that it had open there */
    s->top = s->begun.number;
    return layer_store_end(s->store, &s->begun, &s->ids[i], rootfs->bytes, rootfs->n_inodes, err);
}

/* Each layer that is not there yet, on top of those that are. */
static FALLIBLE unpack_stacked(struct ledger *ledger, const struct image_request *request, const struct plan *plan,
                               struct rootfs *rootfs, struct err *err)
{
    struct stacking s        = { .store = request->layers, .begun = NO_LAYER_BEGUN };
    size_t          n_before = s.store->n;

    layers_name(plan, s.ids);
    if (!layers_find(ledger, plan, &s, rootfs, err))
        return false;
    for (size_t i = s.n_there; i < plan->manifest.n_layers; i++)
        if (!layer_stack(ledger, request, plan, i, &s, rootfs, err)) {
            rootfs_move(rootfs, NO_FD, false);
            layer_store_abandon(s.store, &s.begun);
            layer_store_shorten(s.store, n_before);
            return contextf(err, "layer %zu of %zu", i + 1, plan->manifest.n_layers);
        }
    ledger->progress->top = s.top;
    return true;
}

FALLIBLE image_unpack(const struct image_request *request, int target_fd, struct image_config *config,
                      struct image_progress *progress, struct err *err)
{
    AUTO(plan) struct plan     plan   = { .manifest = { 0 } };
    AUTO(rootfs) struct rootfs rootfs = rootfs_over(target_fd, &request->budget, request->keeps_our_owner);
    struct ledger              ledger = { .sources     = request->sources,
                                          .n_sources   = request->n_sources,
                                          .keep        = request->keep,
                                          .progress    = progress,
                                          .packed_left = request->budget.packed_bytes };

    *progress = (struct image_progress){ .phase = IMAGE_PULL };
    if (request->n_sources > IMAGE_SOURCES_MAX)
        return fail_with(err, ERR_BUG, "over %d sources", IMAGE_SOURCES_MAX);
    if (!plan_make(&ledger, request, &plan, err))
        return false;
    ledger.manifest = &plan.manifest;
    if (plan.types[0]->packing == LAYER_EROFS) {
        if (!layer_mount(&ledger, request, &plan, err))
            return context(err, "layer 1 of 1");
    } else if (!(request->layers ? unpack_stacked(&ledger, request, &plan, &rootfs, err)
                                 : unpack_flat(&ledger, request, &plan, target_fd, &rootfs, err))) {
        return false;
    }
    *config = TAKE(plan.config);
    return true;
}
