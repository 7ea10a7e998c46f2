/*
 * Answers kept on disk: one file per URL below one folder, replaced as a whole. Several processes may share it; one
 * asks the service while the others wait for what it gets.
 */
#pragma once

#include "attestation/collateral/answer.h"

struct cache {
    char *folder;
};

/* Makes the folder. Release with AUTO(cache). */
FALLIBLE cache_open(const char *folder, struct cache *out, struct err *err);
void     cache_close(struct cache *cache);
static inline void auto_cache(struct cache *cache) { cache_close(cache); }

/* Fails NOT_FOUND when nothing is kept for this URL; a file that is damaged counts as none. Expiry is the caller's. */
FALLIBLE cache_load(const struct cache *cache, const char *url, struct answer *out, struct err *err);
FALLIBLE cache_store(const struct cache *cache, const struct answer *answer, struct err *err);

/*
 * Every answer that is kept, in no order, at most `room` of them; damaged files are passed over.
 *
 *   out    yours, answer_free() each of `n`, also after a failure
 *
 * Fails OS when the folder cannot be read, LIMIT for more than there is room for.
 */
FALLIBLE cache_list(const struct cache *cache, struct answer *out, size_t room, size_t *n, struct err *err);

/* A service that wants to be left alone: until when, 0 when it does not. Kept per host of the URL. */
int64_t  cache_quiet_until(const struct cache *cache, const char *url);
FALLIBLE cache_keep_quiet(const struct cache *cache, const char *url, int64_t until, struct err *err);

/*
 * Waits until nobody else is asking for this URL, at most `timeout_ms`; fails TIMEOUT. `fd` holds the place until it
 * is closed (AUTO(fd)), also when this process ends.
 */
FALLIBLE cache_claim(const struct cache *cache, const char *url, int64_t timeout_ms, int *fd, struct err *err);
