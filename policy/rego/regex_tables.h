/* Which code points belong to a Unicode category (Lu, Nd …) or script (Greek …). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct regex_table {
    const char *name;
    uint32_t    offset, len;
};

struct regex_table_place { /* starts as zero */
    size_t   at;
    uint32_t rune;
};

const struct regex_table *regex_table_at(size_t i); /* NULL behind the last */
bool regex_table_next(const struct regex_table *t, struct regex_table_place *place, uint32_t *low, uint32_t *high);
