/* When each phase of a start began and ended, in milliseconds since the kernel started. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { TIMELINE_MAX = 128, TIMELINE_CONTAINER_MAX = 64 };

struct timeline_event {
    const char *phase;
    uint64_t    begin_ms, end_ms;
    char        container[TIMELINE_CONTAINER_MAX]; /* "": a phase of the guest itself */
};

struct timeline {
    struct timeline_event events[TIMELINE_MAX];
    size_t                n; /* when it is full, later events are dropped */
};

uint64_t timeline_now_ms(void); /* CLOCK_BOOTTIME */
void     timeline_add(struct timeline *timeline, const char *phase, uint64_t begin_ms, uint64_t end_ms,
                      const char *container);
