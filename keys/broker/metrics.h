/*
 * Counts of what a broker did, in Prometheus' text format. Labels come from fixed lists: no name of a secret, no peer's
 * text ever becomes one.
 */
#pragma once

#include "base/bytes.h"

/* What a request was for, by its path. */
#define ACTIVITIES(X)                       \
    X(ACTIVITY_CHALLENGE, "challenge")      \
    X(ACTIVITY_ATTESTATION, "attestation")  \
    X(ACTIVITY_RESOURCE, "resource")        \
    X(ACTIVITY_ADMINISTRATION, "administration") \
    X(ACTIVITY_OTHER, "other")
#define METRICS_ENUM(id, name) id,
enum activity { ACTIVITIES(METRICS_ENUM) N_ACTIVITIES };

/* Whom the broker asks outside, and what came of a question. */
#define OUTSIDES(X)                  \
    X(OUTSIDE_VAULT, "vault")        \
    X(OUTSIDE_PKCS11, "pkcs11")      \
    X(OUTSIDE_AMD, "amd_kds")        \
    X(OUTSIDE_INTEL, "intel_pcs")
#define OUTCOMES(X)                  \
    X(OUTCOME_ANSWERED, "answered")  \
    X(OUTCOME_ABSENT, "absent")      /* there is no such thing */ \
    X(OUTCOME_KEPT, "kept")          /* nobody was asked: the folder of collateral had it */ \
    X(OUTCOME_FAILED, "failed")
enum outside_peer { OUTSIDES(METRICS_ENUM) N_OUTSIDES };
enum outside_outcome { OUTCOMES(METRICS_ENUM) N_OUTCOMES };
#undef METRICS_ENUM

enum { STATUS_CLASSES = 6, DURATION_BUCKETS = 12 };

struct durations {
    uint64_t buckets[DURATION_BUCKETS]; /* not cumulative; the last one is without an upper bound */
    uint64_t total_us, n;
};

/* Questions to one peer outside. */
struct questions {
    uint64_t         outcomes[N_OUTCOMES];
    struct durations asking;  /* of those that went out */
    bool             is_down; /* the last of them failed */
};

/* Its zero state counts nothing yet. */
struct metrics {
    uint64_t         answers[N_ACTIVITIES][STATUS_CLASSES]; /* by the status' first digit */
    struct durations answering[N_ACTIVITIES];               /* from the request's head to its answer, commit included */
    struct durations committing;
    struct questions outside[N_OUTSIDES];
    uint64_t         commits_failed, shed, timed_out, reloads, reloads_failed;
};

/* What only stands at the moment. */
struct gauges {
    uint64_t connections, requests, audit_entries, uptime_s;
    bool     is_ready;
    unsigned outsides; /* bits of enum outside_peer: whom the configuration names; of others nothing is shown */
};

enum activity activity_of(const char *method, const char *path);
void metrics_answered(struct metrics *metrics, enum activity activity, unsigned status, uint64_t us);
void metrics_committed(struct metrics *metrics, uint64_t us, bool succeeded);

void metrics_asked(struct metrics *metrics, enum outside_peer peer, enum outside_outcome outcome, uint64_t us);
const char *outside_peer_name(enum outside_peer peer);

/* Appends the exposition. [Prometheus text format 0.0.4] */
void metrics_write(const struct metrics *metrics, const struct gauges *gauges, struct buffer *out);
