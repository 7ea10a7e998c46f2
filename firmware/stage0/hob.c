#include "firmware/stage0/hob.h"

enum { HOB_PHIT = 1, HOB_RESOURCE = 3, HOB_END = 0xffff, PHIT_LEN = 56, RESOURCE_LEN = 48, END_LEN = 8, HEAD_LEN = 8 };
enum { MEMORY_ADDED = 0, MEMORY_UNACCEPTED = 7, GUID_LEN = 16, PAGE_MASK = 4095 };

static FALLIBLE take_head(struct reader *r, uint16_t *type, uint16_t *len, struct err *err)
{
    *type = take_u16le(r);
    *len  = take_u16le(r);
    take(r, HEAD_LEN - 4);
    return reader_ok(r, err);
}

static FALLIBLE add(struct memory_map *map, uint64_t start, uint64_t len, struct err *err)
{
    uint64_t last_end = map->n > 0 ? map->at[map->n - 1].end : 0;

    if (len == 0 || len > UINT64_MAX - start || ((start | len) & PAGE_MASK) != 0)
        return fail_with(err, ERR_MALFORMED, "%#llx bytes at %#llx", (unsigned long long) len,
                         (unsigned long long) start);
    if (start < last_end)
        return fail_with(err, ERR_MALFORMED, "memory at %#llx comes late or twice", (unsigned long long) start);
    if (start + len > MEMORY_TOP_MAX)
        return fail_with(err, ERR_LIMIT, "RAM up to %#llx", (unsigned long long) (start + len));
    if (map->n > 0 && start == last_end) {
        map->at[map->n - 1].end = start + len;
        return true;
    }
    if (map->n == MEMORY_E820_MAX)
        return fail_with(err, ERR_LIMIT, "over %d ranges", MEMORY_E820_MAX);
    map->at[map->n++] = (struct memory_range){ start, start + len, MEMORY_RAM };
    return true;
}

static FALLIBLE take_resource(struct reader *r, struct memory_map *map, struct err *err)
{
    take(r, GUID_LEN);
    uint32_t kind = take_u32le(r);

    take(r, 4); /* attributes */
    uint64_t start = take_u64le(r);
    uint64_t len   = take_u64le(r);

    if (!reader_ok(r, err))
        return false;
    if (kind != MEMORY_ADDED && kind != MEMORY_UNACCEPTED)
        return fail_with(err, ERR_UNSUPPORTED, "a resource of type %u", kind);
    return add(map, start, len, err);
}

static FALLIBLE read_list(struct reader *r, struct memory_map *map, size_t *end, struct err *err)
{
    size_t   whole = r->left.len;
    uint16_t type = 0, len = 0;

    map->n = 0;
    if (!take_head(r, &type, &len, err))
        return false;
    if (type != HOB_PHIT || len != PHIT_LEN)
        return fail_with(err, ERR_MALFORMED, "it starts with type %u, %u bytes", type, len);
    take(r, PHIT_LEN - HEAD_LEN);
    for (;;) {
        *end = whole - r->left.len;
        if (!take_head(r, &type, &len, err))
            return false;
        if (type == HOB_END && len == END_LEN)
            return true;
        if (type != HOB_RESOURCE || len != RESOURCE_LEN)
            return fail_with(err, ERR_UNSUPPORTED, "type %u, %u bytes", type, len);
        if (!take_resource(r, map, err))
            return false;
    }
}

FALLIBLE hob_read(struct bytes list, struct memory_map *map, struct bytes *measured, struct err *err)
{
    struct reader r   = reader_over(list);
    size_t        end = 0;

    if (!read_list(&r, map, &end, err))
        return context(err, "TD HOB");
    *measured = (struct bytes){ list.at, end };
    return true;
}
