/*
 * An image from its name to a root directory: resolved, judged by the owner's policy under the name that was asked for,
 * pulled from the node's cache or a registry, unpacked.
 */
#pragma once

#include "guest/registry/pull.h"
#include "guest/registry/settings.h"
#include "guest/signature/judge.h"

struct obtain {
    const struct image_settings *settings; /* NULL: none */
    struct ttrpc_client         *fetcher;  /* NULL: there is no network */
    bool                         is_configured; /* the fetcher has its settings: kept here from one image to the next */
    struct image_source          cache;    /* of the host; `read` NULL: none */
    struct image_keep            keep;     /* `put` NULL: none */

    /* Both ask the broker, which gives to a proven guest only. The first appends. */
    bool   (*resource)(void *owner, const char *kid, struct buffer *out, struct err *err);
    kek_fn  *kek;
    image_mount_fn *mount; /* NULL: nothing can be mounted */
    struct layer_store *layers; /* NULL: everything goes into the target */
    /* Whether this image is here already, as it came under the same verdict; NULL: none ever is. Nothing is fetched then. */
    bool   (*have)(void *owner, const struct digest *manifest, const struct image_verdict *verdict);
    void    *owner;

    struct image_verdict verdict; /* written: what policy wanted of the image */
    bool                 was_there; /* written: `have` said so, and neither target nor config was touched */
    struct image_budget budget;
    int                 scratch_fd;
    bool                keeps_our_owner; /* tests */
    uint32_t            backoff_ms;      /* tests; 0: the usual */
    uint32_t            patience_s;      /* likewise */
};

/*
 *   name      REGISTRY/REPOSITORY[:TAG][@DIGEST]; or "oci:..." for what only the host's store has: by digest, and under
 *             the policy's default
 *   pinned    the digest that the guest's policy wants; NULL: whatever the name stands for
 *   manifest  the digest of what was unpacked
 *
 * Fails as image_unpack; DENIED by the image policy; `progress` says in which phase.
 */
FALLIBLE obtain_image(struct obtain *obtain, const char *name, const struct digest *pinned, int target_fd,
                      struct image_config *config, struct image_progress *progress, struct digest *manifest,
                      struct err *err);
