#include "firmware/stage0/hob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_map map      = { .n = 0 };
    struct bytes      measured = { 0 };
    struct err        err;

    if (!hob_read((struct bytes){ data, size }, &map, &measured, &err))
        return 0;
    if (measured.at != data || measured.len > size)
        __builtin_trap();
    for (size_t i = 0; i < map.n; i++) {
        const struct memory_range *r = &map.at[i];

        if (r->type != MEMORY_RAM || r->start >= r->end || r->end > MEMORY_TOP_MAX || (r->start | r->end) % 4096 != 0 ||
            (i > 0 && map.at[i - 1].end >= r->start))
            __builtin_trap();
    }
    return 0;
}
