#include "keys/broker/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "keys/api/admin.h"
#include "keys/api/rcar.h"

#define METRICS_NAME(id, name) [id] = (name),
static const char *const NAMES[]         = { ACTIVITIES(METRICS_NAME) };
static const char *const OUTSIDE_NAMES[] = { OUTSIDES(METRICS_NAME) };
static const char *const OUTCOME_NAMES[] = { OUTCOMES(METRICS_NAME) };
#undef METRICS_NAME

static const uint64_t BOUNDS_US[DURATION_BUCKETS - 1] = { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 250000, 1000000 };

enum activity activity_of(const char *method, const char *path)
{
    static const struct {
        const char   *start;
        enum activity activity;
    } STARTS[] = {
        { KBS_PREFIX "/auth", ACTIVITY_CHALLENGE },
        { KBS_PREFIX "/attest", ACTIVITY_ATTESTATION },
        { KBS_PREFIX "/resource/", ACTIVITY_RESOURCE },
        { "/cloister/", ACTIVITY_ADMINISTRATION },
    };

    for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++) {
        if (strncmp(path, STARTS[i].start, strlen(STARTS[i].start)) != 0)
            continue;
        return STARTS[i].activity == ACTIVITY_RESOURCE && strcmp(method, "GET") != 0 ? ACTIVITY_ADMINISTRATION
                                                                                     : STARTS[i].activity;
    }
    return ACTIVITY_OTHER;
}

static void duration_add(struct durations *d, uint64_t us)
{
    size_t i = 0;

    while (i < DURATION_BUCKETS - 1 && us > BOUNDS_US[i])
        i++;
    d->buckets[i]++;
    d->total_us += us;
    d->n++;
}

void metrics_answered(struct metrics *metrics, enum activity activity, unsigned status, uint64_t us)
{
    unsigned first = status / 100;

    metrics->answers[activity][first < STATUS_CLASSES ? first : 0]++;
    duration_add(&metrics->answering[activity], us);
}

void metrics_committed(struct metrics *metrics, uint64_t us, bool succeeded)
{
    duration_add(&metrics->committing, us);
    metrics->commits_failed += !succeeded;
}

void metrics_asked(struct metrics *metrics, enum outside_peer peer, enum outside_outcome outcome, uint64_t us)
{
    struct questions *q = &metrics->outside[peer];

    q->outcomes[outcome]++;
    if (outcome == OUTCOME_KEPT)
        return;
    duration_add(&q->asking, us);
    q->is_down = outcome == OUTCOME_FAILED;
}

const char *outside_peer_name(enum outside_peer peer) { return OUTSIDE_NAMES[peer]; }

static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP cloister_broker_%s %s\n# TYPE cloister_broker_%s %s\n", name, help, name, type);
}

static void single(struct buffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
    family(out, name, type, help);
    buffer_printf(out, "cloister_broker_%s %" PRIu64 "\n", name, value);
}

/* `label`: "activity=\"resource\"," or "". */
static void histogram(struct buffer *out, const char *name, const char *label, const struct durations *d)
{
    uint64_t below = 0;
    size_t   len   = strlen(label);

    for (size_t i = 0; i < DURATION_BUCKETS; i++) {
        below += d->buckets[i];
        buffer_printf(out, "cloister_broker_%s_bucket{%sle=\"", name, label);
        if (i < DURATION_BUCKETS - 1)
            buffer_printf(out, "%g\"} %" PRIu64 "\n", (double) BOUNDS_US[i] / 1e6, below);
        else
            buffer_printf(out, "+Inf\"} %" PRIu64 "\n", below);
    }
    if (len > 0)
        len--; /* its comma */
    buffer_printf(out, "cloister_broker_%s_sum%s%.*s%s %.6f\n", name, len ? "{" : "", (int) len, label, len ? "}" : "",
                  (double) d->total_us / 1e6);
    buffer_printf(out, "cloister_broker_%s_count%s%.*s%s %" PRIu64 "\n", name, len ? "{" : "", (int) len, label, len ? "}" : "",
                  d->n);
}

static void answers_write(const struct metrics *m, struct buffer *out)
{
    family(out, "answers_total", "counter", "Answers by what was asked for and class of status.");
    for (int a = 0; a < N_ACTIVITIES; a++) {
        for (int s = 2; s < STATUS_CLASSES; s++) {
            if (s != 3) /* none of ours */
                buffer_printf(out, "cloister_broker_answers_total{activity=\"%s\",status=\"%dxx\"} %" PRIu64 "\n", NAMES[a], s,
                              m->answers[a][s]);
        }
    }
    family(out, "answer_seconds", "histogram", "From a request's head to its answer, commit included.");
    for (int a = 0; a < N_ACTIVITIES; a++) {
        char label[48];

        (void) snprintf(label, sizeof label, "activity=\"%s\",", NAMES[a]); /* fits */
        histogram(out, "answer_seconds", label, &m->answering[a]);
    }
}

static bool is_shown(const struct gauges *g, int peer) { return g->outsides >> peer & 1; }

static void outside_write(const struct metrics *m, const struct gauges *g, struct buffer *out)
{
    if (g->outsides == 0)
        return;
    family(out, "outside_questions_total", "counter", "Questions to key stores and collateral services outside, by what came of them.");
    for (int p = 0; p < N_OUTSIDES; p++) {
        for (int o = 0; o < N_OUTCOMES && is_shown(g, p); o++)
            buffer_printf(out, "cloister_broker_outside_questions_total{peer=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", OUTSIDE_NAMES[p],
                          OUTCOME_NAMES[o], m->outside[p].outcomes[o]);
    }
    family(out, "outside_seconds", "histogram", "From a question that goes out to its answer, or until it is given up.");
    for (int p = 0; p < N_OUTSIDES; p++) {
        char label[48];

        (void) snprintf(label, sizeof label, "peer=\"%s\",", OUTSIDE_NAMES[p]); /* fits */
        if (is_shown(g, p))
            histogram(out, "outside_seconds", label, &m->outside[p].asking);
    }
    family(out, "outside_up", "gauge", "0 when the last question to it failed.");
    for (int p = 0; p < N_OUTSIDES; p++) {
        if (is_shown(g, p))
            buffer_printf(out, "cloister_broker_outside_up{peer=\"%s\"} %d\n", OUTSIDE_NAMES[p], !m->outside[p].is_down);
    }
}

void metrics_write(const struct metrics *m, const struct gauges *g, struct buffer *out)
{
    answers_write(m, out);
    family(out, "commit_seconds", "histogram", "Making a turn's writes durable.");
    histogram(out, "commit_seconds", "", &m->committing);
    outside_write(m, g, out);
    single(out, "commits_failed_total", "counter", "Commits that failed: their answers were 503.", m->commits_failed);
    single(out, "shed_total", "counter", "Requests that were answered 503 because of overload.", m->shed);
    single(out, "timed_out_total", "counter", "Connections closed because a phase took too long.", m->timed_out);
    single(out, "reloads_total", "counter", "Configurations read again.", m->reloads);
    single(out, "reloads_failed_total", "counter", "Of these, refused: the one before went on.", m->reloads_failed);
    single(out, "connections", "gauge", "Open connections.", g->connections);
    single(out, "requests", "gauge", "Requests under way.", g->requests);
    single(out, "audit_entries", "gauge", "Entries of the audit log.", g->audit_entries);
    single(out, "uptime_seconds", "gauge", "Since the start.", g->uptime_s);
    single(out, "ready", "gauge", "1 when the store answers and nothing is being shut down.", g->is_ready);
}
