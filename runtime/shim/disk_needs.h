/* Whether a pod's VM needs a shelf: a guest that is lent disks loads more of its kernel, which takes time that other pods need not spend. */
#pragma once

#include "runtime/oci/image_disks.h"

/*
 * False only when it is certain that none is wanted: the policy lists what runs, no volume among it, and each image's
 * manifest is on this node and names no layer that is mounted.
 *
 *   initdata   TOML text, of whoever made the pod
 *   stores     directories with blobs/sha256/... below; NULL: none
 */
bool pod_may_want_disks(struct bytes initdata, const char *const stores[static IMAGE_STORES]);
