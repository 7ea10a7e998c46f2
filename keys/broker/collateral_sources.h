/*
 * Where the broker may fetch collateral from: hosts that the configuration lists, and a folder that keeps what they said.
 * Without hosts it asks nobody. Immutable, but for that folder; several threads may ask at once.
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

struct collateral_sources;

/* All copied. */
struct collateral_sources_options {
    const char *hosts;    /* names with blanks or commas between, each with :PORT unless that is 443 */
    const char *cache;    /* folder, made when it is not there; NULL: nothing outlives the process */
    const char *ca_file;  /* PEM, of mirrors; NULL: the system's roots */
    const char *kds, *pcs; /* base URLs: https://HOST[:PORT] */
    uint32_t    timeout_ms;
};

/* Fails CONFIG: a base that is no https URL, or whose host is not listed; as cache_open. */
FALLIBLE collateral_sources_new(const struct collateral_sources_options *options, struct collateral_sources **out, struct err *err);
/* Counted: each collateral_sources_keep wants a collateral_sources_free, from any thread. */
struct collateral_sources *collateral_sources_keep(struct collateral_sources *sources);
void                       collateral_sources_free(struct collateral_sources *sources);
DEFINE_AUTO(collateral_sources, struct collateral_sources *, collateral_sources_free)

const char *collateral_sources_kds(const struct collateral_sources *sources);
const char *collateral_sources_pcs(const struct collateral_sources *sources);
bool        collateral_sources_has(const struct collateral_sources *sources, const char *base); /* whether its host is listed */

/* One document of such a service, wanted and had. */
struct collateral_document {
    struct buffer url;
    int64_t       lifetime_s;           /* how long it counts as fresh */
    bool          is_had;
    bool          is_stale;             /* past its time: it could not be had anew */
    struct buffer body, issuer_chain;   /* the latter PEM, of Intel's answers */
    int64_t       expires_at;           /* fresh until then */
    struct err    err;                  /* why it is not had */
    bool          is_asked;             /* a service was: else the cache had it, or nobody may be asked */
    uint64_t      us;                   /* how long that took */
};

void collateral_document_free(struct collateral_document *document);

/*
 * Waits for the cache or the network; fills what is below `url`. What is past its time serves when the network fails: it
 * carries its own dates. Errors are those of collateral_get, and DENIED for a host that is not listed.
 */
void collateral_sources_get(const struct collateral_sources *sources, int64_t now, struct collateral_document *document);
