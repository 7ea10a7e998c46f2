/* Where collateral comes from, in this order: the offline bundle, the cache, the network. */
#pragma once

#include "attestation/collateral/bundle.h"
#include "attestation/collateral/cache.h"
#include "attestation/collateral/fetch.h"

struct collateral_source {
    const struct bundle *bundle;   /* or NULL */
    const struct cache  *cache;    /* or NULL */
    bool                 online;   /* may ask the network */
    struct fetch_options fetch;
};

/*
 * The answer to `url`: fresh from bundle or cache, else asked for and kept for `lifetime_s`. When the network fails,
 * or there is none, an answer past its time serves, because signed documents carry their own dates.
 *
 *   out         was empty; yours, release with AUTO(answer)
 *   is_stale    out: the answer is past its time
 *
 * Fails as fetch() does; NOT_FOUND offline; LIMIT while a busy service wants to be left alone.
 */
FALLIBLE collateral_get(const struct collateral_source *source, const char *url, int64_t now, int64_t lifetime_s,
                        struct answer *out, bool *is_stale, struct err *err);
