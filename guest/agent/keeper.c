#include "guest/agent/keeper.h"

#include <string.h>

#include "base/secret.h"
#include "guest/agent/evidence.h"
#include "guest/agent/keeper_inside.h"
#include "guest/agent/keeper_volumes.h"
#include "guest/agent/layer_mounts.h"
#include "guest/agent/mounter.h"
#include "guest/agent/shared_images.h"
#include "guest/agent/resting.h"
#include "guest/agent/timeline.h"
#include "guest/api/receipt.h"
#include "guest/init/heap.h"
#include "guest/init/power.h"
#include "keys/api/initdata.h"
#include "keys/jose/jwk.h"

enum { BLOB_TIMEOUT_MS = 120000, CACHE_TIMEOUT_MS = 30000 };

const struct ttrpc_service keeper_service = { "cloister.keeper", &keeper__keeper__descriptor, MESSAGE_EXACT };

static const struct ttrpc_method read_blob_method  = { &blobs_service, "Read" };
static const struct ttrpc_method write_blob_method = { &blobs_service, "Write" };

void spans_add(struct spans *spans, const char *phase, uint64_t end_ms)
{
    Keeper__Span span = KEEPER__SPAN__INIT;

    if (spans->n == SPANS_MAX)
        return;
    span.phase             = (char *) (uintptr_t) phase; /* written to the wire only */
    span.begin_ms          = spans->begin_ms;
    span.end_ms            = end_ms;
    spans->rows[spans->n]  = span;
    spans->at[spans->n]    = &spans->rows[spans->n];
    spans->begin_ms        = end_ms;
    spans->n++;
}

void keeper_send(struct keeper *k, struct workers *to, struct ttrpc_pending pending, const ProtobufCMessage *request,
                 void (*run)(struct work *work, void *own), void (*done)(struct work *work))
{
    struct errand *errand;
    struct err     err;

    if (!to) {
        (void) fail_with(&err, ERR_BUG, "not attested"); /* false is what it returns */
        ttrpc_refuse(pending, &err);
        return;
    }
    errand          = zeroed(1, sizeof *errand);
    errand->work    = (struct work){ .run = run, .done = done };
    errand->keeper  = k;
    errand->pending = pending;
    errand->request = message_copy(request);
    workers_give(to, &errand->work);
}

void keeper_end(struct errand *errand, const ProtobufCMessage *message)
{
    if (errand->is_done)
        ttrpc_answer(errand->pending, message);
    else
        ttrpc_refuse(errand->pending, &errand->why);
    message_free(errand->request);
    secret_free(&errand->secret);
    sealed_secret_free(&errand->sealed);
    auto_unpacked(&errand->unpacked);
    free(errand);
}

static bool read_blob(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                      uint64_t *total, struct err *err)
{
    struct keeper                  *k        = owner;
    Blobs__ReadRequest              request  = BLOBS__READ_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;

    request.digest = (char *) (uintptr_t) digest; /* written to the wire only */
    request.offset = offset;
    request.length = (uint32_t) len;
    if (!ttrpc_call(&k->blobs, &read_blob_method, &request.base, k->has_other_sources ? CACHE_TIMEOUT_MS : BLOB_TIMEOUT_MS,
                    &response, err))
        return context(err, "blob");
    const Blobs__ReadResponse *answer = (const Blobs__ReadResponse *) response;
    if (answer->data.len > len)
        return fail_with(err, ERR_MALFORMED, "blob: %zu bytes came, %zu were asked for", answer->data.len, len);
    if (answer->data.len > 0)
        memcpy(into, answer->data.data, answer->data.len);
    *got   = answer->data.len;
    *total = answer->size;
    return true;
}

/* Best effort: a host that takes no more is not asked again. */
static bool write_blob(void *owner, const char *digest, uint64_t offset, struct bytes piece, uint64_t total)
{
    struct keeper                  *k        = owner;
    Blobs__WriteRequest             request  = BLOBS__WRITE_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;
    struct err                      err;

    if (k->is_host_full)
        return false;
    request.digest = (char *) (uintptr_t) digest; /* written to the wire only, as the next */
    request.offset = offset;
    request.size   = total;
    request.data   = (ProtobufCBinaryData){ piece.len, (uint8_t *) (uintptr_t) piece.at };
    k->is_host_full = !ttrpc_call(&k->blobs, &write_blob_method, &request.base, CACHE_TIMEOUT_MS, &response, &err);
    return !k->is_host_full;
}

