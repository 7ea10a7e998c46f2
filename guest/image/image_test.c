#include "tests/harness/test.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/text.h"
#include "guest/image/image.h"
#include "keys/ocicrypt/layer_cipher.h"
#include "keys/ocicrypt/packet.h"

/* A source of up to 16 blobs by digest, built in memory, and a broker with one key. */
struct rig {
    struct buffer blobs[16];
    size_t        n_blobs, n_reads, n_asked;
    struct secret kek;
    char         *target;
    int           target_fd;
    bool          broker_refuses, has_disk, disk_lies, disk_is_missing;
    size_t        n_mounted;
    const char   *required_kid;
    struct layer_store store; /* used when it has a folder */
    size_t        n_overlays;
};

static bool rig_read(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                     uint64_t *total, struct err *err)
{
    struct rig *r = owner;

    r->n_reads++;
    for (size_t i = 0; i < r->n_blobs; i++) {
        struct digest d;

        digest_of(buffer_bytes(&r->blobs[i]), DIGEST_SHA256, &d);
        if (strcmp(digest_text(&d).at, digest) != 0)
            continue;
        *total = r->blobs[i].len;
        *got   = *total - offset < len ? (size_t) (*total - offset) : len;
        memcpy(into, r->blobs[i].at + offset, *got);
        return true;
    }
    return fail_with(err, ERR_NOT_FOUND, "the source has no such blob");
}

static bool rig_kek(void *owner, const char *kid, struct secret *out, struct err *err)
{
    struct rig *r = owner;

    r->n_asked++;
    assert_string_equal(kid, "kbs:///default/image/k");
    if (r->broker_refuses)
        return fail_with(err, ERR_DENIED, "the broker says no");
    return secret_copy(secret_expose(&r->kek), out, err);
}

static uint8_t block[VERITY_BLOCK_LEN] = "a file system";

static bool rig_mount(void *owner, const struct digest *layer, const struct block_layer *blocks, const struct secret *key,
                      char path[static IMAGE_MOUNT_PATH_MAX], struct err *err)
{
    struct rig   *r = owner;
    struct digest wanted;

    r->n_mounted++;
    digest_of(BYTES_OF(block), DIGEST_SHA256, &wanted);
    assert_true(digest_equal(layer, &wanted) && blocks->n_blocks == 1 && key->len == 0);
    assert_memory_equal(blocks->root, wanted.value, SHA256_LEN); /* of one block */
    if (r->disk_lies)
        return fail_with(err, ERR_UNTRUSTED, "other blocks");
    if (r->disk_is_missing)
        return fail_with(err, ERR_NOT_FOUND, "no disk");
    memcpy(path, "/run/images/x", sizeof "/run/images/x");
    return true;
}

/* Shows only what is on top, which does for files of different names. */
static bool rig_overlay(void *owner, unsigned upper, const unsigned *lower, size_t n_lower, int *root_fd, struct err *err)
{
    struct rig *r = owner;
    char        path[LAYER_PATH_MAX];

    r->n_overlays++;
    assert_true(n_lower > 0 && lower[0] < upper);
    layer_store_path(r->target, upper, path);
    *root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *root_fd >= 0 || err_os(err, "%s", path);
}

static struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    struct err  err;

    assert_non_null(r);
    assert_true(secret_random(ENC_KEY_LEN, &r->kek, &err));
    assert_true(directory_make_temporary("image-", &r->target, &err));
    r->target_fd = open(r->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(r->target_fd >= 0);
    return r;
}

static void auto_rig(struct rig **rig)
{
    struct rig *r = *rig;
    struct err  err;

    for (size_t i = 0; i < r->n_blobs; i++)
        buffer_free(&r->blobs[i]);
    secret_free(&r->kek);
    layer_store_free(&r->store);
    auto_fd(&r->target_fd);
    assert_true(directory_remove(r->target, &err));
    free(r->target);
    free(r);
}

static struct digest put_blob(struct rig *r, struct bytes content)
{
    struct digest d;

    buffer_append(&r->blobs[r->n_blobs++], content);
    digest_of(content, DIGEST_SHA256, &d);
    return d;
}

