/*
 * The overlay through which the keeper unpacks a layer over those below it. PID 1 makes it: overlayfs works with the rights of
 * its maker, and the keeper, which reads foreign documents, may not mount. What is asked is a list of numbers of fixed length; the
 * answer is a descriptor of a mount that has no place in any file tree.
 */
#pragma once

#include "base/loop.h"
#include "guest/image/layer_store.h"

/* PID 1's end. */
struct layer_mounts {
    struct loop_source source;
    const char        *folder; /* of the layers */
};

/* Serves `control_fd` (SOCK_SEQPACKET), which is taken, until it closes. `mounts` outlives the loop. */
FALLIBLE layer_mounts_serve(struct layer_mounts *mounts, struct loop *loop, const char *folder, int control_fd, struct err *err);

/* Asks PID 1, behind `control_fd`: as layer_overlay_fn. Fails OS, LIMIT. */
FALLIBLE layer_mounts_ask(int control_fd, unsigned upper, const unsigned *lower, size_t n_lower, int *root_fd, struct err *err);
