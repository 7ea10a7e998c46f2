#include "runtime/cli/timeline.h"

#include <string.h>

void timeline_mark(struct timeline *timeline, enum timeline_mark mark, uint64_t at_ms)
{
    timeline->marks[mark] = at_ms;
}

void timeline_add_guest(struct timeline *timeline, const Agent__GetTimelineResponse *from_guest)
{
    for (size_t i = 0; i < from_guest->n_events && timeline->n_guest < TIMELINE_EVENTS_MAX; i++) {
        const Agent__TimelineEvent *event = from_guest->events[i];
        struct timeline_event      *to    = &timeline->guest[timeline->n_guest++];
        size_t                      len   = 0;

        for (const char *c = event->phase; *c && len < sizeof to->phase - 1; c++)
            if (*c >= 'a' && *c <= 'z')
                to->phase[len++] = *c;
        to->phase[len] = 0;
        to->begin_ms   = event->begin_ms;
        to->end_ms     = event->end_ms < event->begin_ms ? event->begin_ms : event->end_ms;
    }
}

static void print_row(FILE *to, const char *phase, int64_t begin, int64_t end)
{
    fprintf(to, "  %-10s %7lld ms  +%lld ms\n", phase, (long long) begin, (long long) (end - begin));
}

void timeline_print(const struct timeline *timeline, const struct sandbox_times *times, FILE *to)
{
    int64_t zero   = (int64_t) times->begin_ms;
    int64_t offset = (int64_t) times->launch_ms - zero; /* of the guest's clock, when it says nothing better */

    for (size_t i = 0; i < timeline->n_guest; i++)
        if (strcmp(timeline->guest[i].phase, "attest") == 0)
            offset = (int64_t) times->ready_ms - zero - (int64_t) timeline->guest[i].end_ms;

    fprintf(to, "timeline     begins      lasts\n");
    print_row(to, "launch", 0, (int64_t) times->launch_ms - zero);
    print_row(to, "firmware", (int64_t) times->launch_ms - zero, offset);
    for (size_t i = 0; i < timeline->n_guest; i++)
        print_row(to, timeline->guest[i].phase, offset + (int64_t) timeline->guest[i].begin_ms,
                  offset + (int64_t) timeline->guest[i].end_ms);
    if (timeline->marks[TIMELINE_STARTED] && timeline->marks[TIMELINE_EXITED])
        print_row(to, "workload", (int64_t) timeline->marks[TIMELINE_STARTED] - zero,
                  (int64_t) timeline->marks[TIMELINE_EXITED] - zero);
}
