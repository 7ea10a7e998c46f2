#include "runtime/oci/image_crypt.h"

#include <errno.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/ocicrypt/jwe_recipient.h"
#include "keys/ocicrypt/layer_cipher.h"
#include "keys/ocicrypt/layer_key.h"
#include "keys/ocicrypt/layer_type.h"
#include "keys/ocicrypt/packet.h"
#include "runtime/oci/block_crypt.h"
#include "runtime/oci/layout_writer.h"

enum { PIECE_LEN = 256 << 10, PROGRESS_LEN = 16 << 20 };

/* One image on its way: the manifest as read, and a second copy of its document that is changed. */
struct passage {
    const struct image_crypt *job;
    struct manifest           manifest;
    struct json_object       *changed;
    uint8_t                  *piece; /* PIECE_LEN */
    uint64_t                  bytes;
    size_t                    layer;
    bool                      made_folder; /* the destination, which holds no image so far */
};

static void auto_passage(struct passage *p)
{
    struct err ignored; /* what failed before is what the caller hears of */

    if (p->made_folder)
        (void) !directory_remove(p->job->to->directory, &ignored); /* at worst some clutter stays */
    manifest_free(&p->manifest);
    json_object_put(p->changed);
    free(p->piece);
}

typedef bool piece_fn(void *owner, struct bytes piece, struct err *err);

/* Reads the whole of `fd` from its start, piece by piece; checks it against the descriptor. */
static FALLIBLE blob_walk(struct passage *p, int fd, const struct descriptor *blob, piece_fn *see, void *owner,
                          struct err *err)
{
    AUTO(digest_run) struct digest_run digest = { 0 };
    struct digest                      found;
    uint64_t                           offset = 0;

    digest_run_begin(&digest, blob->digest.algorithm);
    for (;;) {
        ssize_t n = pread(fd, p->piece, PIECE_LEN, (off_t) offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "read");
        if (n == 0)
            break;
        digest_run_update(&digest, (struct bytes){ p->piece, (size_t) n });
        if (!see(owner, (struct bytes){ p->piece, (size_t) n }, err))
            return false;
        offset += (uint64_t) n;
        if (p->job->progress && (offset % PROGRESS_LEN == 0 || offset == blob->size))
            p->job->progress(p->job->owner, p->layer + 1, p->manifest.n_layers, offset, blob->size);
    }
    digest_run_end(&digest, &found);
    if (!digest_equal(&found, &blob->digest))
        return fail_with(err, ERR_UNTRUSTED, "its bytes are not what its digest says");
    return true;
}

struct sealing {
    struct layer_ctr    ctr;
    struct layer_mac    mac;
    struct layout_sink *sink;
    uint8_t            *piece; /* encrypted in place */
};

static void auto_sealing(struct sealing *s)
{
    auto_layer_ctr(&s->ctr);
    auto_layer_mac(&s->mac);
}

static bool seal_piece(void *owner, struct bytes piece, struct err *err)
{
    struct sealing *s = owner;

    return layer_ctr_apply(&s->ctr, piece, s->piece, err) && layer_mac_update(&s->mac, piece, err) &&
           layout_sink_write(s->sink, piece, err);
}

/* Adds the encryption annotations to those that the layer has. */
static FALLIBLE annotations_add(const struct passage *p, struct json_object *layer, const struct layer_public *public,
                                const struct layer_private *private, struct err *err)
{
    AUTO(secret) struct secret options     = { 0 };
    AUTO(packet) struct packet packet      = { 0 };
    AUTO(buffer) struct buffer json        = { 0 };
    AUTO(buffer) struct buffer packet_text = { 0 };
    AUTO(buffer) struct buffer public_text = { 0 };
    AUTO(buffer) struct buffer jwe_text    = { 0 };
    struct json_object        *annotations = NULL;

    if (!layer_private_write(private, &options, err) ||
        !kek_wrap(p->job->kek, p->job->kid, WRAP_A256GCM, &options, &packet, err))
        return false;
    packet_write(&packet, &json);
    base64_append(&packet_text, buffer_bytes(&json), BASE64_STANDARD);
    json.len = 0;
    layer_public_write(public, &json);
    base64_append(&public_text, buffer_bytes(&json), BASE64_STANDARD);
    if (p->job->recipient && !jwe_recipient_seal(p->job->recipient, private, &jwe_text, err))
        return false;
    if (!json_object_object_get_ex(layer, "annotations", &annotations) || !annotations) {
        annotations = json_object_new_object();
        json_add(layer, "annotations", annotations);
    }
    json_add_text(annotations, ENC_KEYS_ANNOTATION, buffer_text(&packet_text));
    json_add_text(annotations, ENC_PUBOPTS_ANNOTATION, buffer_text(&public_text));
    if (jwe_text.len > 0)
        json_add_text(annotations, ENC_JWE_ANNOTATION, buffer_text(&jwe_text));
    return true;
}

