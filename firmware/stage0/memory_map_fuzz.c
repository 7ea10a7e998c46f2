#include "firmware/stage0/memory_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct memory_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct memory_range *r = &map->at[i];

        if (r->start >= r->end || (i > 0 && map->at[i - 1].end > r->start))
            __builtin_trap();
        if (r->type == MEMORY_RAM && r->end > MEMORY_TOP_MAX)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_map map = { .n = 0 };
    uint64_t          at  = 0;
    struct err        err;

    if (!memory_map_read((struct bytes){ data, size }, &map, &err))
        return 0;
    check(&map);
    if (!memory_map_set(&map, 0xa0000, 0x100000, MEMORY_HOLE, &err) ||
        !memory_map_set(&map, 0xffff0000, 1ULL << 32, MEMORY_RESERVED, &err))
        return 0;
    check(&map);
    if (memory_map_find(&map, 0x80000, 0x100000, 1ULL << 32, &at, &err) &&
        !memory_map_is_ram(&map, at, at + 0x80000))
        __builtin_trap();
    return 0;
}
