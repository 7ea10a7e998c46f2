/*
 * OCI descriptors, manifests and indexes; Docker schema 2 forms of them too. Every document is read only after its
 * bytes matched the digest that named it. [OCI-IMAGE descriptor, manifest, image-index; CVE-2021-41190]
 */
#pragma once

#include "base/json.h"
#include "keys/ocicrypt/digest.h"
#include "keys/ocicrypt/limits.h"

struct descriptor {
    const char         *media_type; /* borrowed from the document */
    struct digest       digest;
    uint64_t            size;
    struct json_object *annotations; /* borrowed; NULL when there are none */
};

/* Borrowed; NULL when there is no such annotation. All annotations are texts, checked when they were read. */
const char *descriptor_annotation(const struct descriptor *descriptor, const char *name);

struct manifest {
    struct json_object *document; /* owns what the rest borrows */
    struct descriptor   config;
    struct descriptor  *layers;
    size_t              n_layers;
};

struct index_entry {
    struct descriptor descriptor;
    const char       *os, *architecture, *variant; /* "" when there is no platform */
};

struct image_index {
    struct json_object *document;
    struct index_entry *entries;
    size_t              n_entries;
};

enum oci_kind { OCI_MANIFEST, OCI_INDEX };

/*
 * What a document without a trusted descriptor is, from its own members.
 * Fails MALFORMED when it could be read as both or as neither.
 */
FALLIBLE oci_kind_of(struct json_object *document, enum oci_kind *out, struct err *err);

/* Reads the JSON text of a document. Fails MALFORMED, LIMIT. */
FALLIBLE oci_document_read(struct bytes text, struct json_object **out, struct err *err);

/*
 * `document` is taken, also on failure. `out` is yours, AUTO(manifest).
 * Fails MALFORMED, LIMIT; UNSUPPORTED for another schema version or media type.
 */
FALLIBLE manifest_read_take(struct json_object *document, struct manifest *out, struct err *err);
/* One that need not be an image's: its config may be of any media type. */
FALLIBLE artifact_read_take(struct json_object *document, struct manifest *out, struct err *err);
FALLIBLE image_index_read_take(struct json_object *document, struct image_index *out, struct err *err);

/*
 * The one entry that is a manifest for this platform; of several variants, the baseline. Fails NOT_FOUND, and
 * MALFORMED when two remain.
 */
FALLIBLE image_index_choose(const struct image_index *index, const char *os, const char *architecture,
                            const struct descriptor **out, struct err *err);

void manifest_free(struct manifest *manifest);
void image_index_free(struct image_index *index);
static inline void auto_manifest(struct manifest *manifest) { manifest_free(manifest); }
static inline void auto_image_index(struct image_index *index) { image_index_free(index); }