static bool ask_broker(void *owner, const char *kid, struct secret *out, struct err *err)
{
    struct keeper *k = owner;

    return kbs_resource_get(k->client, kid, out, err);
}

static bool ask_mounter(void *owner, const struct digest *layer, const struct block_layer *blocks, const struct secret *key,
                        char path[static IMAGE_MOUNT_PATH_MAX], struct err *err)
{
    const struct keeper *k    = owner;
    struct digest_text   text = digest_text(layer);
    struct image_disk    disk = { .n_blocks = blocks->n_blocks, .n_tree_blocks = verity_tree_blocks(blocks->n_blocks) };

    _Static_assert((int) IMAGE_MOUNT_PATH_MAX == (int) IMAGE_DISK_PATH_MAX && (int) IMAGE_DISK_HASH_LEN == (int) SHA256_LEN, "one length");
    (void) snprintf(disk.hex, sizeof disk.hex, "%.*s", IMAGE_DISK_HEX, digest_hex(&text)); /* a beginning */
    memcpy(disk.root, blocks->root, sizeof disk.root);
    if (!mounter_mount(k->fds->mounter_fd, &disk, key, err))
        return false;
    image_disk_path(&disk, path);
    return true;
}

static bool ask_broker_for_text(void *owner, const char *kid, struct buffer *out, struct err *err)
{
    struct keeper              *k     = owner;
    AUTO(secret) struct secret  value = { 0 };

    if (!kbs_resource_get(k->client, kid, &value, err))
        return false;
    buffer_append(out, secret_expose(&value));
    return true;
}

/* The phases of an image interleave, layer by layer: each is shown once, with its sum, one after the other. */
static void add_image_spans(struct spans *spans, const struct image_progress *progress)
{
    for (unsigned p = 0; p < IMAGE_PHASES; p++)
        spans_add(spans, image_phase_name((enum image_phase) p),
                  spans->begin_ms + progress->spent_ns[p] / 1000000);
}

/* Before it can run. Of a name of the host's own store nothing would be learned. */
static FALLIBLE measure_image(struct keeper *k, const char *name, const struct digest *digest, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 };
    struct aael_event          event   = { .domain = AAEL_DOMAIN_COCO, .operation = "PullImage" };
    struct digest_text         text    = digest_text(digest);

    measurements_image_text(name, text.at, &content);
    event.content = buffer_text(&content);
    return measurements_add(&k->measured, &event, false, err);
}

static bool have_image(void *owner, const struct digest *manifest, const struct image_verdict *verdict)
{
    const struct keeper *k = owner;

    return shared_images_find(&k->images, manifest, verdict) != NULL;
}

static bool ask_for_overlay(void *owner, unsigned upper, const unsigned *lower, size_t n_lower, int *root_fd, struct err *err)
{
    const struct keeper *k = owner;

    return layer_mounts_ask(k->fds->layers_fd, upper, lower, n_lower, root_fd, err);
}

/* From now on it is known, by what is there of it. */
static void image_share(struct keeper *k, const struct obtain *o, const struct digest *found, const struct image_config *config,
                        const struct image_progress *progress)
{
    struct shared_image image = { .manifest = *found, .verdict = o->verdict, .top = progress->top };

    (void) snprintf(image.mounted, sizeof image.mounted, "%s", progress->mounted); /* of the same size */
    json_write(config->document, &image.config);
    shared_images_add(&k->images, image);
}

static void image_show(const struct keeper *k, const struct obtain *o, const struct digest *found, struct unpacked *out)
{
    const struct shared_image *image = shared_images_find(&k->images, found, &o->verdict);

    shared_images_root(&k->images, image, &out->root);
    buffer_append(&out->config, buffer_bytes(&image->config));
}

