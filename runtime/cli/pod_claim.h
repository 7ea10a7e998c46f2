/*
 * Persistent volumes of a Kubernetes manifest: block devices (volumeDevices), and mounted claims that an annotation
 * ANNOTATION_PREFIX NAME says hold one. NAME is the last part of the path in the container, as the shim names it.
 * The annotation's text is the key's URI, or "" for kbs:///default/volume/NAME, and ":new" behind it where a blank disk may
 * be formatted. Nothing but this reader looks at it.
 */
#pragma once

#include "runtime/cli/pod_container.h"

#define CLAIM_ANNOTATION "io.cloister.volume."

/* Whether the mount of a container is such a volume. */
bool pod_claim_is(const struct pod_reading *r, const yaml_node_t *mount);

/* Adds `volumes` to the container's entry, if it has any. Fails MALFORMED; UNSUPPORTED for a path in /dev. */
FALLIBLE pod_claims_add(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err);
