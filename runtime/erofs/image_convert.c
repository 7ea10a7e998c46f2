#include "runtime/erofs/image_convert.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/image/inflate.h"
#include "keys/ocicrypt/image_config.h"
#include "runtime/erofs/erofs_image.h"
#include "runtime/erofs/erofs_layers.h"
#include "runtime/oci/layout_writer.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TYPE   "application/vnd.oci.image.config.v1+json"

enum { PIECE_LEN = 1 << 20 };

/* ---- the source's layers ---- */

/* A blob as a stream, its digest taken on the way. */
struct blob_reading {
    int               fd;
    uint8_t          *piece;
    struct digest_run digest;
};

static void auto_blob_reading(struct blob_reading *r)
{
    auto_fd(&r->fd);
    auto_digest_run(&r->digest);
    free(r->piece);
}

static bool reading_next(void *owner, struct bytes *piece, struct err *err)
{
    struct blob_reading *r = owner;
    ssize_t              n;

    do
        n = read(r->fd, r->piece, PIECE_LEN);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_os(err, "read");
    *piece = (struct bytes){ r->piece, (size_t) n };
    digest_run_update(&r->digest, *piece);
    return true;
}

static FALLIBLE digests_check(struct blob_reading *r, const struct descriptor *blob, const struct inflate *inflate,
                              const struct digest *diff_id, struct err *err)
{
    struct digest found;

    digest_run_end(&r->digest, &found);
    if (!digest_equal(&found, &blob->digest))
        return fail_with(err, ERR_UNTRUSTED, "its bytes are not what its digest says");
    inflate_digest((struct inflate *) (uintptr_t) inflate, &found); /* ends the run: once */
    return digest_equal(&found, diff_id) || fail_with(err, ERR_UNTRUSTED, "diff_id does not match");
}

static FALLIBLE layer_apply(const char *directory, const struct descriptor *blob, const struct digest *diff_id,
                            struct erofs_layers *layers, struct err *err)
{
    AUTO(blob_reading) struct blob_reading reading = { .fd = NO_FD, .piece = malloc(PIECE_LEN) };
    AUTO(inflate) struct inflate          *inflate = NULL;
    const struct layer_type               *type    = NULL;
    const struct image_budget              budget  = IMAGE_BUDGET_DEFAULT;

    if (!reading.piece)
        abort();
    if (!layer_type_find(blob->media_type, &type, err))
        return false;
    if (type->is_encrypted || type->packing == LAYER_EROFS)
        return fail_with(err, ERR_CONFIG, type->is_encrypted ? "encrypted already: convert first, then encrypt" : "converted already");
    digest_run_begin(&reading.digest, blob->digest.algorithm);
    struct inflate_options options = { .packing = type->packing, .from = { reading_next, &reading }, .ratio = budget.ratio,
                                       .window_log = budget.window_log, .algorithm = diff_id->algorithm };
    return layout_open_blob(directory, blob, &reading.fd, err) && inflate_new(&options, &inflate, err) &&
           erofs_layers_add(layers, inflate_stream(inflate), err) && digests_check(&reading, blob, inflate, diff_id, err);
}

struct conversion {
    const struct layout_reference *from, *to;
    struct manifest                manifest;
    struct image_config            config;
    struct erofs_layers            layers;
    struct layout_sink             sink;
    struct verity_tree             tree;
    bool                           made_folder; /* the destination, which holds no image so far */
};

static void auto_conversion(struct conversion *c)
{
    struct err ignored; /* what failed before is what the caller hears of */

    auto_manifest(&c->manifest);
    auto_image_config(&c->config);
    auto_erofs_layers(&c->layers);
    layout_sink_free(&c->sink);
    if (c->made_folder)
        (void) !directory_remove(c->to->directory, &ignored); /* at worst some clutter stays */
    auto_verity_tree(&c->tree);
}

static FALLIBLE source_read(struct conversion *c, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 }, config = { 0 };
    struct json_object        *document = NULL;
    char                       digest[LAYOUT_DIGEST_LEN];

    if (!layout_find_manifest(c->from, digest, err) ||
        !layout_read_blob(c->from->directory, digest, OCI_DOCUMENT_MAX, &text, err) ||
        !oci_document_read(buffer_bytes(&text), &document, err) || !manifest_read_take(document, &c->manifest, err))
        return false;
    struct digest_text config_digest = digest_text(&c->manifest.config.digest);
    if (!layout_read_blob(c->from->directory, config_digest.at, OCI_DOCUMENT_MAX, &config, err) ||
        !image_config_read(buffer_bytes(&config), &c->config, err))
        return context(err, "image config");
    return c->config.n_diff_ids == c->manifest.n_layers ||
           fail_with(err, ERR_MALFORMED, "image config: %zu diff_ids for %zu layers", c->config.n_diff_ids, c->manifest.n_layers);
}

static FALLIBLE layers_apply(struct conversion *c, struct err *err)
{
    const struct image_budget budget = IMAGE_BUDGET_DEFAULT;

    if (!erofs_layers_open(c->to->directory, &budget, &c->layers, err))
        return false;
    for (size_t i = 0; i < c->manifest.n_layers; i++)
        if (!layer_apply(c->from->directory, &c->manifest.layers[i], &c->config.diff_ids[i], &c->layers, err))
            return contextf(err, "layer %zu of %zu", i + 1, c->manifest.n_layers);
    return true;
}