static FALLIBLE obtain(struct keeper *k, const Keeper__UnpackRequest *request, struct unpacked *out, struct err *err)
{
    AUTO(image_config) struct image_config config = { 0 };
    bool          is_local = strncmp(request->image_name, "oci:", 4) == 0 || request->image_name[0] == '\0';
    struct digest pinned, found;
    struct obtain o = { .settings = &k->settings, .fetcher = &k->fetcher, .is_configured = k->is_fetcher_ready,
                        .cache = { .read = read_blob, .owner = k, .name = "the node's cache", .is_cache = true },
                        .keep = { write_blob, k }, .resource = ask_broker_for_text, .kek = ask_broker, .mount = k->fds->mounter_fd >= 0 ? ask_mounter : NULL,
                        .have = have_image, .owner = k, .layers = &k->images.layers,
                        .budget = IMAGE_BUDGET_DEFAULT, .scratch_fd = NO_FD };

    k->has_other_sources = !is_local;
    if (request->image_digest[0] && !digest_read(bytes_of_text(request->image_digest), &pinned, err))
        return context(err, "pull");
    bool ok = obtain_image(&o, is_local ? "oci:" : request->image_name, request->image_digest[0] ? &pinned : NULL, NO_FD,
                           &config, &out->progress, &found, err);

    k->is_fetcher_ready = o.is_configured;
    if (!ok)
        return context(err, image_phase_name(out->progress.phase));
    if (!o.was_there)
        image_share(k, &o, &found, &config, &out->progress);
    image_show(k, &o, &found, out);
    out->digest = digest_text(&found);
    return measure_image(k, is_local ? "oci" : request->image_name, &found, err) || context(err, "verify");
}

static FALLIBLE unpack(struct keeper *k, const Keeper__UnpackRequest *request, struct spans *spans,
                       struct unpacked *out, struct err *err)
{
    if (request->may_forget) /* first: what goes may be the room for what comes */
        shared_images_forget(&k->images, request->used, request->n_used);
    if (!shared_images_room(&k->images, err))
        return context(err, "unpack");
    k->images.layers.is_apart = !request->is_alone;
    spans->begin_ms           = timeline_now_ms();
    if (!obtain(k, request, out, err))
        return false;
    add_image_spans(spans, &out->progress);
    return true;
}

static void run_unpack(struct work *work, void *own)
{
    struct errand *errand = (struct errand *) work;
    struct keeper *k      = own;

    errand->unpacked.progress.phase = IMAGE_PULL;
    errand->is_done = unpack(k, (const Keeper__UnpackRequest *) errand->request, &errand->spans, &errand->unpacked, &errand->why);
    ttrpc_client_rest(&k->blobs);
    ttrpc_client_rest(&k->fetcher);
}

static void done_unpack(struct work *work)
{
    struct errand         *errand = (struct errand *) work;
    Keeper__UnpackResponse answer = KEEPER__UNPACK_RESPONSE__INIT;
    char                  *lower[OCI_LAYERS_MAX];

    heap_give_back(); /* it may be long until it rests */
    answer.config  = (ProtobufCBinaryData){ errand->unpacked.config.len, errand->unpacked.config.at };
    answer.note    = errand->unpacked.progress.last_failure;
    for (size_t i = 0; i < errand->unpacked.root.n; i++)
        lower[i] = errand->unpacked.root.lower[i];
    answer.lower   = lower;
    answer.n_lower = errand->unpacked.root.n;
    answer.image_digest = errand->unpacked.digest.at;
    answer.spans   = errand->spans.at;
    answer.n_spans = errand->spans.n;
    keeper_end(errand, &answer.base);
}

static void serve_unpack(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper *k = owner;

    keeper_send(k, k->puller, pending, message, run_unpack, done_unpack);
}

void keeper_give(struct ttrpc_pending pending, struct bytes content)
{
    Keeper__GivenResponse answer = KEEPER__GIVEN_RESPONSE__INIT;

    answer.content = (ProtobufCBinaryData){ content.len, (uint8_t *) (uintptr_t) content.at }; /* written to the wire only */
    ttrpc_answer(pending, &answer.base);
}

static void serve_evidence(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Keeper__GetEvidenceRequest *asked = (const Keeper__GetEvidenceRequest *) message;
    struct keeper                    *k     = owner;
    AUTO(buffer) struct buffer        json  = { 0 };
    struct err                        err;

    if (evidence_for_workload(&k->measured, (struct bytes){ asked->runtime_data.data, asked->runtime_data.len }, &json, &err))
        keeper_give(pending, buffer_bytes(&json));
    else
        ttrpc_refuse(pending, &err);
}

static void serve_events(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Keeper__GetEvidenceRequest *asked = (const Keeper__GetEvidenceRequest *) message;
    struct keeper                    *k     = owner;
    AUTO(buffer) struct buffer        json  = { 0 };
    struct err                        err;

    if (evidence_of_events(&k->measured, (struct bytes){ asked->runtime_data.data, asked->runtime_data.len }, &json, &err))
        keeper_give(pending, buffer_bytes(&json));
    else
        ttrpc_refuse(pending, &err);
}

