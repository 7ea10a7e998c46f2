/*
 * Collateral that was fetched, by URL, for the loop's thread: what is fresh, what is past its time, what could not be had.
 * Evidence that nobody has verified yet makes us ask, so what is asked for in a minute is bounded.
 */
#pragma once

#include "keys/broker/outside.h"

enum { FETCHED_MAX = 256, FETCHES_PER_MINUTE = 120, FETCH_PAUSE_S = 60 };

struct fetched;

struct fetched_document {
    char         *url;
    struct buffer body, issuer_chain; /* empty: never had */
    int64_t       expires_at;
    int64_t       pause_until; /* after a failure it is not asked for again before */
    char          why[200];    /* … of this kind; "" when the last question was answered */
    uint64_t      used;
};

/* `sources` NULL: offline, nothing is ever wanted. Outlives the result. */
struct fetched *fetched_new(struct collateral_sources *sources);
void            fetched_free(struct fetched *fetched);
DEFINE_AUTO(fetched, struct fetched *, fetched_free)

const struct collateral_sources *fetched_sources(const struct fetched *fetched); /* NULL: offline */

/*
 * What there is for `url`: fresh, or past its time when it cannot be had now; NULL for nothing.
 *
 *   wanted    gets the URL when it should be asked for first; NULL: no more
 *   why       appended: why there is nothing fresh; NULL
 */
const struct fetched_document *fetched_find(struct fetched *fetched, const char *url, int64_t lifetime_s, int64_t now,
                                            struct outside_job *wanted, struct buffer *why);

/* Keeps what came of a job; its documents are empty afterwards. */
void fetched_bring(struct fetched *fetched, struct outside_job *job, int64_t now);