static void layer_rename(struct json_object *layer, const char *media_type, const struct descriptor *blob)
{
    struct digest_text digest = digest_text(&blob->digest);

    json_add_text(layer, "mediaType", media_type);
    json_add_text(layer, "digest", digest.at);
    json_add(layer, "size", json_object_new_uint64(blob->size));
}

static bool copy_piece(void *owner, struct bytes piece, struct err *err)
{
    struct sealing *s = owner;

    return layer_mac_update(&s->mac, piece, err) && layout_sink_write(s->sink, piece, err);
}

/* A layer of blocks: its tree is made anew, over what the blocks have become. */
static FALLIBLE blocks_pass(struct passage *p, const struct descriptor *from, const struct layer_private *private, bool encrypts,
                            struct block_layer *out, struct descriptor *made, struct err *err)
{
    AUTO(layout_sink) struct layout_sink sink = NO_LAYOUT_SINK;
    AUTO(block_crypt) struct block_crypt run  = { .sink = &sink, .piece = p->piece };
    AUTO(fd) int                         fd   = NO_FD;

    return layout_open_blob(p->job->from->directory, from, &fd, err) && layout_sink_open(p->job->to->directory, &sink, err) &&
           block_crypt_begin(&run, from, private, encrypts, err) && blob_walk(p, fd, from, block_crypt_piece, &run, err) &&
           block_crypt_end(&run, out, err) && layout_sink_keep(&sink, p->job->to->directory, made, err);
}

static void block_rename(struct json_object *layer, const struct block_layer *block)
{
    struct json_object *annotations = json_object_object_get(layer, "annotations"); /* it was read from there */
    char                text[BLOCK_LAYER_TEXT_MAX];

    block_layer_text(block, text);
    json_add_text(annotations, BLOCK_LAYER_ANNOTATION, text);
}

static FALLIBLE blocks_encrypt(struct passage *p, const struct descriptor *plain, struct json_object *layer, struct err *err)
{
    AUTO(layer_private) struct layer_private private = { .nonce = { 0 } };
    struct layer_public                      public = { .cipher = LAYER_CIPHER_CTR };
    struct descriptor                        made  = { 0 };
    struct block_layer                       block = { 0 };
    const struct layer_type                 *type;

    if (!layer_type_find(plain->media_type, &type, err) || !layer_private_new(&private, err) || !blocks_pass(p, plain, &private, true, &block, &made, err) ||
        !block_layer_seal(&block, &private, &public, err))
        return false;
    private.digest = plain->digest;
    layer_rename(layer, type->encrypted, &made);
    block_rename(layer, &block);
    return annotations_add(p, layer, &public, &private, err);
}

static FALLIBLE decrypted_check(const struct descriptor *made, const struct layer_private *private, struct err *err)
{
    return digest_equal(&made->digest, &private->digest) || private->digest.algorithm != DIGEST_SHA256 ||
           fail_with(err, ERR_UNTRUSTED, "decrypts to something other than was encrypted");
}

static FALLIBLE blocks_decrypt(struct passage *p, const struct descriptor *sealed, const struct layer_key *key,
                               struct json_object *layer, struct err *err)
{
    struct descriptor  made  = { 0 };
    struct block_layer block = { 0 }, plain = { 0 };
    const struct layer_type *type;

    if (!layer_type_find(sealed->media_type, &type, err) || !block_layer_read(sealed, &block, err) || !block_layer_check(&block, &key->private, &key->public, err) ||
        !blocks_pass(p, sealed, &key->private, false, &plain, &made, err) || !decrypted_check(&made, &key->private, err))
        return false;
    layer_rename(layer, type->plain, &made);
    block_rename(layer, &plain);
    return true;
}

/* Another recipient for a layer that somebody encrypted: the ciphertext goes over as it is, once its HMAC held. */
static FALLIBLE layer_adopt(struct passage *p, const struct descriptor *sealed, const struct layer_type *type,
                            struct json_object *layer, struct err *err)
{
    AUTO(layer_key) struct layer_key     key     = { .public = { { 0 } } };
    AUTO(layout_sink) struct layout_sink sink    = NO_LAYOUT_SINK;
    AUTO(sealing) struct sealing         sealing = { .sink = &sink, .piece = p->piece };
    struct descriptor                    made    = { 0 };
    AUTO(fd) int                         fd      = NO_FD;

