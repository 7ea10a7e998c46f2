/*
 * An image as the host sees it: a reference that a person typed, and an OCI layout on disk. Nothing read here is
 * trusted by the guest: the host only needs to know which manifest is meant. [OCI-IMAGE image-layout]
 */
#pragma once

#include "base/auto.h"
#include "keys/ocicrypt/manifest.h"

enum { LAYOUT_TAG_MAX = 255, LAYOUT_PATH_MAX = 4096 };

/* "oci:DIR[:TAG]": DIR ends at the first colon; TAG may have more, and slashes. [containers/image oci/internal] */
struct layout_reference {
    char directory[LAYOUT_PATH_MAX];
    char tag[LAYOUT_TAG_MAX + 1]; /* "" when none was given */
};

/* Fails CONFIG, with the form that is wanted; also for a registry's name, with the way to a layout. */
FALLIBLE layout_reference_read(const char *text, struct layout_reference *out, struct err *err);

/*
 * The digest of the image manifest that the reference means for linux/amd64: by tag, or the only image that the
 * layout has.
 *
 *   out    "sha256:…"
 *
 * Fails NOT_FOUND (no layout, no such tag, with those that there are), MALFORMED, CONFIG when a tag is needed.
 */
enum { LAYOUT_DIGEST_LEN = 7 + 64 + 1 };
FALLIBLE layout_find_manifest(const struct layout_reference *reference, char out[static LAYOUT_DIGEST_LEN],
                              struct err *err);

/*
 * The manifest for linux/amd64 that `digest` means, itself or, when it is an index, one of those that it lists.
 *
 *   directory   holds blobs/sha256/…, and need not be a whole layout
 *
 * Fails NOT_FOUND, MALFORMED, UNTRUSTED, UNSUPPORTED.
 */
FALLIBLE layout_resolve(const char *directory, const char *digest, char out[static LAYOUT_DIGEST_LEN], struct err *err);

/* Reads a blob of at most `len_max` bytes and checks its digest. Fails NOT_FOUND, LIMIT, UNTRUSTED. */
FALLIBLE layout_read_blob(const char *directory, const char *digest, size_t len_max, struct buffer *out,
                          struct err *err);
