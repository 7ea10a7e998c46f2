#include <string.h>

#include "policy/rego/time_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char       abbreviation[12];
    int        offset;
    struct err err;

    if (time_zone_read((struct bytes){ data, size }, 1700000000, &offset, abbreviation, &err) &&
        (offset > 100000 || offset < -100000 || strlen(abbreviation) >= sizeof abbreviation))
        __builtin_trap(); /* a success that broke its promise */
    return 0;
}
