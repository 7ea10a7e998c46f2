#include "guest/registry/obtain.h"

#include <string.h>

#include "base/toml.h"

/* One call of obtain_image. */
struct job {
    struct obtain         *obtain;
    struct image_reference reference;
    bool                   is_named; /* by a registry */
    struct pull            pull;
    struct digest          manifest;
    bool                   is_pinned;
};

/* ---- settings ---- */

static FALLIBLE resource_get(const struct obtain *o, const char *kid, struct buffer *out, struct err *err)
{
    return kid[0] == '\0' || o->resource(o->owner, kid, out, err) || contextf(err, "%.80s", kid);
}

/* The broker's file is registries.conf as everybody writes it, TOML; the table in cdh.toml was read already. */
static FALLIBLE registries_get(const struct obtain *o, const struct image_settings *s, struct buffer *json, struct err *err)
{
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(json) struct json_object *document = NULL;

    if (!s->registries_kid[0]) {
        if (s->registries)
            json_write(s->registries, json);
        return true;
    }
    if (!resource_get(o, s->registries_kid, &text, err) || !toml_read(buffer_bytes(&text), &document, err))
        return context(err, "registries");
    json_write(document, json);
    return true;
}

static FALLIBLE fetcher_configure(struct obtain *o, struct err *err)
{
    static const struct image_settings none  = { 0 };
    const struct image_settings       *s     = o->settings ? o->settings : &none;
    AUTO(buffer) struct buffer         files = { 0 }, credentials = WIPED_BUFFER;
    struct pull_config                 config;

    if (o->is_configured)
        return true;
    if (!registries_get(o, s, &files, err) || !resource_get(o, s->credentials_kid, &credentials, err))
        return false;
    config = (struct pull_config){ .registries = buffer_bytes(&files), .credentials = buffer_bytes(&credentials),
                                   .ca_pem = buffer_bytes(&s->ca_pem), .https_proxy = s->https_proxy,
                                   .http_proxy = s->http_proxy, .no_proxy = s->no_proxy, .parallel = s->parallel,
                                   .backoff_ms = o->backoff_ms, .patience_s = o->patience_s };
    o->is_configured = pull_configure(o->fetcher, &config, err);
    return o->is_configured;
}

static FALLIBLE policy_get(const struct obtain *o, struct image_policy *out, bool *has_policy, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    *has_policy = o->settings && (o->settings->policy || o->settings->policy_kid[0]);
    if (!*has_policy)
        return true;
    if (!resource_get(o, o->settings->policy_kid, &text, err))
        return context(err, "image policy");
    if (!o->settings->policy_kid[0])
        buffer_append_text(&text, o->settings->policy);
    return image_policy_read(buffer_bytes(&text), out, err);
}

/* ---- signatures ---- */

static FALLIBLE checked_document(struct pull_origin *origin, Fetcher__Kind kind, const struct digest *digest,
                                 struct buffer *out, struct err *err)
{
    struct digest_text text = digest_text(digest);
    struct digest      found;

    if (!pull_document(origin, kind, text.at, out, err))
        return false;
    digest_of(buffer_bytes(out), digest->algorithm, &found);
    return digest_equal(&found, digest) || fail_with(err, ERR_UNTRUSTED, "%.80s: digest does not match", text.at);
}

/* What cannot be read is passed over: anyone may put something beside an image, and that must not spoil what is good. */
static void signatures_add(struct pull_origin *origin, struct bytes document, struct signatures *out)
{
    AUTO(manifest) struct manifest manifest = { 0 };
    struct json_object            *json;
    struct err                     unheard; /* see above */

    if (!oci_document_read(document, &json, &unheard) || !artifact_read_take(json, &manifest, &unheard))
        return;
    for (size_t i = 0; i < manifest.n_layers && out->n < SIGNATURES_MAX; i++) {
        const struct descriptor   *layer   = &manifest.layers[i];
        AUTO(buffer) struct buffer payload = { 0 };

        if (strcmp(layer->media_type, COSIGN_PAYLOAD_TYPE) == 0 && layer->size <= SIGNATURE_PAYLOAD_MAX &&
            checked_document(origin, FETCHER__KIND__KIND_BLOB, &layer->digest, &payload, &unheard))
            (void) !cosign_layer_add(layer, buffer_bytes(&payload), out, &unheard);
    }
}