    if (!p->job->opener || type->packing == LAYER_EROFS)
        return fail_with(err, ERR_CONFIG, "encrypted already; decrypt the image first, or open it with --opener");
    return jwe_recipient_open(sealed, p->job->opener, &key, err) && layer_key_fits(&key, type, err) &&
           layout_open_blob(p->job->from->directory, sealed, &fd, err) &&
           layer_mac_begin(&sealing.mac, &key.private.key, err) &&
           layout_sink_open(p->job->to->directory, &sink, err) &&
           blob_walk(p, fd, sealed, copy_piece, &sealing, err) &&
           layer_mac_verify(&sealing.mac, key.public.hmac, err) &&
           layout_sink_keep(&sink, p->job->to->directory, &made, err) &&
           annotations_add(p, layer, &key.public, &key.private, err);
}

static FALLIBLE layer_encrypt(struct passage *p, const struct descriptor *plain, struct json_object *layer,
                              struct err *err)
{
    AUTO(layer_private) struct layer_private private = { .nonce = { 0 } };
    AUTO(layout_sink) struct layout_sink     sink    = NO_LAYOUT_SINK;
    AUTO(sealing) struct sealing             sealing = { .sink = &sink, .piece = p->piece };
    struct layer_public                      public = { .cipher = LAYER_CIPHER_CTR };
    struct descriptor                        made = { 0 };
    const struct layer_type                 *type = NULL;
    AUTO(fd) int                             fd   = NO_FD;

    if (!layer_type_find(plain->media_type, &type, err))
        return false;
    if (type->is_encrypted)
        return layer_adopt(p, plain, type, layer, err);
    if (type->packing == LAYER_EROFS)
        return blocks_encrypt(p, plain, layer, err);
    if (!layout_open_blob(p->job->from->directory, plain, &fd, err) || !layer_private_new(&private, err) ||
        !layer_ctr_begin(&sealing.ctr, &private, err) || !layer_mac_begin(&sealing.mac, &private.key, err) ||
        !layout_sink_open(p->job->to->directory, &sink, err) ||
        !blob_walk(p, fd, plain, seal_piece, &sealing, err) || !layer_mac_end(&sealing.mac, public.hmac, err) ||
        !layout_sink_keep(&sink, p->job->to->directory, &made, err))
        return false;
    private.digest = plain->digest;
    layer_rename(layer, type->encrypted, &made);
    return annotations_add(p, layer, &public, &private, err);
}

static bool kek_give(void *owner, const char *kid, struct secret *out, struct err *err)
{
    const struct image_crypt *job = owner;

    (void) kid; /* the user named one key file for all */
    return secret_copy(secret_expose(job->kek), out, err);
}

static bool open_piece(void *owner, struct bytes piece, struct err *err)
{
    struct sealing *s = owner;

    return layer_mac_update(&s->mac, piece, err) && layer_ctr_apply(&s->ctr, piece, s->piece, err) &&
           layout_sink_write(s->sink, piece, err);
}

/* Takes all encryption annotations away, those for other recipients too. */
static void annotations_drop(struct json_object *layer)
{
    struct json_object *annotations = NULL;

    if (!json_object_object_get_ex(layer, "annotations", &annotations))
        return;
    for (bool is_found = true; is_found;) {
        is_found = false;
        json_object_object_foreach(annotations, name, value) {
            (void) value; /* the name is enough */
            is_found = strncmp(name, ENC_KEYS_PREFIX, strlen(ENC_KEYS_PREFIX)) == 0 ||
                       strcmp(name, ENC_PUBOPTS_ANNOTATION) == 0;
            if (!is_found)
                continue;
            json_object_object_del(annotations, name);
            break; /* the table has changed under the walk */
        }
    }
    if (json_object_object_length(annotations) == 0)
        json_object_object_del(layer, "annotations");
}

static FALLIBLE layer_decrypt(struct passage *p, const struct descriptor *sealed, struct json_object *layer,
                              struct err *err)
{
    AUTO(layer_key) struct layer_key     key     = { .public = { { 0 } } };
    AUTO(layout_sink) struct layout_sink sink    = NO_LAYOUT_SINK;
    AUTO(sealing) struct sealing         opening = { .sink = &sink, .piece = p->piece };
    struct image_crypt                   job     = *p->job;
    struct descriptor                    made    = { 0 };
    const struct layer_type             *type    = NULL;
    AUTO(fd) int                         fd      = NO_FD;