/* ---- the one that is made ---- */

static bool blocks_put(void *owner, struct bytes piece, struct err *err)
{
    struct conversion *c = owner;

    return verity_tree_add(&c->tree, piece, err) && layout_sink_write(&c->sink, piece, err);
}

static FALLIBLE layer_write(struct conversion *c, struct block_layer *layer, struct descriptor *out, struct err *err)
{
    AUTO(buffer) struct buffer nodes = { 0 };
    struct erofs_image         image = { &c->layers.tree, c->layers.content_fd, blocks_put, c };

    if (!layout_sink_open(c->to->directory, &c->sink, err) || !erofs_image_write(&image, err))
        return false;
    layer->n_blocks = c->tree.n_blocks;
    verity_tree_end(&c->tree, &nodes, layer->root);
    return layout_sink_write(&c->sink, buffer_bytes(&nodes), err) && layout_sink_keep(&c->sink, c->to->directory, out, err);
}

/* What the image is stays; what its layers were, and how they came about, is no longer true. */
static FALLIBLE config_write(struct conversion *c, const struct descriptor *layer, struct descriptor *out, struct err *err)
{
    AUTO(buffer) struct buffer text     = { 0 };
    struct json_object        *rootfs   = json_object_new_object(), *ids = json_object_new_array();
    struct digest_text         diff_id  = digest_text(&layer->digest);

    (void) json_object_array_add(ids, json_object_new_string(diff_id.at)); /* aborts rather than fail, as all of json-c here */
    json_add_text(rootfs, "type", "layers");
    json_add(rootfs, "diff_ids", ids);
    json_object_object_del(c->config.document, "history");
    json_add(c->config.document, "rootfs", rootfs);
    json_write(c->config.document, &text);
    return layout_put_blob(c->to->directory, buffer_bytes(&text), out, err);
}

static struct json_object *descriptor_make(const char *media_type, const struct descriptor *of)
{
    struct json_object *out    = json_object_new_object();
    struct digest_text  digest = digest_text(&of->digest);

    json_add_text(out, "mediaType", media_type);
    json_add_text(out, "digest", digest.at);
    json_add(out, "size", json_object_new_uint64(of->size));
    return out;
}

static FALLIBLE manifest_write(struct conversion *c, const struct block_layer *block, const struct descriptor *layer,
                               const struct descriptor *config, struct descriptor *out, struct err *err)
{
    AUTO(json) struct json_object *manifest    = json_object_new_object();
    AUTO(buffer) struct buffer     text        = { 0 };
    struct json_object            *layers      = json_object_new_array(), *row = descriptor_make(BLOCK_LAYER_TYPE, layer);
    struct json_object            *annotations = json_object_new_object(), *kept = NULL;
    char                           verity[BLOCK_LAYER_TEXT_MAX];

    block_layer_text(block, verity);
    json_add_text(annotations, BLOCK_LAYER_ANNOTATION, verity);
    json_add(row, "annotations", annotations);
    (void) json_object_array_add(layers, row); /* as above */
    json_add(manifest, "schemaVersion", json_object_new_int(2));
    json_add_text(manifest, "mediaType", MANIFEST_TYPE);
    json_add(manifest, "config", descriptor_make(CONFIG_TYPE, config));
    json_add(manifest, "layers", layers);
    if (json_object_object_get_ex(c->manifest.document, "annotations", &kept))
        json_add(manifest, "annotations", json_object_get(kept));
    json_write(manifest, &text);
    return layout_put_blob(c->to->directory, buffer_bytes(&text), out, err) || context(err, "manifest");
}

static FALLIBLE destination_write(struct conversion *c, struct image_convert_outcome *out, struct err *err)
{
    struct block_layer block  = { 0 };
    struct descriptor  layer  = { 0 }, config = { 0 }, manifest = { 0 };

    if (!layer_write(c, &block, &layer, err) || !config_write(c, &layer, &config, err) ||
        !manifest_write(c, &block, &layer, &config, &manifest, err))
        return false;
    manifest.media_type = MANIFEST_TYPE;
    *out = (struct image_convert_outcome){ digest_text(&manifest.digest), c->manifest.n_layers, layer.size, c->layers.tree.n_nodes };
    return layout_name_manifest(c->to->directory, &manifest, c->to->tag[0] ? c->to->tag : c->from->tag, err);
}

FALLIBLE image_convert(const struct layout_reference *from, const struct layout_reference *to,
                       struct image_convert_outcome *out, struct err *err)
{
    AUTO(conversion) struct conversion c = { .from = from, .to = to, .layers = NO_EROFS_LAYERS, .sink = NO_LAYOUT_SINK };

    if (!source_read(&c, err))
        return false;
    c.made_folder = access(to->directory, F_OK) != 0;
    if (!layout_make(to->directory, err) || !layers_apply(&c, err) || !destination_write(&c, out, err))
        return false;
    c.made_folder = false;
    return true;
}
