#include "keys/ocicrypt/manifest.h"

#include <string.h>

#include "base/text.h"

static const char *const manifest_types[] = { "application/vnd.oci.image.manifest.v1+json",
                                              "application/vnd.docker.distribution.manifest.v2+json" };
static const char *const index_types[]    = { "application/vnd.oci.image.index.v1+json",
                                              "application/vnd.docker.distribution.manifest.list.v2+json" };
static const char *const config_types[]   = { "application/vnd.oci.image.config.v1+json",
                                              "application/vnd.docker.container.image.v1+json" };

static bool is_one_of(const char *text, const char *const two[2])
{
    return strcmp(text, two[0]) == 0 || strcmp(text, two[1]) == 0;
}

static FALLIBLE fail_type(const char *what, const char *type, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };

    printable_append(&shown, bytes_of_text(type), 100);
    return fail_with(err, ERR_UNSUPPORTED, "%s of media type \"%s\"", what, buffer_text(&shown));
}

const char *descriptor_annotation(const struct descriptor *descriptor, const char *name)
{
    struct json_object *found = NULL;

    if (!descriptor->annotations || !json_object_object_get_ex(descriptor->annotations, name, &found))
        return NULL;
    return json_object_get_string(found);
}

static FALLIBLE annotations_read(struct json_object *from, struct json_object **out, struct err *err)
{
    *out = NULL;
    if (!json_has(from, "annotations"))
        return true;
    if (!json_get(from, "annotations", json_type_object, out, err))
        return false;
    json_object_object_foreach(*out, name, value) {
        AUTO(buffer) struct buffer shown = { 0 };

        if (json_object_is_type(value, json_type_string))
            continue;
        printable_append(&shown, bytes_of_text(name), 60);
        return fail_with(err, ERR_MALFORMED, "annotation \"%s\": a text is wanted", buffer_text(&shown));
    }
    return true;
}

static FALLIBLE descriptor_read(struct json_object *from, struct descriptor *out, struct err *err)
{
    struct descriptor d      = { 0 };
    const char       *digest = NULL;

    if (!json_get_text(from, "mediaType", &d.media_type, err) || !json_get_text(from, "digest", &digest, err) ||
        !digest_read(bytes_of_text(digest), &d.digest, err) ||
        !json_get_u64(from, "size", (uint64_t) OCI_BLOB_MIB_MAX << 20, &d.size, err) ||
        !annotations_read(from, &d.annotations, err))
        return false;
    *out = d;
    return true;
}

FALLIBLE oci_document_read(struct bytes text, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;

    if (!json_read(text, OCI_DOCUMENT_MAX, &document, err))
        return false;
    if (!json_object_is_type(document, json_type_object))
        return fail_with(err, ERR_MALFORMED, "a JSON object is wanted, found %s",
                         json_type_to_name(json_object_get_type(document)));
    *out = TAKE(document);
    return true;
}

FALLIBLE oci_kind_of(struct json_object *document, enum oci_kind *out, struct err *err)
{
    bool        has_layers    = json_object_object_get_ex(document, "layers", NULL) ||
                                json_object_object_get_ex(document, "config", NULL);
    bool        has_manifests = json_object_object_get_ex(document, "manifests", NULL);
    const char *type          = NULL;

    if (json_object_object_get_ex(document, "fsLayers", NULL))
        return fail_with(err, ERR_UNSUPPORTED, "a manifest of Docker schema 1");
    if (has_layers == has_manifests)
        return fail_with(err, ERR_MALFORMED, has_layers ? "both a manifest and an index" :
                                                          "neither a manifest nor an index");
    *out = has_layers ? OCI_MANIFEST : OCI_INDEX;
    if (!json_object_object_get_ex(document, "mediaType", NULL))
        return true; /* OCI 1.0 leaves it out */
    if (!json_get_text(document, "mediaType", &type, err))
        return false;
    if (!is_one_of(type, has_layers ? manifest_types : index_types))
        return is_one_of(type, has_layers ? index_types : manifest_types) ?
                   fail_with(err, ERR_MALFORMED, "its members are not those of its media type") :
                   fail_type("a document", type, err);
    return true;
}

/* The checks that all top-level documents share. */
static FALLIBLE document_check(struct json_object *document, enum oci_kind wanted, struct err *err)
{
    enum oci_kind kind    = OCI_MANIFEST;
    uint64_t      version = 0;

    if (!oci_kind_of(document, &kind, err))
        return false;
    if (kind != wanted)
        return fail_with(err, ERR_MALFORMED, kind == OCI_INDEX ? "a manifest is wanted, found an index" :
                                                                 "an index is wanted, found a manifest");
    if (!json_get_u64(document, "schemaVersion", UINT32_MAX, &version, err))
        return false;
    if (version != 2)
        return fail_with(err, ERR_UNSUPPORTED, "schema version %llu", (unsigned long long) version);
    return true;
}