/* A tar with one file of one block: a header by hand, whose checksum the test adds. */
static void tar_make(struct buffer *out, const char *name)
{
    uint8_t *h   = buffer_grow(out, 2048);
    unsigned sum = 0;

    memcpy(h, name, strlen(name));
    memcpy(h + 100, "0000644\0" "0000000\0" "0000000\0" "00000000003\0" "00000000000", 47);
    h[156] = '0';
    memcpy(h + 257, "ustar\0" "00", 8);
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += h[i];
    (void) snprintf((char *) h + 148, 8, "%06o", sum); /* at most six digits */
    memcpy(h + 512, "abc", 3);
}

static void seal(struct rig *r, struct buffer *blob, struct buffer *annotations)
{
    AUTO(layer_private) struct layer_private private = { .nonce = { 0 } };
    AUTO(layer_ctr) struct layer_ctr         ctr     = { 0 };
    AUTO(layer_mac) struct layer_mac         mac     = { 0 };
    AUTO(secret) struct secret               options = { 0 };
    AUTO(packet) struct packet               packet  = { 0 };
    AUTO(buffer) struct buffer               json    = { 0 };
    struct layer_public                      public = { .cipher = LAYER_CIPHER_CTR };
    struct err                               err;

    assert_true(layer_private_new(&private, &err) && layer_ctr_begin(&ctr, &private, &err));
    digest_of(buffer_bytes(blob), DIGEST_SHA256, &private.digest);
    assert_true(layer_ctr_apply(&ctr, buffer_bytes(blob), blob->at, &err));
    assert_true(layer_mac_begin(&mac, &private.key, &err) && layer_mac_update(&mac, buffer_bytes(blob), &err) &&
                layer_mac_end(&mac, public.hmac, &err) && layer_private_write(&private, &options, &err) &&
                kek_wrap(&r->kek, "kbs:///default/image/k", WRAP_A256GCM, &options, &packet, &err));
    packet_write(&packet, &json);
    buffer_append_text(annotations, ",\"annotations\":{\"" ENC_KEYS_ANNOTATION "\":\"");
    base64_append(annotations, buffer_bytes(&json), BASE64_STANDARD);
    json.len = 0;
    layer_public_write(&public, &json);
    buffer_append_text(annotations, "\",\"" ENC_PUBOPTS_ANNOTATION "\":\"");
    base64_append(annotations, buffer_bytes(&json), BASE64_STANDARD);
    buffer_append_text(annotations, "\"}");
}

/* Layers named a and b; encrypted ones get annotations. Returns the manifest's digest. */
static struct digest image_make(struct rig *r, size_t n_layers, bool is_encrypted)
{
    AUTO(buffer) struct buffer ids = { 0 }, layers = { 0 }, config = { 0 }, manifest = { 0 };
    static const char *const   NAMES[] = { "a", "b" };
    struct digest              d;

    for (size_t i = 0; i < n_layers; i++) {
        AUTO(buffer) struct buffer blob = { 0 }, annotations = { 0 };

        tar_make(&blob, NAMES[i]);
        digest_of(buffer_bytes(&blob), DIGEST_SHA256, &d);
        buffer_printf(&ids, "%s\"%s\"", i > 0 ? "," : "", digest_text(&d).at);
        if (is_encrypted)
            seal(r, &blob, &annotations);
        d = put_blob(r, buffer_bytes(&blob));
        buffer_printf(&layers, "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar%s\",\"digest\":\"%s\",\"size\":%zu%s}",
                      i > 0 ? "," : "", is_encrypted ? "+encrypted" : "", digest_text(&d).at, blob.len,
                      buffer_text(&annotations));
    }
    buffer_printf(&config, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/a\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                  buffer_text(&ids));
    d = put_blob(r, buffer_bytes(&config));
    buffer_printf(&manifest, "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
                  digest_text(&d).at, config.len, buffer_text(&layers));
    return put_blob(r, buffer_bytes(&manifest));
}

/* Layers of one block each, which are in no source: they are not to be fetched. */
static struct digest mountable_make(struct rig *r, size_t n_layers)
{
    AUTO(buffer) struct buffer config = { 0 }, manifest = { 0 }, root = { 0 }, ids = { 0 }, layers = { 0 };
    struct digest              d;

