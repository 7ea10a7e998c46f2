/*
 * Who may have how many connections, and whose question is asked next: each container has a share of its own, which
 * another cannot use up. Numbers and lists only; sockets and requests are the HTTP server's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHARES_MAX           = 17, /* the containers that a pod may have, and one for all of whom nobody is known */
    SHARE_CONNECTIONS    = 16, /* of one container; for one more the oldest that waits for no answer is closed */
    SHARE_QUESTIONS      = 12, /* of one container without an answer; fewer, so that there is always such a connection */
    SHARE_ASKED          = 2,  /* of these before the keeper at once, who has four threads for all; the others queue */
    VISITS_MAX           = SHARES_MAX * SHARE_CONNECTIONS,
};

/* One connection, embedded in its owner's record of it. */
struct visit {
    struct share *share;
    struct visit *next, **link;              /* among those of its share, oldest first */
    struct visit *next_asking;               /* in the queue */
    bool          has_question, is_dismissed; /* without an answer; being closed: it no longer counts */
};

struct share {
    uint64_t      cgroup; /* 0: free, or of whom nobody is known */
    struct visit *first, **end, *asking, **asking_end;
    size_t        n_connections, n_questions, n_asked;
};

struct visits { struct share shares[SHARES_MAX]; };

/*
 * Counts one more connection of the container with control group `cgroup` (0: unknown). Returns the one that has to be
 * closed for it, or NULL. It is to be ended like any other.
 */
struct visit *visits_begin(struct visits *visits, uint64_t cgroup, struct visit *visit);

void visits_end(struct visit *visit); /* it has no question then */

enum visit_turn { VISIT_NOW, VISIT_LATER, VISIT_TOO_MANY };

/* Whether its question may be asked. LATER: visits_answered will return it. */
enum visit_turn visits_ask(struct visit *visit);

/* Its question, which was asked, has been answered. Returns the one whose turn it is, or NULL. */
struct visit *visits_answered(struct visit *visit);
