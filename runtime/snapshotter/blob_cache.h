/*
 * The node's ciphertext: an OCI layout whose blobs are put there by whoever fetches them and go when there are too
 * many. Nothing in it is trusted; a guest checks each blob that it reads. [OCI-IMAGE image-layout]
 */
#pragma once

#include "keys/ocicrypt/digest.h"
#include "base/auto.h"

struct blob_cache {
    char    *directory;  /* owned */
    uint64_t limit;      /* bytes of blobs */
    size_t   blobs_max;  /* however small they are */
};

/* Makes the layout where there is none, and removes what a life that was cut short left half written. */
FALLIBLE blob_cache_open(const char *directory, uint64_t limit, struct blob_cache *out, struct err *err);
void     blob_cache_close(struct blob_cache *cache);
static inline void auto_blob_cache(struct blob_cache *cache) { blob_cache_close(cache); }

bool blob_cache_has(const struct blob_cache *cache, const struct digest *digest); /* and counts as a use of it */

/*
 * A blob is written to a file of its own, then added under its digest: whole or not at all. It may be announced before, so that
 * who misses it sees that it comes; then it has to be committed or abandoned as well. What cannot be announced comes all the same.
 */
void     blob_cache_announce(const struct blob_cache *cache, const struct digest *digest);
FALLIBLE blob_cache_begin(const struct blob_cache *cache, const struct digest *digest, int *fd, struct err *err);
FALLIBLE blob_cache_commit(const struct blob_cache *cache, const struct digest *digest, int fd, struct err *err);
void     blob_cache_abandon(const struct blob_cache *cache, const struct digest *digest);
FALLIBLE blob_cache_add(const struct blob_cache *cache, const struct digest *digest, struct bytes content, struct err *err);

/* Names a manifest in the index by the reference under which it was pulled; an older one of that name goes. */
FALLIBLE blob_cache_name(const struct blob_cache *cache, const char *reference, const struct digest *manifest,
                         uint64_t size, const char *media_type, struct err *err);

/* Removes those that were not used for longest until both limits hold, and names whose manifest went with them. */
FALLIBLE blob_cache_evict(const struct blob_cache *cache, size_t *n_removed, struct err *err);
