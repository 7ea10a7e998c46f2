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
#define ACTIVITY_ENUM(id, name) id,
enum activity { ACTIVITIES(ACTIVITY_ENUM) N_ACTIVITIES };
#undef ACTIVITY_ENUM

enum { STATUS_CLASSES = 6, DURATION_BUCKETS = 12 };

struct durations {
    uint64_t buckets[DURATION_BUCKETS]; /* not cumulative; the last one is without an upper bound */
    uint64_t total_us, n;
};

/* Its zero state counts nothing yet. */
struct metrics {
    uint64_t         answers[N_ACTIVITIES][STATUS_CLASSES]; /* by the status' first digit */
    struct durations answering[N_ACTIVITIES];               /* from the request's head to its answer, commit included */
    struct durations committing;
    uint64_t         commits_failed, shed, timed_out, reloads, reloads_failed;
};

/* What only stands at the moment. */
struct gauges {
    uint64_t connections, requests, audit_entries, uptime_s;
    bool     is_ready;
};

enum activity activity_of(const char *method, const char *path);
void metrics_answered(struct metrics *metrics, enum activity activity, unsigned status, uint64_t us);
void metrics_committed(struct metrics *metrics, uint64_t us, bool succeeded);

/* Appends the exposition. [Prometheus text format 0.0.4] */
void metrics_write(const struct metrics *metrics, const struct gauges *gauges, struct buffer *out);
