#include "keys/broker/collateral_sources.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "attestation/collateral/collateral.h"

enum { HOST_LEN_MAX = 255 };

struct collateral_sources {
    atomic_uint  n_holders;
    char        *hosts, *ca_file, *kds, *pcs;
    struct cache cache; /* folder NULL: none */
    uint32_t     timeout_ms;
};

struct collateral_sources *collateral_sources_keep(struct collateral_sources *sources)
{
    if (sources)
        atomic_fetch_add(&sources->n_holders, 1);
    return sources;
}

void collateral_sources_free(struct collateral_sources *s)
{
    if (!s || atomic_fetch_sub(&s->n_holders, 1) > 1)
        return;
    cache_close(&s->cache);
    free(s->hosts);
    free(s->ca_file);
    free(s->kds);
    free(s->pcs);
    free(s);
    curl_global_cleanup();
}

const char *collateral_sources_kds(const struct collateral_sources *sources) { return sources->kds; }
const char *collateral_sources_pcs(const struct collateral_sources *sources) { return sources->pcs; }

/* "HOST" or "HOST:PORT" of an https URL; empty for what is none. */
static struct bytes host_of(const char *url)
{
    static const char SCHEME[] = "https://";
    const char       *at       = url + sizeof SCHEME - 1;
    size_t            len      = strncmp(url, SCHEME, sizeof SCHEME - 1) == 0 ? strcspn(at, "/?#") : 0;

    return len > 0 && len <= HOST_LEN_MAX && !memchr(at, '@', len) ? (struct bytes){ (const uint8_t *) at, len } : (struct bytes){ 0 };
}

static bool is_listed(const char *hosts, struct bytes host)
{
    static const char BETWEEN[] = " ,\t";

    for (const char *at = hosts + strspn(hosts, BETWEEN); *at && host.len > 0;) {
        size_t len = strcspn(at, BETWEEN);

        if (len == host.len && strncasecmp(at, (const char *) host.at, len) == 0)
            return true;
        at += len;
        at += strspn(at, BETWEEN);
    }
    return false;
}

bool collateral_sources_has(const struct collateral_sources *s, const char *base) { return is_listed(s->hosts, host_of(base)); }

static FALLIBLE base_check(const char *base, const char *key, struct err *err)
{
    struct bytes host = host_of(base);
    const char  *rest = host.len ? (const char *) host.at + host.len : "/";

    return (host.len > 0 && *rest == 0) || fail_with(err, ERR_CONFIG, "%s is not of the form https://HOST[:PORT]", key);
}

static char *copied(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        abort();
    return copy;
}

FALLIBLE collateral_sources_new(const struct collateral_sources_options *options, struct collateral_sources **out, struct err *err)
{
    AUTO(collateral_sources) struct collateral_sources *s = calloc(1, sizeof *s);

    if (!s || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* here, where there is one thread */
        abort();
    atomic_init(&s->n_holders, 1);
    s->hosts      = copied(options->hosts);
    s->ca_file    = copied(options->ca_file);
    s->kds        = copied(options->kds);
    s->pcs        = copied(options->pcs);
    s->timeout_ms = options->timeout_ms;
    if (!base_check(s->kds, "amd_kds", err) || !base_check(s->pcs, "intel_pcs", err))
        return false;
    if (!is_listed(s->hosts, host_of(s->kds)) && !is_listed(s->hosts, host_of(s->pcs)))
        return fail_with(err, ERR_CONFIG, "collateral_hosts lists neither the host of amd_kds nor that of intel_pcs");
    if (options->cache && !cache_open(options->cache, &s->cache, err))
        return false;
    *out = TAKE(s);
    return true;
}

void collateral_document_free(struct collateral_document *d)
{
    buffer_free(&d->url);
    buffer_free(&d->body);
    buffer_free(&d->issuer_chain);
    *d = (struct collateral_document){ 0 };
}

void collateral_sources_get(const struct collateral_sources *s, int64_t now, struct collateral_document *d)
{
    AUTO(answer) struct answer answer = { 0 };
    const char                *url    = buffer_text(&d->url);
    struct bytes               host   = host_of(url);
    struct collateral_source   source = { .cache = s->cache.folder ? &s->cache : NULL, .online = is_listed(s->hosts, host),
                                          .fetch = { .timeout_ms = s->timeout_ms, .ca_file = s->ca_file } };
    bool                       is_stale = false;

    d->is_had   = collateral_get(&source, url, now, d->lifetime_s, &answer, &is_stale, &d->err);
    d->is_asked = source.online && (!d->is_had || is_stale || answer.fetched_at == now);
    d->is_stale = d->is_had && is_stale;
    if (d->is_had) {
        d->body         = TAKE(answer.body);
        d->issuer_chain = TAKE(answer.issuer_chain);
        d->expires_at   = answer.expires_at;
    } else if (!source.online) {
        (void) fail_with(&d->err, ERR_DENIED, "%.*s is not in collateral_hosts, so %.120s was not asked for", (int) host.len,
                         host.len ? (const char *) host.at : "", url);
    }
}
