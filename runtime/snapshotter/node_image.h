/*
 * Images as containerd's content store on this node has them: which of their layers are encrypted, what the cache of
 * ciphertext still lacks of them, and where it is to be had.
 */
#pragma once

#include "base/json.h"
#include "keys/ocicrypt/manifest.h"
#include "runtime/snapshotter/blob_cache.h"

enum { NODE_REFERENCE_MAX = 512, NODE_URL_MAX = 1024 };

/* The image that a layer's labels speak of; release with AUTO(node_image). */
struct node_image {
    char            reference[NODE_REFERENCE_MAX]; /* "registry/name:tag" */
    struct digest   manifest_digest;
    struct buffer   manifest_text;
    struct manifest manifest;
};
void node_image_free(struct node_image *image);
static inline void auto_node_image(struct node_image *image) { node_image_free(image); }

/*
 *   content   the content store's folder, which holds blobs/sha256
 *   labels    of CRI: containerd.io/snapshot/cri.image-ref, cri.manifest-digest
 *
 * Fails NOT_FOUND without the labels or the manifest, MALFORMED, UNTRUSTED as layout_read_blob and the readers do.
 */
FALLIBLE node_image_read(const char *content, struct json_object *labels, struct node_image *out, struct err *err);
bool     node_image_stays_packed(const struct node_image *image); /* any of its layers is encrypted, or mounted as it is */

/* Puts manifest and configuration into the cache, and names the image there. */
FALLIBLE node_image_adopt(const struct node_image *image, const char *content, const struct blob_cache *cache, struct err *err);

/*
 * Where a registry serves a blob of the image that `reference` names. Loopback is asked by HTTP, as containerd does.
 * Fails MALFORMED for what is not "HOST[:PORT]/NAME[:TAG][@DIGEST]" of the letters that these may have.
 */
FALLIBLE node_image_url(const char *reference, const struct digest *blob, char out[static NODE_URL_MAX], struct err *err);
