#include "firmware/stage0/acpi_additions.h"

#include <string.h>

enum { RSDP_LEN = 20, RSDP_SUM = 8, RSDP_RSDT = 16, HEADER_LEN = 36, TABLE_LEN = 4, TABLE_SUM = 9, POINTER_LEN = 4 };
enum { MADT_ENTRIES = 44, MADT_WAKEUP = 0x10, WAKEUP_LEN = 16, CCEL_LEN = 56, CC_TDX = 2, TABLE_ALIGN = 16 };

struct work {
    const struct acpi_additions *a;
    size_t                       used; /* of the room */
};

static FALLIBLE place(const struct acpi_additions *a, uint64_t gpa, size_t len, uint8_t **out, struct err *err)
{
    if (gpa < a->area_gpa || gpa - a->area_gpa > a->area_len || len > a->area_len - (size_t) (gpa - a->area_gpa))
        return fail_with(err, ERR_MALFORMED, "a table at %#llx lies elsewhere", (unsigned long long) gpa);
    *out = a->area + (gpa - a->area_gpa);
    return true;
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

static void store(uint8_t *at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

/* Makes the bytes sum up to zero. */
static void seal(uint8_t *at, size_t len, size_t sum_at)
{
    uint8_t sum = 0;

    at[sum_at] = 0;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t) (sum + at[i]);
    at[sum_at] = (uint8_t) -sum;
}

static FALLIBLE find_table(const struct acpi_additions *a, uint64_t gpa, struct bytes *out, struct err *err)
{
    uint8_t *at = NULL;

    if (!place(a, gpa, HEADER_LEN, &at, err))
        return false;

    uint32_t len = load(at + TABLE_LEN);

    if (len < HEADER_LEN)
        return fail_with(err, ERR_MALFORMED, "a table of %u bytes", len);
    *out = (struct bytes){ at, len };
    return place(a, gpa, len, &at, err);
}

static bool is_named(struct bytes table, const char *name) { return memcmp(table.at, name, 4) == 0; }

/* A copy of `table` with room for `more` bytes behind it, its new length already in it. */
static FALLIBLE copy_table(struct work *w, struct bytes table, size_t more, uint8_t **out, struct err *err)
{
    size_t len = table.len + more;

    if (len > ACPI_ADDITIONS_ROOM - w->used)
        return fail_with(err, ERR_LIMIT, "no room for a table of %zu bytes", len);
    *out = w->a->room + w->used;
    memcpy(*out, table.at, table.len);
    memset(*out + table.len, 0, more);
    store(*out + TABLE_LEN, 4, len);
    w->used += (len + TABLE_ALIGN - 1) & ~(size_t) (TABLE_ALIGN - 1);
    return true;
}

static uint64_t gpa_of(const struct work *w, const uint8_t *at) { return w->a->room_gpa + (uint64_t) (at - w->a->room); }

static FALLIBLE make_madt(struct work *w, struct bytes old, uint64_t *gpa, struct err *err)
{
    struct reader r  = reader_over(old);
    uint8_t      *at = NULL;

    take(&r, MADT_ENTRIES);
    while (r.left.len > 0 && !r.failed) {
        uint8_t type = take_u8(&r), len = take_u8(&r);

        if (!r.failed && type == MADT_WAKEUP)
            return fail_with(err, ERR_UNTRUSTED, "the host's MADT has a mailbox of its own");
        if (!r.failed && len < 2)
            return fail_with(err, ERR_MALFORMED, "a MADT entry of %u bytes", len);
        take(&r, len - 2U);
    }
    if (!reader_ok(&r, err) || !copy_table(w, old, WAKEUP_LEN, &at, err))
        return false;
    at[old.len]     = MADT_WAKEUP;
    at[old.len + 1] = WAKEUP_LEN;
    store(at + old.len + 8, 8, w->a->mailbox);
    seal(at, old.len + WAKEUP_LEN, TABLE_SUM);
    *gpa = gpa_of(w, at);
    return true;
}

static FALLIBLE make_ccel(struct work *w, struct bytes rsdt, uint64_t *gpa, struct err *err)
{
    uint8_t *at = NULL;

    /* Who made the tables stays as it is. */
    if (!copy_table(w, (struct bytes){ rsdt.at, HEADER_LEN }, CCEL_LEN - HEADER_LEN, &at, err))
        return false;
    memcpy(at, "CCEL", 4);
    at[8]          = 1; /* revision */
    at[HEADER_LEN] = CC_TDX;
    store(at + 40, 8, w->a->log_len);
    store(at + 48, 8, w->a->log);
    seal(at, CCEL_LEN, TABLE_SUM);
    *gpa = gpa_of(w, at);
    return true;
}

static FALLIBLE make_rsdt(struct work *w, struct bytes old, uint64_t *gpa, struct err *err)
{
    uint64_t ccel = 0, madt = 0;
    uint8_t *at = NULL;

    if (!copy_table(w, old, POINTER_LEN, &at, err) || !make_ccel(w, old, &ccel, err))
        return false;
    for (size_t i = HEADER_LEN; i < old.len; i += POINTER_LEN) {
        struct bytes table = { 0 };

        if (!find_table(w->a, load(at + i), &table, err))
            return false;
        if (is_named(table, "CCEL"))
            return fail_with(err, ERR_UNTRUSTED, "the host has a CCEL of its own");
        if (!is_named(table, "APIC"))
            continue;
        if (madt != 0)
            return fail_with(err, ERR_MALFORMED, "two MADTs");
        if (!make_madt(w, table, &madt, err))
            return false;
        store(at + i, POINTER_LEN, madt);
    }
    if (madt == 0)
        return fail_with(err, ERR_MALFORMED, "no MADT");
    store(at + old.len, POINTER_LEN, ccel);
    seal(at, old.len + POINTER_LEN, TABLE_SUM);
    *gpa = gpa_of(w, at);
    return true;
}

static FALLIBLE make(struct work *w, struct err *err)
{
    uint8_t     *rsdp = NULL;
    struct bytes rsdt = { 0 };
    uint64_t     gpa  = 0;

    if (!place(w->a, w->a->rsdp, RSDP_LEN, &rsdp, err) || !find_table(w->a, load(rsdp + RSDP_RSDT), &rsdt, err))
        return false;
    if (memcmp(rsdp, "RSD PTR ", 8) != 0 || !is_named(rsdt, "RSDT") || (rsdt.len - HEADER_LEN) % POINTER_LEN != 0)
        return fail_with(err, ERR_MALFORMED, "no RSDT");
    if (!make_rsdt(w, rsdt, &gpa, err))
        return false;
    store(rsdp + RSDP_RSDT, POINTER_LEN, gpa);
    seal(rsdp, RSDP_LEN, RSDP_SUM);
    return true;
}

FALLIBLE acpi_additions_make(const struct acpi_additions *additions, struct err *err)
{
    struct work w = { additions, 0 };

    return make(&w, err) || context(err, "ACPI tables");
}
