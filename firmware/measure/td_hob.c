#include "firmware/measure/td_hob.h"

#include <assert.h>

enum { PHIT_LEN = 56, RESOURCE_LEN = 48, END_LEN = 8, RANGES_MAX = 2 * TDVF_SECTIONS_MAX + 2 };
enum { HOB_PHIT = 1, HOB_RESOURCE = 3, HOB_END = 0xffff, PHIT_VERSION = 9 };
enum { RESOURCE_MEMORY = 0, RESOURCE_UNACCEPTED = 7, PRESENT_INITIALISED_TESTED = 7 };

static const uint64_t LOW_MEMORY_MAX = 0xb0000000, LOW_MEMORY_SPLIT = 0x80000000, FOUR_GIB = 1ULL << 32;

struct range { uint64_t start, end; bool accepted; };
struct ranges { struct range at[RANGES_MAX]; size_t n; };

/* Cuts [start, end) out of the unaccepted range that holds it. */
static FALLIBLE accept(struct ranges *ranges, uint64_t start, uint64_t end, struct err *err)
{
    for (size_t i = 0; i < ranges->n; i++) {
        struct range whole = ranges->at[i];
        struct range parts[] = { { whole.start, start, false }, { start, end, true }, { end, whole.end, false } };
        size_t       n       = 0;

        if (whole.accepted || start < whole.start || end > whole.end)
            continue;
        for (size_t j = ranges->n; j > i + 1; j--)
            ranges->at[j + 1] = ranges->at[j - 1]; /* room for two more */
        for (size_t j = 0; j < 3; j++)
            if (parts[j].start < parts[j].end)
                ranges->at[i + n++] = parts[j];
        for (size_t j = i + 3; j < ranges->n + 2; j++)
            ranges->at[j - (3 - n)] = ranges->at[j];
        ranges->n += n - 1;
        return true;
    }
    return fail_with(err, ERR_MALFORMED, "firmware image: the section at %#llx does not lie in the guest's RAM",
                     (unsigned long long) start);
}

static FALLIBLE make_ranges(const struct tdvf *tdvf, uint64_t memory, struct ranges *out, struct err *err)
{
    uint64_t low = memory < LOW_MEMORY_MAX ? memory : LOW_MEMORY_SPLIT;

    out->at[out->n++] = (struct range){ 0, low, false };
    if (memory > low)
        out->at[out->n++] = (struct range){ FOUR_GIB, FOUR_GIB + (memory - low), false };
    for (size_t i = 0; i < tdvf->n_sections; i++) {
        const struct tdvf_section *s = &tdvf->section[i];

        if (s->type != TDVF_TD_HOB && s->type != TDVF_TEMP_MEM)
            continue;
        if (out->n + 2 >= RANGES_MAX)
            return fail_with(err, ERR_LIMIT, "TD HOB: over %d ranges", RANGES_MAX);
        if (!accept(out, s->gpa, s->gpa + s->size, err))
            return false;
    }
    return true;
}

static void put_resource(struct writer *w, const struct range *r)
{
    put_u16le(w, HOB_RESOURCE);
    put_u16le(w, RESOURCE_LEN);
    put_zeros(w, 4 + 16); /* reserved, owner */
    put_u32le(w, r->accepted ? RESOURCE_MEMORY : RESOURCE_UNACCEPTED);
    put_u32le(w, PRESENT_INITIALISED_TESTED);
    put_u64le(w, r->start);
    put_u64le(w, r->end - r->start);
}

FALLIBLE td_hob_build(const struct tdvf *tdvf, uint64_t memory, struct buffer *out, struct err *err)
{
    const struct tdvf_section *hob    = tdvf_find(tdvf, TDVF_TD_HOB);
    struct ranges              ranges = { .n = 0 };

    if (!hob)
        return fail_with(err, ERR_NOT_FOUND, "firmware image: no TD_HOB section");
    if (memory == 0 || memory > UINT64_MAX / 2)
        return fail_with(err, ERR_LIMIT, "%llu bytes of memory", (unsigned long long) memory);
    if (!make_ranges(tdvf, memory, &ranges, err))
        return false;

    size_t        len = PHIT_LEN + RESOURCE_LEN * ranges.n + END_LEN;
    struct writer w   = writer_over(buffer_grow(out, len), len);

    if (len > hob->size || len > TD_HOB_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "firmware image: %#zx bytes of TD HOB in %#llx", len,
                         (unsigned long long) hob->size);
    put_u16le(&w, HOB_PHIT);
    put_u16le(&w, PHIT_LEN);
    put_zeros(&w, 4);
    put_u32le(&w, PHIT_VERSION);
    put_zeros(&w, 4 + 4 * 8); /* boot mode; tops and bottoms that QEMU leaves open */
    put_u64le(&w, hob->gpa + len);
    for (size_t i = 0; i < ranges.n; i++)
        put_resource(&w, &ranges.at[i]);
    put_u16le(&w, HOB_END);
    put_u16le(&w, END_LEN);
    put_zeros(&w, 4);
    assert(!w.failed && w.len == len);
    return true;
}

struct bytes td_hob_measured(const struct buffer *hob)
{
    return (struct bytes){ hob->at, hob->len - END_LEN };
}
