#include "firmware/stage0/efi_tables.h"

#include <string.h>

/* In the room: system table, vendor's name, configuration table; memory map; the list. */
enum { VENDOR = 0x80, CONFIGURATION = 0xc0, MAP = 0x1000, LIST = 0x8000, LIST_HEADER_LEN = 24 };
enum { SYSTEM_TABLE_LEN = 120, CONFIGURATION_LEN = 24, DESCRIPTOR_LEN = 40, REVISION = 2 << 16 | 100 };
enum { CONVENTIONAL = 7, ACPI_RECLAIM = 9, UNACCEPTED = 15, WRITE_BACK = 8, PAGE = 4096 };

static void write_system_table(uint8_t *room, uint64_t gpa)
{
    static const uint8_t list_guid[16] = { 0x3c, 0xde, 0xd1, 0xd5, 0x5c, 0x10, 0xf9, 0x44,
                                           0x9e, 0xa9, 0xbc, 0xef, 0x98, 0x12, 0x00, 0x31 };
    static const char    vendor[]      = "s\0t\0a\0g\0e\0" "0\0"; /* UTF-16 */
    struct writer        table         = writer_over(room, SYSTEM_TABLE_LEN);
    struct writer        name          = writer_over(room + VENDOR, sizeof vendor + 1);
    struct writer        configuration = writer_over(room + CONFIGURATION, CONFIGURATION_LEN);

    put(&table, (struct bytes){ (const uint8_t *) "IBI SYST", 8 });
    put_u32le(&table, REVISION);
    put_u32le(&table, SYSTEM_TABLE_LEN);
    put_zeros(&table, 4 + 4); /* checksum, which nobody looks at when EFI is gone; reserved */
    put_u64le(&table, gpa + VENDOR);
    put_zeros(&table, 8 + 6 * 8 + 8 + 8); /* revision, consoles, runtime and boot services: there are none */
    put_u64le(&table, 1);                 /* number of configuration tables */
    put_u64le(&table, gpa + CONFIGURATION);
    put(&name, (struct bytes){ (const uint8_t *) vendor, sizeof vendor });
    put(&configuration, (struct bytes){ list_guid, sizeof list_guid });
    put_u64le(&configuration, gpa + LIST);
}

static void put_descriptor(struct writer *w, uint32_t type, const struct memory_range *r)
{
    put_u32le(w, type);
    put_u32le(w, 0);
    put_u64le(w, r->start);
    put_u64le(w, 0); /* virtual address */
    put_u64le(w, (r->end - r->start) / PAGE);
    put_u64le(w, WRITE_BACK);
}

/* All RAM, what is pending apart from the rest, and the ACPI tables; ascending per kind is enough for Linux. */
static FALLIBLE write_map(uint8_t *at, const struct memory_map *map, const struct memory_map *pending, uint32_t *len,
                          struct err *err)
{
    struct memory_map accepted = *map;
    struct writer     w        = writer_over(at, LIST - MAP);

    for (size_t i = 0; i < pending->n; i++) {
        if (pending->at[i].type != MEMORY_RAM)
            continue;
        put_descriptor(&w, UNACCEPTED, &pending->at[i]);
        if (!memory_map_set(&accepted, pending->at[i].start, pending->at[i].end, MEMORY_HOLE, err))
            return false;
    }
    for (size_t i = 0; i < accepted.n; i++)
        if (accepted.at[i].type == MEMORY_RAM || accepted.at[i].type == MEMORY_ACPI)
            put_descriptor(&w, accepted.at[i].type == MEMORY_RAM ? CONVENTIONAL : ACPI_RECLAIM, &accepted.at[i]);
    *len = (uint32_t) w.len;
    return writer_ok(&w, err);
}

/* A bit for each unit from address 0 on. */
static FALLIBLE write_list(uint8_t *at, const struct memory_map *pending, struct err *err)
{
    struct writer header = writer_over(at, LIST_HEADER_LEN);
    uint8_t      *bits   = at + LIST_HEADER_LEN;
    uint64_t      units  = 0;

    for (size_t i = 0; i < pending->n; i++) {
        const struct memory_range *r = &pending->at[i];

        if (r->type != MEMORY_RAM)
            continue;
        if ((r->start | r->end) % EFI_UNIT != 0 || r->end > MEMORY_TOP_MAX)
            return fail_with(err, ERR_BUG, "no whole units at %#llx", (unsigned long long) r->start);
        units = r->end / EFI_UNIT;
        for (uint64_t unit = r->start / EFI_UNIT; unit < units; unit++)
            bits[unit / 8] |= (uint8_t) (1 << unit % 8);
    }
    put_u32le(&header, 1); /* version */
    put_u32le(&header, EFI_UNIT);
    put_u64le(&header, 0);
    put_u64le(&header, (units + 63) / 64 * 8); /* Linux reads whole words */
    return writer_ok(&header, err);
}

FALLIBLE efi_tables_write(uint8_t *room, uint64_t gpa, const struct memory_map *map, const struct memory_map *pending,
                          struct linux_efi *out, struct err *err)
{
    _Static_assert(LIST + LIST_HEADER_LEN + MEMORY_TOP_MAX / EFI_UNIT / 8 <= EFI_TABLES_ROOM, "no room for the list");
    _Static_assert(2 * MEMORY_RANGES_MAX * DESCRIPTOR_LEN <= LIST - MAP, "no room for the memory map");
    memset(room, 0, EFI_TABLES_ROOM);
    write_system_table(room, gpa);
    *out = (struct linux_efi){ .system_table = gpa, .map = gpa + MAP, .descriptor_len = DESCRIPTOR_LEN };
    return write_map(room + MAP, map, pending, &out->map_len, err) && write_list(room + LIST, pending, err);
}