    digest_of(BYTES_OF(block), DIGEST_SHA256, &d);
    hex_append(&root, (struct bytes){ d.value, SHA256_LEN });
    for (size_t i = 0; i < n_layers; i++) {
        buffer_printf(&ids, "%s\"%s\"", i > 0 ? "," : "", digest_text(&d).at);
        buffer_printf(&layers, "%s{\"mediaType\":\"" BLOCK_LAYER_TYPE "\",\"digest\":\"%s\",\"size\":4096,\"annotations\":{\""
                      BLOCK_LAYER_ANNOTATION "\":\"1 4096 1 sha256 %s\"}}", i > 0 ? "," : "", digest_text(&d).at, buffer_text(&root));
    }
    buffer_printf(&config, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/a\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                  buffer_text(&ids));
    d = put_blob(r, buffer_bytes(&config));
    buffer_printf(&manifest, "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
                  digest_text(&d).at, config.len, buffer_text(&layers));
    return put_blob(r, buffer_bytes(&manifest));
}

static bool never_kept(void *owner, const char *digest, uint64_t offset, struct bytes piece, uint64_t total)
{
    struct digest d;

    (void) owner;
    (void) offset;
    (void) piece;
    (void) total;
    digest_of(BYTES_OF(block), DIGEST_SHA256, &d);
    assert_string_not_equal(digest_text(&d).at, digest); /* documents are kept; the layer of blocks is not */
    return true;
}

static bool unpack(struct rig *r, const struct digest *manifest, bool must_be_encrypted, struct image_config *config,
                   struct image_progress *progress, struct err *err)
{
    struct image_source  source  = { .read = rig_read, .owner = r };
    struct image_request request = { .manifest = *manifest, .architecture = "amd64", .sources = &source, .n_sources = 1,
                                     .kek = rig_kek, .kek_owner = r, .budget = IMAGE_BUDGET_DEFAULT, .scratch_fd = NO_FD,
                                     .keeps_our_owner = true, .must_be_encrypted = must_be_encrypted,
                                     .required_kid = r->required_kid, .mount = r->has_disk ? rig_mount : NULL,
                                     .keep = { never_kept, r }, .mount_owner = r,
                                     .layers = r->store.folder ? &r->store : NULL };

    return image_unpack(&request, r->target_fd, config, progress, err);
}

static bool has_file(const struct rig *r, const char *name)
{
    return faccessat(r->target_fd, name, F_OK, 0) == 0;
}

static void mounts_what_is_made_for_it(void **state)
{
    AUTO(rig) struct rig                  *r        = rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct image_progress                  progress = { .phase = IMAGE_PULL };
    struct digest                          manifest = mountable_make(r, 1);
    struct err                             err;

    (void) state;
    r->has_disk = true;
    if (!unpack(r, &manifest, false, &config, &progress, &err))
        fail_msg("%s", err.text);
    assert_int_equal(r->n_mounted, 1);
    assert_string_equal(progress.mounted, "/run/images/x");
    assert_string_equal(config.cmd.at[0], "/a");
    assert_int_equal(progress.n_inodes, 0);
}

static void refuses_to_mount_by_the_one_defect(void **state)
{
    static const struct { bool has_disk, lies, sealed, missing; size_t n; enum err_kind kind; enum image_phase phase; const char *why; } CASES[] = {
        { false, false, false, false, 1, ERR_UNSUPPORTED, IMAGE_PULL, "layer 1 of 1: made to be mounted from a disk, and the host lent none" },
        { true, true, false, false, 1, ERR_UNTRUSTED, IMAGE_VERIFY, "layer 1 of 1: other blocks" },
        { true, false, true, false, 1, ERR_DENIED, IMAGE_VERIFY, "layer 1 of 1: not encrypted" },
        { true, false, false, false, 2, ERR_UNSUPPORTED, IMAGE_VERIFY, "layer 1 of 2: one that is mounted stands alone" },
        { true, false, false, true, 1, ERR_NOT_FOUND, IMAGE_PULL, "layer 1 of 1: no disk" }, /* and the host is not given a plain one */
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(rig) struct rig                  *r        = rig_new();
        AUTO(image_config) struct image_config config   = { 0 };
        struct image_progress                  progress = { .phase = IMAGE_PULL };
        struct digest                          manifest = mountable_make(r, CASES[i].n);
        struct err                             err;

        r->has_disk  = CASES[i].has_disk;
        r->disk_lies = CASES[i].lies;
        r->disk_is_missing = CASES[i].missing;
        assert_false(unpack(r, &manifest, CASES[i].sealed, &config, &progress, &err));
        assert_int_equal(err.kind, CASES[i].kind);
        assert_string_equal(err.text, CASES[i].why);
        assert_int_equal(progress.phase, CASES[i].phase);
        assert_null(config.document);
    }
}

