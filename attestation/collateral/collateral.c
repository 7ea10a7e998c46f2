#include "attestation/collateral/collateral.h"

/* Fresh, or the best stale one so far in `out`. */
static bool find_kept(const struct collateral_source *source, const char *url, int64_t now, struct answer *out)
{
    const struct answer *bundled = source->bundle ? bundle_find(source->bundle, url) : NULL;
    struct err           err;

    answer_free(out);
    if (bundled) {
        answer_copy(bundled, out);
        if (now < out->expires_at)
            return true;
    }
    if (source->cache) {
        AUTO(answer) struct answer cached = { 0 };

        if (cache_load(source->cache, url, &cached, &err) && cached.expires_at > out->expires_at) {
            answer_free(out);
            *out = TAKE(cached);
        }
    }
    return out->url.len > 0 && now < out->expires_at;
}

static FALLIBLE ask(const struct collateral_source *source, const char *url, int64_t now, int64_t lifetime_s,
                    struct answer *out, struct err *err)
{
    int64_t    retry_after_s = 0;
    struct err untold;

    if (fetch(url, &source->fetch, out, &retry_after_s, err)) {
        out->fetched_at = now;
        out->expires_at = now + lifetime_s;
        return !source->cache || cache_store(source->cache, out, err);
    }
    if (retry_after_s > 0 && source->cache && !cache_keep_quiet(source->cache, url, now + retry_after_s, &untold))
        return context(err, "and its pause cannot be kept"); /* the first failure is the one to tell */
    return false;
}

/* One asks, the others wait and then find what it got. */
static FALLIBLE ask_alone(const struct collateral_source *source, const char *url, int64_t now, int64_t lifetime_s,
                          struct answer *out, struct err *err)
{
    AUTO(fd) int lock    = NO_FD;
    int64_t      quiet   = 0;
    int64_t      wait_ms = source->fetch.timeout_ms + source->fetch.patience_ms;

    if (!source->cache)
        return ask(source, url, now, lifetime_s, out, err);
    if (!cache_claim(source->cache, url, wait_ms > 0 ? wait_ms : 10000, &lock, err))
        return false;
    if (find_kept(source, url, now, out))
        return true;
    answer_free(out);
    quiet = cache_quiet_until(source->cache, url);
    if (now < quiet)
        return fail_with(err, ERR_LIMIT, "fetch %.100s: the service was busy and is left alone for %lld s more", url,
                         (long long) (quiet - now));
    return ask(source, url, now, lifetime_s, out, err);
}

FALLIBLE collateral_get(const struct collateral_source *source, const char *url, int64_t now, int64_t lifetime_s,
                        struct answer *out, bool *is_stale, struct err *err)
{
    AUTO(answer) struct answer kept  = { 0 };
    AUTO(answer) struct answer asked = { 0 };
    bool                       fresh = find_kept(source, url, now, &kept);

    if (!fresh && source->online && ask_alone(source, url, now, lifetime_s, &asked, err)) {
        *is_stale = false;
        *out      = TAKE(asked);
        return true;
    }
    if (kept.url.len == 0)
        return source->online ? false : fail_with(err, ERR_NOT_FOUND, "collateral: offline, and nothing is kept for %.100s", url);
    *is_stale = !fresh;
    *out      = TAKE(kept);
    return true;
}