    if (!layer_type_find(sealed->media_type, &type, err))
        return false;
    if (!type->is_encrypted)
        return fail_with(err, ERR_CONFIG, "not encrypted");
    if (!(job.opener ? jwe_recipient_open(sealed, job.opener, &key, err) :
                       layer_key_open(sealed, kek_give, &job, &key, err)))
        return false;
    if (type->packing == LAYER_EROFS) {
        annotations_drop(layer);
        return blocks_decrypt(p, sealed, &key, layer, err);
    }
    /* one walk, so that what is decrypted is what is verified; the sink's file gets its name once all of that held */
    if (!layer_key_fits(&key, type, err) || !layout_open_blob(p->job->from->directory, sealed, &fd, err) ||
        !layer_mac_begin(&opening.mac, &key.private.key, err) || !layer_ctr_begin(&opening.ctr, &key.private, err) ||
        !layout_sink_open(p->job->to->directory, &sink, err) ||
        !blob_walk(p, fd, sealed, open_piece, &opening, err) ||
        !layer_mac_verify(&opening.mac, key.public.hmac, err) ||
        !layout_sink_keep(&sink, p->job->to->directory, &made, err))
        return false;
    if (!decrypted_check(&made, &key.private, err))
        return false;
    layer_rename(layer, type->plain, &made);
    annotations_drop(layer);
    return true;
}

static FALLIBLE folders_check(const struct image_crypt *job, struct err *err)
{
    struct stat from, to;

    if (stat(job->from->directory, &from) == 0 && stat(job->to->directory, &to) == 0 && from.st_ino == to.st_ino &&
        from.st_dev == to.st_dev)
        return fail_with(err, ERR_CONFIG, "%.100s is both source and destination: the plain layers would stay beside "
                         "the encrypted ones; name another folder", job->to->directory);
    return true;
}

static FALLIBLE passage_open(struct passage *p, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct json_object        *document = NULL;
    char                       digest[LAYOUT_DIGEST_LEN];

    p->piece = malloc(PIECE_LEN);
    if (!p->piece)
        abort();
    if (!folders_check(p->job, err) || !layout_find_manifest(p->job->from, digest, err) ||
        !layout_read_blob(p->job->from->directory, digest, OCI_DOCUMENT_MAX, &text, err) ||
        !oci_document_read(buffer_bytes(&text), &document, err) ||
        !manifest_read_take(document, &p->manifest, err) ||
        !oci_document_read(buffer_bytes(&text), &p->changed, err))
        return false;
    p->made_folder = access(p->job->to->directory, F_OK) != 0;
    return layout_make(p->job->to->directory, err);
}

/* The config goes over as it is; then the changed manifest, and its name last. */
static FALLIBLE passage_finish(struct passage *p, struct image_crypt_outcome *out, struct err *err)
{
    AUTO(buffer) struct buffer config   = { 0 };
    AUTO(buffer) struct buffer text     = { 0 };
    struct descriptor          made     = { 0 };
    struct digest_text         digest   = digest_text(&p->manifest.config.digest);
    const char                *tag      = p->job->to->tag[0] ? p->job->to->tag : p->job->from->tag;
    struct json_object        *type     = NULL;

    if (!layout_read_blob(p->job->from->directory, digest.at, OCI_DOCUMENT_MAX, &config, err) ||
        !layout_put_blob(p->job->to->directory, buffer_bytes(&config), &made, err))
        return context(err, "image config");
    json_write(p->changed, &text);
    if (!layout_put_blob(p->job->to->directory, buffer_bytes(&text), &made, err))
        return context(err, "manifest");
    made.media_type = json_object_object_get_ex(p->changed, "mediaType", &type) ?
                          json_object_get_string(type) : "application/vnd.oci.image.manifest.v1+json";
    if (!layout_name_manifest(p->job->to->directory, &made, tag, err))
        return false;
    p->made_folder = false;
    *out           = (struct image_crypt_outcome){ digest_text(&made.digest), p->manifest.n_layers, p->bytes };
    return true;
}

typedef bool layer_fn(struct passage *p, const struct descriptor *from, struct json_object *layer, struct err *err);

static FALLIBLE pass(const struct image_crypt *job, layer_fn *each, struct image_crypt_outcome *out, struct err *err)
{
    AUTO(passage) struct passage p      = { .job = job };
    struct json_object          *layers = NULL;

    if (!passage_open(&p, err) || !json_get(p.changed, "layers", json_type_array, &layers, err))
        return false;
    for (; p.layer < p.manifest.n_layers; p.bytes += p.manifest.layers[p.layer++].size)
        if (!each(&p, &p.manifest.layers[p.layer], json_object_array_get_idx(layers, p.layer), err))
            return contextf(err, "layer %zu of %zu", p.layer + 1, p.manifest.n_layers);
    return passage_finish(&p, out, err);
}

FALLIBLE image_encrypt(const struct image_crypt *job, struct image_crypt_outcome *out, struct err *err)
{
    return pass(job, layer_encrypt, out, err);
}

FALLIBLE image_decrypt(const struct image_crypt *job, struct image_crypt_outcome *out, struct err *err)
{
    return pass(job, layer_decrypt, out, err);
}
