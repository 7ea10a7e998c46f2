/*
 * The name of an image in a registry: REGISTRY/REPOSITORY[:TAG][@DIGEST]. [OCI-DISTRIBUTION; the grammar of
 * distribution/reference] A name without a registry stays without: which one was meant is configuration.
 */
#pragma once

#include "keys/ocicrypt/digest.h"

enum {
    REFERENCE_REGISTRY_MAX   = 261, /* a domain name of 255 and a port */
    REFERENCE_REPOSITORY_MAX = 255,
    REFERENCE_TAG_MAX        = 128,
    REFERENCE_TEXT_MAX       = REFERENCE_REGISTRY_MAX + REFERENCE_REPOSITORY_MAX + REFERENCE_TAG_MAX +
                               DIGEST_TEXT_LEN_MAX + 3
};

struct image_reference {
    char          registry[REFERENCE_REGISTRY_MAX + 1]; /* "HOST[:PORT]", lower case; "" when none was given */
    char          repository[REFERENCE_REPOSITORY_MAX + 1];
    char          tag[REFERENCE_TAG_MAX + 1]; /* "" when there is a digest and no tag; "latest" when there is neither */
    bool          has_tag;    /* it was written out */
    bool          has_digest;
    struct digest digest;
};

/* Fails MALFORMED, LIMIT; UNSUPPORTED for another digest algorithm. "docker.io/name" reads as docker.io/library/name. */
FALLIBLE image_reference_read(struct bytes text, struct image_reference *out, struct err *err);

struct reference_text { char at[REFERENCE_TEXT_MAX + 1]; };

/* "registry/repository", then what there is of ":tag" and "@digest". Reads back as itself. */
struct reference_text image_reference_text(const struct image_reference *reference);
struct reference_text image_reference_name(const struct image_reference *reference); /* without tag and digest */
