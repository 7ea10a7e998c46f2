#include "guest/init/heap.h"

#include <malloc.h>

enum {
    LITTLE_LEN      = 4 << 10,
    LITTLE_KEPT     = 16 << 10,
    ROOM_LEN        = 128 << 10, /* as glibc has it; */
    ROOM_KEPT       = 512 << 10, /* the next two it would find by itself, but not once one of these was set */
    ROOM_APART_FROM = 1 << 20,
};

/* mallopt fails for values that it does not know only. */
void heap_keep_little(void)
{
    (void) mallopt(M_ARENA_MAX, 1);
    (void) mallopt(M_TOP_PAD, LITTLE_LEN);
    (void) mallopt(M_TRIM_THRESHOLD, LITTLE_KEPT);
}

void heap_keep_room(void)
{
    (void) mallopt(M_ARENA_MAX, 1); /* threads wait for others most of the time: a heap of each one's own is memory for nothing */
    (void) mallopt(M_TOP_PAD, ROOM_LEN);
    (void) mallopt(M_TRIM_THRESHOLD, ROOM_KEPT);
    (void) mallopt(M_MMAP_THRESHOLD, ROOM_APART_FROM);
}

void heap_give_back(void)
{
    (void) malloc_trim(0); /* there may be nothing */
}