static FALLIBLE manifest_fill(struct manifest *m, bool is_image, struct err *err)
{
    struct json_object *config = NULL, *layers = NULL;
    size_t              n;

    if (!document_check(m->document, OCI_MANIFEST, err) ||
        !json_get(m->document, "config", json_type_object, &config, err) ||
        !json_get(m->document, "layers", json_type_array, &layers, err))
        return false;
    if (!descriptor_read(config, &m->config, err))
        return context(err, "config");
    if (is_image && !is_one_of(m->config.media_type, config_types))
        return fail_type("config", m->config.media_type, err);
    n = json_object_array_length(layers);
    if (n == 0 || n > OCI_LAYERS_MAX)
        return fail_with(err, n ? ERR_LIMIT : ERR_MALFORMED, "%zu layers; 1 to %d are allowed", n, OCI_LAYERS_MAX);
    m->layers = calloc(n, sizeof *m->layers);
    if (!m->layers)
        abort();
    for (; m->n_layers < n; m->n_layers++)
        if (!descriptor_read(json_object_array_get_idx(layers, m->n_layers), &m->layers[m->n_layers], err))
            return contextf(err, "layer %zu", m->n_layers + 1);
    return true;
}

FALLIBLE manifest_read_take(struct json_object *document, struct manifest *out, struct err *err)
{
    AUTO(manifest) struct manifest m = { .document = document };

    if (!manifest_fill(&m, true, err))
        return context(err, "manifest");
    *out = TAKE(m);
    return true;
}

FALLIBLE artifact_read_take(struct json_object *document, struct manifest *out, struct err *err)
{
    AUTO(manifest) struct manifest m = { .document = document };

    if (!manifest_fill(&m, false, err))
        return context(err, "manifest");
    *out = TAKE(m);
    return true;
}

static FALLIBLE platform_read(struct json_object *from, struct index_entry *out, struct err *err)
{
    struct json_object *platform = NULL;

    out->os = out->architecture = out->variant = "";
    if (!json_has(from, "platform"))
        return true;
    return json_get(from, "platform", json_type_object, &platform, err) &&
           json_get_text(platform, "os", &out->os, err) &&
           json_get_text(platform, "architecture", &out->architecture, err) &&
           (!json_has(platform, "variant") || json_get_text(platform, "variant", &out->variant, err));
}

static FALLIBLE index_fill(struct image_index *index, struct err *err)
{
    struct json_object *manifests = NULL;
    size_t              n;

    if (!document_check(index->document, OCI_INDEX, err) ||
        !json_get(index->document, "manifests", json_type_array, &manifests, err))
        return false;
    n = json_object_array_length(manifests);
    if (n > OCI_INDEX_MAX)
        return fail_with(err, ERR_LIMIT, "%zu manifests; at most %d are allowed", n, OCI_INDEX_MAX);
    index->entries = calloc(n + 1, sizeof *index->entries);
    if (!index->entries)
        abort();
    for (; index->n_entries < n; index->n_entries++) {
        struct json_object *from  = json_object_array_get_idx(manifests, index->n_entries);
        struct index_entry *entry = &index->entries[index->n_entries];

        if (!descriptor_read(from, &entry->descriptor, err) || !platform_read(from, entry, err))
            return contextf(err, "manifest %zu", index->n_entries + 1);
    }
    return true;
}

FALLIBLE image_index_read_take(struct json_object *document, struct image_index *out, struct err *err)
{
    AUTO(image_index) struct image_index index = { .document = document };

    if (!index_fill(&index, err))
        return context(err, "index");
    *out = TAKE(index);
    return true;
}

/* The baseline of an architecture goes by no variant, or by "v1". */
static bool is_baseline(const struct index_entry *entry)
{
    return entry->variant[0] == '\0' || strcmp(entry->variant, "v1") == 0;
}

static size_t entries_match(const struct image_index *index, const char *os, const char *architecture,
                            bool only_baseline, const struct descriptor **last)
{
    size_t n = 0;

    for (size_t i = 0; i < index->n_entries; i++) {
        const struct index_entry *entry = &index->entries[i];

        if (strcmp(entry->os, os) != 0 || strcmp(entry->architecture, architecture) != 0 ||
            (only_baseline && !is_baseline(entry)))
            continue;
        *last = &entry->descriptor;
        n++;
    }
    return n;
}

FALLIBLE image_index_choose(const struct image_index *index, const char *os, const char *architecture,
                            const struct descriptor **out, struct err *err)
{
    const struct descriptor *found = NULL;
    size_t                   n     = entries_match(index, os, architecture, true, &found);

    if (n == 0)
        n = entries_match(index, os, architecture, false, &found);
    if (n > 1)
        return fail_with(err, ERR_MALFORMED, "index: two manifests for %s/%s", os, architecture);
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "index: no manifest for %s/%s", os, architecture);
    if (!is_one_of(found->media_type, manifest_types))
        return fail_type("index: an entry", found->media_type, err);
    *out = found;
    return true;
}

void manifest_free(struct manifest *manifest)
{
    free(manifest->layers);
    json_object_put(manifest->document);
    *manifest = (struct manifest){ 0 };
}

void image_index_free(struct image_index *index)
{
    free(index->entries);
    json_object_put(index->document);
    *index = (struct image_index){ 0 };
}