/* Registries without the referrers API keep the same list under a tag. [OCI-DISTRIBUTION 1.1, referrers tag schema] */
static FALLIBLE referrers_get(struct pull_origin *origin, const struct digest *manifest, struct buffer *out,
                              struct err *err)
{
    struct digest_text         text = digest_text(manifest);
    AUTO(buffer) struct buffer tag  = { 0 };

    if (pull_document(origin, FETCHER__KIND__KIND_REFERRERS, text.at, out, err))
        return true;
    if (err->kind != ERR_NOT_FOUND)
        return false;
    out->len = 0;
    buffer_printf(&tag, "%s-%s", digest_algorithm_name(manifest->algorithm), digest_hex(&text));
    return pull_document(origin, FETCHER__KIND__KIND_MANIFEST, buffer_text(&tag), out, err);
}

static FALLIBLE referring_get(struct pull_origin *origin, const struct digest *manifest, struct signatures *out,
                              struct err *err)
{
    AUTO(buffer) struct buffer list = { 0 };
    struct digest              digests[SIGNATURES_MAX];
    size_t                     n = 0, n_bundles = 0;

    if (!referrers_get(origin, manifest, &list, err))
        return err->kind == ERR_NOT_FOUND;
    if (!cosign_referrers_read(buffer_bytes(&list), digests, &n, &n_bundles, err))
        return false;
    out->n_bundles += n_bundles;
    for (size_t i = 0; i < n; i++) {
        AUTO(buffer) struct buffer document = { 0 };
        struct err                 unheard; /* as in signatures_add */

        if (checked_document(origin, FETCHER__KIND__KIND_MANIFEST, &digests[i], &document, &unheard))
            signatures_add(origin, buffer_bytes(&document), out);
    }
    return true;
}

static FALLIBLE origin_signatures(struct pull_origin *origin, const struct digest *manifest, struct signatures *out,
                                  struct err *err)
{
    AUTO(buffer) struct buffer document = { 0 };

    if (pull_document(origin, FETCHER__KIND__KIND_MANIFEST, cosign_tag_of(manifest).at, &document, err))
        signatures_add(origin, buffer_bytes(&document), out);
    else if (err->kind != ERR_NOT_FOUND)
        return false;
    return referring_get(origin, manifest, out, err);
}

/* From the first place that has any: a mirror may lack them. */
static bool signatures_get(void *owner, const struct digest *manifest, struct signatures *out, struct err *err)
{
    struct job *job = owner;
    bool        ok  = true;

    for (size_t i = 0; i < job->pull.n_origins; i++) {
        ok = origin_signatures(&job->pull.origins[i], manifest, out, err);
        if (out->n > 0)
            return true;
    }
    return ok;
}

static bool key_get(void *owner, const char *kid, struct buffer *pem, struct err *err)
{
    const struct job *job = owner;

    return job->obtain->resource(job->obtain->owner, kid, pem, err);
}

/* ---- the image ---- */

static FALLIBLE name_read(struct job *job, const char *name, const struct digest *pinned, struct err *err)
{
    job->is_pinned = pinned != NULL;
    if (pinned)
        job->manifest = *pinned;
    job->is_named = strncmp(name, "oci:", 4) != 0;
    if (!job->is_named)
        return pinned || fail_with(err, ERR_DENIED, "an image of the host's store is wanted by its digest");
    if (!image_reference_read(bytes_of_text(name), &job->reference, err)) {
        job->is_named = false; /* an engine's own name for what its store has: the digest says what it is */
        return pinned != NULL;
    }
    if (job->reference.has_digest && pinned && !digest_equal(&job->reference.digest, pinned))
        return fail_with(err, ERR_DENIED, "the name's digest is not the one that the policy wants");
    return true;
}

