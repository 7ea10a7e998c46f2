#include "firmware/measure/acpi_blobs.h"

#include <string.h>

enum { HEADER_LEN = 36, LOADER_LEN = 4096, STEP_LEN = 128, NAME_LEN = 56, STEPS_MAX = LOADER_LEN / STEP_LEN };
enum { STEP_ALLOCATE = 1, STEP_POINTER = 2, STEP_CHECKSUM = 3, ZONE_HIGH = 1, ZONE_FSEG = 2, CHECKSUM = 9 };

static const char TABLES[] = "etc/acpi/tables", RSDP[] = "etc/acpi/rsdp";

struct table { uint32_t at, len; char name[5]; };
struct tables { struct table at[ACPI_TABLES_MAX]; size_t n; };

/* The tables lie one behind the other; zeros fill the rest. */
static FALLIBLE list_tables(struct bytes blob, struct tables *out, struct err *err)
{
    struct reader r = reader_over(blob);

    while (r.left.len >= 8 && r.left.at[0] != 0) {
        struct table  t    = { .at = (uint32_t) r.offset };
        struct reader head = reader_over(r.left);
        struct bytes  name = take(&head, 4);

        t.len = take_u32le(&head);
        if (!reader_ok(&head, err))
            return false;
        memcpy(t.name, name.at, name.len);
        take(&r, t.len);
        if (!reader_ok(&r, err))
            return contextf(err, "table at %#x", t.at);
        if (t.len < HEADER_LEN || out->n == ACPI_TABLES_MAX)
            return fail_with(err, ERR_MALFORMED, "table at %#x: %u bytes", t.at, t.len);
        out->at[out->n++] = t;
    }
    if (!bytes_are_zero(r.left))
        return fail_with(err, ERR_MALFORMED, "bytes behind the last table");
    return true;
}

static const struct table *find(const struct tables *tables, const char *name)
{
    const struct table *found = NULL;

    for (size_t i = 0; i < tables->n; i++)
        if (strcmp(tables->at[i].name, name) == 0) {
            if (found)
                return NULL; /* two of them: not QEMU's */
            found = &tables->at[i];
        }
    return found;
}

static void put_name(struct writer *w, const char *name)
{
    put(w, bytes_of_text(name));
    put_zeros(w, NAME_LEN - strlen(name));
}

static void end_step(struct writer *w)
{
    put_zeros(w, (STEP_LEN - w->len % STEP_LEN) % STEP_LEN);
}

static void put_allocate(struct writer *w, const char *name, uint32_t align, uint8_t zone)
{
    put_u32le(w, STEP_ALLOCATE);
    put_name(w, name);
    put_u32le(w, align);
    put_u8(w, zone);
    end_step(w);
}

static void put_pointer(struct writer *w, const char *in, uint32_t offset, uint8_t width)
{
    put_u32le(w, STEP_POINTER);
    put_name(w, in);
    put_name(w, TABLES);
    put_u32le(w, offset);
    put_u8(w, width);
    end_step(w);
}

static void put_checksum(struct writer *w, const char *in, uint32_t result, uint32_t start, uint32_t len)
{
    put_u32le(w, STEP_CHECKSUM);
    put_name(w, in);
    put_u32le(w, result);
    put_u32le(w, start);
    put_u32le(w, len);
    end_step(w);
}

static void put_table_checksum(struct writer *w, const struct table *t)
{
    put_checksum(w, TABLES, t->at + CHECKSUM, t->at, t->len);
}

static void put_fadt(struct writer *w, const struct table *facp)
{
    put_pointer(w, TABLES, facp->at + 36, 4);  /* FACS */
    put_pointer(w, TABLES, facp->at + 40, 4);  /* DSDT */
    put_pointer(w, TABLES, facp->at + 140, 8); /* DSDT again, long */
    put_table_checksum(w, facp);
}

static void put_steps(struct writer *w, const struct tables *tables, const struct table *dsdt,
                      const struct table *facp, const struct table *rsdt)
{
    put_allocate(w, RSDP, 16, ZONE_FSEG);
    put_allocate(w, TABLES, 64, ZONE_HIGH);
    put_table_checksum(w, dsdt);
    put_fadt(w, facp);
    for (size_t i = 0; i < tables->n; i++) {
        const struct table *t = &tables->at[i];

        if (t != dsdt && t != facp && t != rsdt && strcmp(t->name, "FACS") != 0)
            put_table_checksum(w, t);
    }
    for (uint32_t at = HEADER_LEN; at + 4 <= rsdt->len; at += 4)
        put_pointer(w, TABLES, rsdt->at + at, 4);
    put_table_checksum(w, rsdt);
    put_pointer(w, RSDP, 16, 4);
    put_checksum(w, RSDP, 8, 0, ACPI_RSDP_LEN);
}

FALLIBLE acpi_blobs_derive(struct bytes blob, struct buffer *loader, struct buffer *rsdp, struct err *err)
{
    struct tables tables = { .n = 0 };

    if (blob.len > ACPI_BLOB_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "ACPI tables: %zu bytes, at most %d", blob.len, ACPI_BLOB_LEN_MAX);
    if (!list_tables(blob, &tables, err))
        return context(err, "ACPI tables");

    const struct table *dsdt = find(&tables, "DSDT"), *facp = find(&tables, "FACP"), *rsdt = find(&tables, "RSDT");

    if (!dsdt || !facp || !rsdt || facp->len < 148)
        return fail_with(err, ERR_MALFORMED, "ACPI tables: not one each of DSDT, FACP and RSDT");

    struct writer w = writer_over(buffer_grow(loader, LOADER_LEN), LOADER_LEN);
    struct writer p = writer_over(buffer_grow(rsdp, ACPI_RSDP_LEN), ACPI_RSDP_LEN);

    put_steps(&w, &tables, dsdt, facp, rsdt);
    put(&p, bytes_of_text("RSD PTR "));
    put_u8(&p, 0);
    put(&p, bytes_of_text("BOCHS "));
    put_u8(&p, 0);
    put_u32le(&p, rsdt->at);
    if (!writer_ok(&w, err) || !writer_ok(&p, err))
        return context(err, "ACPI tables: loader");
    return true;
}
