#include "firmware/stage0/memory_map.h"

enum { E820_ENTRY_LEN = 20, PAGE_MASK = 4095 };

static FALLIBLE insert(struct memory_map *map, struct memory_range range, struct err *err)
{
    size_t at = map->n;

    if (map->n == MEMORY_RANGES_MAX)
        return fail_with(err, ERR_LIMIT, "memory map: over %d ranges", MEMORY_RANGES_MAX);
    while (at > 0 && map->at[at - 1].start > range.start) {
        map->at[at] = map->at[at - 1];
        at--;
    }
    map->at[at] = range;
    map->n++;
    return true;
}

static FALLIBLE take_range(struct reader *r, struct memory_range *out, struct err *err)
{
    uint64_t start = take_u64le(r);
    uint64_t len   = take_u64le(r);
    uint32_t type  = take_u32le(r);

    if (!reader_ok(r, err))
        return false;
    if (type != MEMORY_RAM && type != MEMORY_RESERVED)
        return fail_with(err, ERR_UNSUPPORTED, "type %u at %#llx", type, (unsigned long long) start);
    if (len == 0 || len > UINT64_MAX - start)
        return fail_with(err, ERR_MALFORMED, "%#llx bytes at %#llx", (unsigned long long) len,
                         (unsigned long long) start);
    if (type == MEMORY_RAM && ((start | len) & PAGE_MASK) != 0)
        return fail_with(err, ERR_MALFORMED, "RAM at %#llx is not whole pages", (unsigned long long) start);
    if (type == MEMORY_RAM && start + len > MEMORY_TOP_MAX)
        return fail_with(err, ERR_LIMIT, "RAM up to %#llx", (unsigned long long) (start + len));
    *out = (struct memory_range){ start, start + len, type == MEMORY_RAM ? MEMORY_RAM : MEMORY_RESERVED };
    return true;
}

FALLIBLE memory_map_read(struct bytes e820, struct memory_map *out, struct err *err)
{
    struct reader r = reader_over(e820);
    size_t        n = e820.len / E820_ENTRY_LEN;

    if (n == 0 || n > MEMORY_E820_MAX)
        return fail_with(err, ERR_LIMIT, "e820: %zu entries, 1 to %d", n, MEMORY_E820_MAX);
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct memory_range range = { 0 };

        if (!take_range(&r, &range, err) || !insert(out, range, err))
            return contextf(err, "e820: entry %zu", i);
    }
    if (!reader_done(&r, err))
        return context(err, "e820");
    for (size_t i = 1; i < out->n; i++)
        if (out->at[i].start < out->at[i - 1].end)
            return fail_with(err, ERR_MALFORMED, "e820: ranges overlap at %#llx", (unsigned long long) out->at[i].start);
    return true;
}

/* Takes [start, end) out of the range at `i`; true when the range is gone. */
static FALLIBLE clip(struct memory_map *map, size_t i, uint64_t start, uint64_t end, bool *gone, struct err *err)
{
    struct memory_range was = map->at[i];

    *gone = false;
    if (was.end <= start || was.start >= end)
        return true;
    if (was.start < start) {
        map->at[i].end = start;
        return was.end <= end || insert(map, (struct memory_range){ end, was.end, was.type }, err);
    }
    if (was.end > end) {
        map->at[i].start = end;
        return true;
    }
    for (size_t j = i + 1; j < map->n; j++)
        map->at[j - 1] = map->at[j];
    map->n--;
    *gone = true;
    return true;
}

FALLIBLE memory_map_set(struct memory_map *map, uint64_t start, uint64_t end, enum memory_type type, struct err *err)
{
    bool gone = false;

    for (size_t i = 0; i < map->n; i += !gone)
        if (!clip(map, i, start, end, &gone, err))
            return false;
    return type == MEMORY_HOLE || insert(map, (struct memory_range){ start, end, type }, err);
}

FALLIBLE memory_map_find(const struct memory_map *map, uint64_t len, uint64_t least, uint64_t limit, uint64_t *out,
                         struct err *err)
{
    for (size_t i = map->n; i > 0; i--) {
        const struct memory_range *r     = &map->at[i - 1];
        uint64_t                   start = r->start < least ? least : r->start;
        uint64_t                   end   = r->end > limit ? limit : r->end;

        if (r->type == MEMORY_RAM && end > start && len <= end - start &&
            ((end - len) & ~(uint64_t) PAGE_MASK) >= start) {
            *out = (end - len) & ~(uint64_t) PAGE_MASK;
            return true;
        }
    }
    return fail_with(err, ERR_LIMIT, "no room for %#llx bytes between %#llx and %#llx", (unsigned long long) len,
                     (unsigned long long) least, (unsigned long long) limit);
}

bool memory_map_is_ram(const struct memory_map *map, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < map->n; i++)
        if (map->at[i].type == MEMORY_RAM && start >= map->at[i].start && end <= map->at[i].end)
            return start < end;
    return false;
}
