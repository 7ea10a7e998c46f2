/*
 * Whether a new challenge may begin. A broker whose turn took too long is behind for as long again, and puts new ones off:
 * who is under way comes first. But eight attestations that were good make room for seven: so it goes on at the rate that
 * it has, with fewer under way each time, and does not stand still until all whom it put off come back at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct admission {
    int64_t  behind_until_us;
    unsigned room; /* in parts of a challenge, see admission.c */
};

void admission_turn_begins(struct admission *admission, int64_t now_us);

/* The turn that began then still goes on, or ends. */
void admission_turn_judge(struct admission *admission, int64_t began_us, int64_t now_us, int64_t limit_us);

void admission_attested(struct admission *admission); /* an attestation was good; only such a one makes room */

/* For each challenge that is asked for: takes the room that it gets. */
bool admission_lets_in(struct admission *admission, int64_t now_us);
