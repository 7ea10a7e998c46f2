/* The digest behind a registry's name, as the registry tells it now: for who writes a policy, which then pins it. */
#pragma once

#include "runtime/oci/layout.h"

/*
 * Asks skopeo for the manifest that `name` ("registry/name:tag") has for linux/amd64.
 *
 *   out    "sha256:…"
 *
 * Fails NOT_FOUND when skopeo is not installed, OS when it fails (it says why on standard error), MALFORMED, LIMIT.
 */
FALLIBLE remote_digest_find(const char *name, char out[static LAYOUT_DIGEST_LEN], struct err *err);

/* The digest out of the registry's own bytes: a manifest's, or what an index names for linux/amd64. */
FALLIBLE remote_digest_read(struct bytes raw, char out[static LAYOUT_DIGEST_LEN], struct err *err);