static FALLIBLE places_find(struct job *job, struct err *err)
{
    struct obtain         *o       = job->obtain;
    struct image_reference by_what = job->reference;

    if (!job->is_named || !o->fetcher)
        return !job->is_named || job->is_pinned || fail_with(err, ERR_CONFIG, "this guest has no network");
    if (job->is_pinned) { /* mirrors may serve by digest what they do not serve by tag */
        by_what.has_digest = true;
        by_what.digest     = job->manifest;
    }
    if (!fetcher_configure(o, err))
        return false;
    if (pull_open(o->fetcher, image_reference_text(&by_what).at, &job->pull, err))
        return true;
    return job->is_pinned && err->kind == ERR_NOT_FOUND; /* no registry is named: the host's store may have it */
}

static FALLIBLE manifest_resolve(struct job *job, struct err *err)
{
    if (job->is_pinned)
        return true;
    if (job->reference.has_digest) {
        job->manifest = job->reference.digest;
        return true;
    }
    return pull_resolve(&job->pull, job->reference.tag, &job->manifest, err);
}

static FALLIBLE policy_hold(struct job *job, struct image_verdict *verdict, struct err *err)
{
    AUTO(image_policy) struct image_policy policy     = { 0 };
    bool                                   has_policy = false;
    struct image_case of = { .requested = job->is_named ? &job->reference : NULL, .manifest = job->manifest,
                             .is_pinned = job->is_pinned, .key = key_get, .signatures = signatures_get, .owner = job };

    return policy_get(job->obtain, &policy, &has_policy, err) && image_judge(has_policy ? &policy : NULL, &of, verdict, err);
}

static FALLIBLE image_get(struct job *job, const struct image_verdict *verdict, int target_fd,
                          struct image_config *config, struct image_progress *progress, struct err *err)
{
    struct obtain       *o = job->obtain;
    struct image_source  sources[IMAGE_SOURCES_MAX];
    struct image_request request = { .manifest = job->manifest, .architecture = "amd64", .sources = sources,
                                     .keep = o->keep, .kek = o->kek, .kek_owner = o->owner, .mount = o->mount, .mount_owner = o->owner, .layers = o->layers, .budget = o->budget,
                                     .scratch_fd = o->scratch_fd, .keeps_our_owner = o->keeps_our_owner,
                                     .must_be_encrypted = verdict->must_be_encrypted,
                                     .required_kid = verdict->required_kid[0] ? verdict->required_kid : NULL };

    if (o->cache.read)
        sources[request.n_sources++] = o->cache;
    for (size_t i = 0; i < job->pull.n_origins; i++)
        sources[request.n_sources++] = pull_source(&job->pull.origins[i]);
    return image_unpack(&request, target_fd, config, progress, err);
}

static FALLIBLE job_run(struct job *job, int target_fd, struct image_config *config, struct image_progress *progress,
                        struct err *err)
{
    struct obtain *o = job->obtain;

    o->verdict      = (struct image_verdict){ 0 };
    o->was_there    = false;
    progress->phase = IMAGE_PULL;
    if (!places_find(job, err) || !manifest_resolve(job, err))
        return false;
    progress->phase = IMAGE_VERIFY;
    if (!policy_hold(job, &o->verdict, err))
        return false;
    o->was_there = o->have && o->have(o->owner, &job->manifest, &o->verdict);
    return o->was_there || image_get(job, &o->verdict, target_fd, config, progress, err);
}

FALLIBLE obtain_image(struct obtain *obtain, const char *name, const struct digest *pinned, int target_fd,
                      struct image_config *config, struct image_progress *progress, struct digest *manifest,
                      struct err *err)
{
    struct job job = { .obtain = obtain };

    *progress = (struct image_progress){ .phase = IMAGE_PULL };
    bool ok   = name_read(&job, name, pinned, err) && job_run(&job, target_fd, config, progress, err);

    pull_close(&job.pull);
    *manifest = job.manifest;
    return ok;
}
