#include "guest/init/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A time that is read has four digits of a year. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t    at;
    struct err err;

    if (clock_floor_read((struct bytes){ data, size }, &at, &err) && (at < -62167219200 || at > 253402300799))
        __builtin_trap();
    return 0;
}