static void unpacks_plain_and_encrypted_images(void **state)
{
    (void) state;
    for (int is_encrypted = 0; is_encrypted < 2; is_encrypted++) {
        AUTO(rig) struct rig                  *r        = rig_new();
        AUTO(image_config) struct image_config config   = { 0 };
        struct image_progress                  progress = { .phase = IMAGE_PULL };
        struct digest                          manifest = image_make(r, 2, is_encrypted);
        struct err                             err;

        if (!unpack(r, &manifest, is_encrypted, &config, &progress, &err))
            fail_msg("%s", err.text);
        assert_true(has_file(r, "a") && has_file(r, "b"));
        assert_string_equal(config.cmd.at[0], "/a");
        assert_int_equal(r->n_asked, is_encrypted); /* once, though there are two layers */
        assert_int_equal(progress.n_inodes, 2);
        assert_true(progress.bytes_pulled > 4096 && progress.spent_ns[IMAGE_UNPACK] > 0);
    }
}

static void refuses_a_plain_layer_where_encryption_is_a_must(void **state)
{
    AUTO(rig) struct rig                  *r        = rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct image_progress                  progress = { .phase = IMAGE_PULL };
    struct digest                          manifest = image_make(r, 2, false);
    struct err                             err;

    (void) state;
    assert_false(unpack(r, &manifest, true, &config, &progress, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "layer 1 of 2: not encrypted");
    assert_null(config.document);
}

static void wants_the_key_that_the_policy_names(void **state)
{
    (void) state;
    for (int is_named = 0; is_named < 2; is_named++) {
        AUTO(rig) struct rig                  *r        = rig_new();
        AUTO(image_config) struct image_config config   = { 0 };
        struct image_progress                  progress = { .phase = IMAGE_PULL };
        struct digest                          manifest = image_make(r, 1, true);
        struct err                             err;

        r->required_kid = is_named ? "kbs:///default/image/k" : "kbs:///default/image/other";
        assert_int_equal(unpack(r, &manifest, false, &config, &progress, &err), is_named);
        assert_int_equal(r->n_asked, is_named);
        if (!is_named)
            assert_string_equal(err.text, "layer 1 of 1: encrypted with key kbs:///default/image/k; the policy wants "
                                          "kbs:///default/image/other");
    }
    AUTO(rig) struct rig                  *r        = rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct image_progress                  progress = { .phase = IMAGE_PULL };
    struct digest                          plain    = image_make(r, 1, false);
    struct err                             err;

    r->required_kid = "kbs:///default/image/k";
    assert_false(unpack(r, &plain, false, &config, &progress, &err));
    assert_string_equal(err.text, "layer 1 of 1: not encrypted");
}

static void passes_on_what_the_broker_says_before_a_layer_is_pulled(void **state)
{
    AUTO(rig) struct rig                  *r        = rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct image_progress                  progress = { .phase = IMAGE_PULL };
    struct digest                          manifest = image_make(r, 2, true);
    struct err                             err;

    (void) state;
    r->broker_refuses = true;
    assert_false(unpack(r, &manifest, false, &config, &progress, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(progress.phase, IMAGE_KEY);
    assert_string_equal(err.text, "layer 1 of 2: key kbs:///default/image/k: the broker says no");
    assert_int_equal(r->n_reads, 2); /* manifest and config */
}

static void empties_the_root_when_a_later_layer_fails(void **state)
{
    AUTO(rig) struct rig                  *r        = rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct image_progress                  progress = { .phase = IMAGE_PULL };
    struct digest                          manifest = image_make(r, 2, true);
    struct err                             err;

    (void) state;
    r->blobs[1].at[700] ^= 1; /* the second layer: its digest is not found any more */
    assert_false(unpack(r, &manifest, false, &config, &progress, &err));
    assert_int_equal(progress.phase, IMAGE_PULL);
    assert_string_equal(err.text, "layer 2 of 2: the source has no such blob");
    assert_false(has_file(r, "a"));
}

/* ---- layers that images share ---- */

static struct rig *sharing_rig_new(void)
{
    struct rig *r = rig_new();

    r->store = (struct layer_store){ .folder = r->target, .overlay = rig_overlay, .owner = r, .is_apart = true };
    return r;
}

static const struct buffer *blob_of(const struct rig *r, const struct digest *digest)
{
    for (size_t i = 0; i < r->n_blobs; i++) {
        struct digest d;

        digest_of(buffer_bytes(&r->blobs[i]), DIGEST_SHA256, &d);
        if (digest_equal(&d, digest))
            return &r->blobs[i];
    }
    fail_msg("no such blob");
    return NULL;
}

/* The same document with other words in one place. */
static struct digest document_change(struct rig *r, const struct digest *digest, const char *from, const char *to)
{
    AUTO(buffer) struct buffer text = { 0 };
    const char                *all  = buffer_text((struct buffer *) (uintptr_t) blob_of(r, digest));
    const char                *at   = strstr(all, from);

    assert_non_null(at);
    buffer_printf(&text, "%.*s%s%s", (int) (at - all), all, to, at + strlen(from));
    return put_blob(r, buffer_bytes(&text));
}

static void must_unpack(struct rig *r, const struct digest *manifest, struct image_progress *progress)
{
    AUTO(image_config) struct image_config config = { 0 };
    struct err                             err;

    if (!unpack(r, manifest, false, &config, progress, &err))
        fail_msg("%s", err.text);
}

static void assert_stack(const struct rig *r, const struct image_progress *progress, size_t n)
{
    static const char *const NAMES[] = { "a", "b" };
    unsigned                 stack[OCI_LAYERS_MAX];

    assert_int_equal(layer_store_stack(&r->store, progress->top, stack), n);
    for (size_t i = 0; i < n; i++) {
        char path[LAYER_PATH_MAX + 2];

        layer_store_path(r->target, stack[n - 1 - i], path);
        assert_int_equal(faccessat(AT_FDCWD, strcat(strcat(path, "/"), NAMES[i]), F_OK, 0), 0); /* fits */
    }
}

static void layers_of_an_image_serve_another_that_has_them(void **state)
{
    (void) state;
    for (int is_encrypted = 0; is_encrypted < 2; is_encrypted++) {
        AUTO(rig) struct rig *r = sharing_rig_new();
        struct image_progress first, second;
        struct digest         manifest = image_make(r, 2, is_encrypted), again;

        must_unpack(r, &manifest, &first);
        assert_stack(r, &first, 2);
        assert_int_equal(first.n_layers_there, 0);
        again      = document_change(r, &manifest, "{", "{ ");
        r->n_reads = 0;
        must_unpack(r, &again, &second);
        assert_int_equal(second.n_layers_there, 2);
        assert_int_equal(second.top, first.top);
        assert_int_equal(r->n_reads, 2);              /* manifest and config */
        assert_int_equal(r->n_asked, is_encrypted * 2); /* the key is wanted of each image */
        assert_int_equal(second.n_inodes, first.n_inodes);
        assert_int_equal(r->store.n, 2);
        assert_int_equal(r->n_overlays, 1);
    }
}

static void layers_that_nobody_will_share_go_into_one_tree(void **state)
{
    AUTO(rig) struct rig *r = sharing_rig_new();
    struct image_progress progress;
    struct digest         manifest = image_make(r, 2, true);
    unsigned              stack[OCI_LAYERS_MAX];
    char                  path[LAYER_PATH_MAX + 2];

    (void) state;
    r->store.is_apart = false;
    must_unpack(r, &manifest, &progress);
    assert_int_equal(layer_store_stack(&r->store, progress.top, stack), 1);
    assert_int_equal(r->n_overlays, 0);
    for (char name = 'a'; name <= 'b'; name++) {
        layer_store_path(r->target, progress.top, path);
        assert_int_equal(faccessat(AT_FDCWD, strcat(strcat(path, "/"), (char[]){ name, 0 }), F_OK, 0), 0); /* fits */
    }
    must_unpack(r, &manifest, &progress);
    assert_int_equal(progress.n_layers_there, 2);
}

/* Spoils the demand or the manifest; what the first image brought lies there, encrypted, as two layers. */
typedef struct digest spoil_fn(struct rig *r, const struct digest *manifest);

static struct digest asks_in_vain(struct rig *r, const struct digest *manifest)
{
    r->broker_refuses = true;
    return *manifest;
}

static struct digest wants_another_key(struct rig *r, const struct digest *manifest)
{
    r->required_kid = "kbs:///default/image/other";
    return *manifest;
}

static struct digest has_no_packet(struct rig *r, const struct digest *manifest)
{
    return document_change(r, manifest, ENC_KEYS_ANNOTATION, "nothing");
}

static struct digest calls_ciphertext_plain(struct rig *r, const struct digest *manifest)
{
    return document_change(r, manifest, "tar+encrypted", "tar");
}

/* The plaintext's digest is no secret: it stands in the config. */
static struct digest names_the_plaintext(struct rig *r, const struct digest *manifest)
{
    AUTO(json) struct json_object *document = NULL, *config = NULL;
    struct json_object            *layer, *ids;
    AUTO(buffer) struct buffer     text = { 0 };
    struct manifest                m;
    struct err                     err;

    assert_true(oci_document_read(buffer_bytes(blob_of(r, manifest)), &document, &err));
    assert_true(manifest_read_take(json_object_get(document), &m, &err));
    assert_true(oci_document_read(buffer_bytes(blob_of(r, &m.config.digest)), &config, &err));
    manifest_free(&m);
    layer = json_object_array_get_idx(json_object_object_get(document, "layers"), 0);
    ids   = json_object_object_get(json_object_object_get(config, "rootfs"), "diff_ids");
    json_object_object_add(layer, "mediaType", json_object_new_string("application/vnd.oci.image.layer.v1.tar"));
    json_object_object_add(layer, "digest", json_object_get(json_object_array_get_idx(ids, 0)));
    json_object_object_del(layer, "annotations");
    json_write(document, &text);
    return put_blob(r, buffer_bytes(&text));
}

/* A packet of its own, rightly sealed, beside the digest of another's ciphertext. */
static struct digest brings_its_own_packet(struct rig *r, const struct digest *manifest)
{
    struct digest       own = image_make(r, 1, true), theirs;
    struct digest_text  hex[2];
    struct manifest     m[2];
    struct json_object *document;
    struct err          err;

    for (int i = 0; i < 2; i++) {
        assert_true(oci_document_read(buffer_bytes(blob_of(r, i ? &own : manifest)), &document, &err));
        assert_true(manifest_read_take(document, &m[i], &err));
        hex[i] = digest_text(&m[i].layers[0].digest);
        manifest_free(&m[i]);
    }
    theirs = document_change(r, &own, hex[1].at, hex[0].at);
    return theirs;
}

static struct digest says_another_size(struct rig *r, const struct digest *manifest)
{
    return document_change(r, manifest, "\"size\":2048", "\"size\":2047");
}

static void what_is_there_is_not_given_by_the_one_defect(void **state)
{
    static const struct { spoil_fn *spoil; enum err_kind kind; enum image_phase phase; const char *why; } CASES[] = {
        { asks_in_vain, ERR_DENIED, IMAGE_KEY, "layer 1 of 2: key kbs:///default/image/k: the broker says no" },
        { wants_another_key, ERR_DENIED, IMAGE_KEY,
          "layer 1 of 2: encrypted with key kbs:///default/image/k; the policy wants kbs:///default/image/other" },
        { has_no_packet, ERR_UNSUPPORTED, IMAGE_KEY, "layer 1 of 2: encrypted, but not for provider.attestation-agent (found: no recipient)" },
        { calls_ciphertext_plain, ERR_MALFORMED, IMAGE_UNPACK, NULL },
        { names_the_plaintext, ERR_NOT_FOUND, IMAGE_PULL, "layer 1 of 2: the source has no such blob" },
        { brings_its_own_packet, ERR_UNTRUSTED, IMAGE_VERIFY, NULL },
        { says_another_size, ERR_MALFORMED, IMAGE_PULL, NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(rig) struct rig                  *r        = sharing_rig_new();
        AUTO(image_config) struct image_config config   = { 0 };
        struct digest                          manifest = image_make(r, 2, true), spoilt;
        struct image_progress                  progress;
        struct err                             err;

        must_unpack(r, &manifest, &progress);
        spoilt = CASES[i].spoil(r, &manifest);
        if (unpack(r, &spoilt, false, &config, &progress, &err))
            fail_msg("case %zu was served", i);
        if (CASES[i].why)
            assert_string_equal(err.text, CASES[i].why);
        assert_true(strncmp(err.text, "layer 1 of ", 11) == 0);
        assert_int_equal(err.kind, CASES[i].kind);
        assert_int_equal(progress.phase, CASES[i].phase);
        assert_int_equal(progress.n_layers_there, 0);
        assert_int_equal(r->store.n, 2); /* as before: nothing of the failed one stays */
        assert_null(config.document);
    }
}

static void an_image_that_must_be_encrypted_is_not_served_plain(void **state)
{
    AUTO(rig) struct rig                  *r        = sharing_rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct digest                          manifest = image_make(r, 2, false);
    struct image_progress                  progress;
    struct err                             err;

    (void) state;
    must_unpack(r, &manifest, &progress);
    assert_false(unpack(r, &manifest, true, &config, &progress, &err));
    assert_string_equal(err.text, "layer 1 of 2: not encrypted");
}

static void a_failed_image_leaves_no_layer_but_those_of_others(void **state)
{
    AUTO(rig) struct rig                  *r        = sharing_rig_new();
    AUTO(image_config) struct image_config config   = { 0 };
    struct digest                          manifest = image_make(r, 2, true);
    struct image_progress                  progress;
    struct err                             err;
    char                                   path[LAYER_PATH_MAX];

    (void) state;
    r->blobs[1].at[700] ^= 1; /* the second layer: its digest is not found any more */
    for (unsigned i = 0; i < 2; i++) {
        assert_false(unpack(r, &manifest, false, &config, &progress, &err));
        assert_string_equal(err.text, "layer 2 of 2: the source has no such blob");
        assert_int_equal(r->store.n, 0);
    }
    for (unsigned n = 1; n <= r->store.n_made; n++) {
        layer_store_path(r->target, n, path);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    r->blobs[1].at[700] ^= 1;
    must_unpack(r, &manifest, &progress);
    assert_stack(r, &progress, 2);
}

static void names_the_phases_as_the_command_line_does(void **state)
{
    (void) state;
    assert_string_equal(image_phase_name(IMAGE_PULL), "pull");
    assert_string_equal(image_phase_name(IMAGE_KEY), "key");
    assert_string_equal(image_phase_name(IMAGE_VERIFY), "verify");
    assert_string_equal(image_phase_name(IMAGE_UNPACK), "unpack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_plain_and_encrypted_images),
        cmocka_unit_test(mounts_what_is_made_for_it),
        cmocka_unit_test(refuses_to_mount_by_the_one_defect),
        cmocka_unit_test(refuses_a_plain_layer_where_encryption_is_a_must),
        cmocka_unit_test(wants_the_key_that_the_policy_names),
        cmocka_unit_test(passes_on_what_the_broker_says_before_a_layer_is_pulled),
        cmocka_unit_test(empties_the_root_when_a_later_layer_fails),
        cmocka_unit_test(layers_of_an_image_serve_another_that_has_them),
        cmocka_unit_test(layers_that_nobody_will_share_go_into_one_tree),
        cmocka_unit_test(what_is_there_is_not_given_by_the_one_defect),
        cmocka_unit_test(an_image_that_must_be_encrypted_is_not_served_plain),
        cmocka_unit_test(a_failed_image_leaves_no_layer_but_those_of_others),
        cmocka_unit_test(names_the_phases_as_the_command_line_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
