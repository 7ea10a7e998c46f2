/*
 * One manifest or blob from one place: asked for, authorised, retried with a growing pause, resumed where it broke
 * off, and held back when its reader is slow. Nothing that arrives is believed: whoever reads it checks its digest.
 * [OCI-DISTRIBUTION pull; RFC 9110 range requests]
 */
#pragma once

#include "guest/registry/challenge.h"
#include "guest/registry/registries.h"
#include "guest/registry/transfer.h"

/* One place that may have the image, and what is known of how to be let in. */
struct origin {
    struct transfers *all; /* borrowed */
    struct loop      *loop;
    struct attempt    place;
    struct buffer     credential; /* "USER:PASSWORD"; empty: none */
    struct buffer     token;      /* empty: none yet */
    bool              uses_basic;
    uint32_t          backoff_ms; /* FETCH_BACKOFF_MS, or less in tests */
};

void origin_free(struct origin *origin); /* wipes what lets us in */

enum fetch_kind { FETCH_MANIFEST, FETCH_BLOB, FETCH_REFERRERS };

struct fetch;

struct fetch_options {
    struct origin  *origin; /* borrowed */
    enum fetch_kind kind;
    const char     *object; /* a tag or a digest; copied */
    uint64_t        offset; /* the first byte that is wanted */
    uint64_t        most;   /* bytes; a longer thing fails with LIMIT */
    void          (*ready)(void *owner, struct fetch *fetch); /* more bytes, the end, or a failure; do not free it here */
    void           *owner;
};

/* Begins at once. A failure, also the first, is told by fetch_failure. */
struct fetch *fetch_new(const struct fetch_options *options);
void          fetch_free(struct fetch *fetch);
DEFINE_AUTO(fetch, struct fetch *, fetch_free)

struct bytes      fetch_waiting(const struct fetch *fetch); /* borrowed until the next call */
uint64_t          fetch_offset(const struct fetch *fetch);  /* of the first of them */
void              fetch_take(struct fetch *fetch, size_t n);
bool              fetch_is_over(const struct fetch *fetch);  /* nothing will come behind what waits */
const struct err *fetch_failure(const struct fetch *fetch);  /* NULL: none. Kinds: NOT_FOUND, DENIED, UNTRUSTED, ... */
bool              fetch_total(const struct fetch *fetch, uint64_t *total); /* false: not known yet, or never said */