static void serve_measure(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Keeper__MeasureRequest *asked = (const Keeper__MeasureRequest *) message;
    struct keeper                *k     = owner;
    struct aael_event             event = { asked->domain, asked->operation, asked->content };
    struct err                    err;

    if (measurements_add(&k->measured, &event, asked->is_of_workload, &err))
        keeper_give(pending, bytes_of_text("{\"success\":\"true\"}"));
    else
        ttrpc_refuse(pending, &err);
}

/* What only the keeper knows is added, and the whole is signed with a key that the evidence is about. */
static FALLIBLE sign_receipt(struct keeper *k, const Keeper__SignReceiptRequest *asked, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *statement = NULL;
    AUTO(initdata) struct initdata initdata  = { 0 };
    AUTO(buffer) struct buffer     text = { 0 }, key = { 0 }, evidence = { 0 };
    uint8_t                        digest[SHA256_LEN];

    if (!json_read(bytes_of_text(asked->statement), RECEIPT_LEN_MAX, &statement, err) ||
        !keeper_volumes_state(&k->volumes, asked->volumes, asked->n_volumes, statement, err) ||
        !initdata_read(buffer_bytes(&k->initdata_text), &initdata, err))
        return false;
    json_add_text(statement, "version", RECEIPT_VERSION);
    json_add_hex(statement, "initdata", (struct bytes){ initdata.digest, initdata.digest_len });
    sha256_of(bytes_of_text(initdata_entry(&initdata, "policy.json")), digest); /* of nothing where there is none */
    json_add_hex(statement, "policy", BYTES_OF(digest));
    json_write(statement, &text);
    if ((!k->receipt_key && !jwk_generate_p256(&k->receipt_key, err)) || !receipt_key_text(k->receipt_key, &key, err) ||
        !evidence_for_receipt(&k->measured, buffer_bytes(&key), &evidence, err))
        return false;
    return receipt_write(buffer_bytes(&text), k->receipt_key, k->attester->tee, buffer_bytes(&evidence), out, err);
}

static void serve_receipt(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper             *k       = owner;
    AUTO(buffer) struct buffer receipt = { 0 };
    struct err                 err;

    if (sign_receipt(k, (const Keeper__SignReceiptRequest *) message, &receipt, &err))
        keeper_give(pending, buffer_bytes(&receipt));
    else
        ttrpc_refuse(pending, &err);
}

static void serve_open_volume(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper             *k      = owner;
    Keeper__OpenVolumeResponse answer = KEEPER__OPEN_VOLUME_RESPONSE__INIT;
    bool                       was_formatted;
    struct err                 err;

    if (!keeper_volume_open(&k->volumes, k->of_loop, (const Keeper__OpenVolumeRequest *) message, &was_formatted, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    answer.was_formatted = was_formatted;
    ttrpc_answer(pending, &answer.base);
}

static void serve_close_volumes(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper               *k      = owner;
    Keeper__CloseVolumesResponse answer = KEEPER__CLOSE_VOLUMES_RESPONSE__INIT;
    AUTO(buffer) struct buffer   note   = { 0 };

    (void) message;
    keeper_volumes_close(&k->volumes, &note);
    answer.note = (char *) (uintptr_t) buffer_text(&note); /* written to the wire only */
    ttrpc_answer(pending, &answer.base);
}

const struct ttrpc_row keeper_rows[] = {
    { "Prepare", keeper_serve_prepare }, { "Unpack", serve_unpack },      { "GetResource", keeper_serve_resource },
    { "GetToken", keeper_serve_token },  { "GetEvidence", serve_evidence }, { "Unseal", keeper_serve_unseal },
    { "GetEvents", serve_events }, { "Measure", serve_measure },
    { "SignReceipt", serve_receipt },
    { "OpenVolume", serve_open_volume },
    { "CloseVolumes", serve_close_volumes },
};

const size_t keeper_n_rows = sizeof keeper_rows / sizeof *keeper_rows;

void keeper_begin(struct keeper *k)
{
    k->volumes.opener_fd = k->fds->opener_fd;
    k->images.layers     = (struct layer_store){ .folder = SHARED_IMAGES_FOLDER, .overlay = ask_for_overlay, .owner = k };
}

int keeper_run(struct keeper_options *options)
{
    struct err err;

    if (resting_run(options->control_fd, keeper_awake, options, &err))
        return 0;
    power_say("boot", &err);
    return 1;
}
