#include "guest/agent/timeline.h"

#include <stdio.h>
#include <time.h>

uint64_t timeline_now_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void timeline_add(struct timeline *timeline, const char *phase, uint64_t begin_ms, uint64_t end_ms,
                  const char *container)
{
    if (timeline->n == TIMELINE_MAX)
        return;
    struct timeline_event *event = &timeline->events[timeline->n++];
    *event = (struct timeline_event){ .phase = phase, .begin_ms = begin_ms, .end_ms = end_ms };
    (void) snprintf(event->container, sizeof event->container, "%s", container); /* ids are shorter */
}
