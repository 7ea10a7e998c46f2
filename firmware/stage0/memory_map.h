/* The map of memory: read from the VMM's e820 table, checked, and cut to what the kernel may use. */
#pragma once

#include "base/bytes.h"

enum { MEMORY_RANGES_MAX = 100, MEMORY_E820_MAX = 32 };
#define MEMORY_TOP_MAX (511ULL << 30) /* what stage0's page tables reach */

enum memory_type { MEMORY_HOLE = 0, MEMORY_RAM = 1, MEMORY_RESERVED = 2, MEMORY_ACPI = 3 };

struct memory_range {
    uint64_t         start, end;
    enum memory_type type;
};

/* Ascending, without overlap. */
struct memory_map {
    struct memory_range at[MEMORY_RANGES_MAX];
    size_t              n;
};

/*
 * Reads QEMU's etc/e820: 20 bytes per entry, in any order.
 *
 *   out    written only on success; owns nothing
 *
 * Fails MALFORMED for a stray byte, an empty, wrapping, unaligned or overlapping range, UNSUPPORTED for a type other
 * than RAM and reserved, LIMIT for RAM that ends over MEMORY_TOP_MAX or too many entries.
 */
FALLIBLE memory_map_read(struct bytes e820, struct memory_map *out, struct err *err);

/* Makes [start, end) of `type`, whatever it was. Fails LIMIT when the map would grow too long. */
FALLIBLE memory_map_set(struct memory_map *map, uint64_t start, uint64_t end, enum memory_type type, struct err *err);

/* The highest `len` bytes of RAM below `limit`, page aligned; fails LIMIT when there are none above `least`. */
FALLIBLE memory_map_find(const struct memory_map *map, uint64_t len, uint64_t least, uint64_t limit, uint64_t *out,
                         struct err *err);

bool memory_map_is_ram(const struct memory_map *map, uint64_t start, uint64_t end); /* in one range */
