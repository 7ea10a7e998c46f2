/*
 * Which manifest a container's image is, and where its blobs are: asked of containerd, which pulled it. The answer is
 * the host's word and no more; the guest checks the digest against its policy and every blob against the digest.
 */
#pragma once

#include "runtime/shim/image_note.h"

/*
 *   address     path of containerd's gRPC socket; "": there is none to ask
 *   container   the engine's id
 *
 * Always fills `out`; what could not be found has its reason in it.
 */
void image_find(const char *address, const char *namespace, const char *container, struct image_note *out);
