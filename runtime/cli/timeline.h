/* When each phase of a run began and ended, the host's clock and the guest's brought together. */
#pragma once

#include <stdio.h>

#include "guest/api/services.h"
#include "runtime/sandbox/sandbox.h"

enum { TIMELINE_EVENTS_MAX = 32, TIMELINE_PHASE_MAX = 16 };

enum timeline_mark { TIMELINE_STARTED, TIMELINE_EXITED, TIMELINE_MARKS };

struct timeline_event {
    char     phase[TIMELINE_PHASE_MAX];
    uint64_t begin_ms, end_ms; /* since the guest's kernel started */
};

/* The zero state is empty. */
struct timeline {
    struct timeline_event guest[TIMELINE_EVENTS_MAX];
    size_t                n_guest;
    uint64_t              marks[TIMELINE_MARKS]; /* CLOCK_MONOTONIC, ms; 0: has not happened */
};

void timeline_mark(struct timeline *timeline, enum timeline_mark mark, uint64_t at_ms);

/* Keeps what fits; phases are reduced to lower-case letters: they are a guest's words. */
void timeline_add_guest(struct timeline *timeline, const Agent__GetTimelineResponse *from_guest);

/*
 * One line per phase: begin and duration in ms since the run began. The guest's clock is placed so that the end of
 * its `attest` falls on the moment at which the host saw it ready.
 */
void timeline_print(const struct timeline *timeline, const struct sandbox_times *times, FILE *to);
