#include <string.h>

#include "guest/registry/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(credentials) struct credentials read  = { 0 };
    AUTO(buffer) struct buffer           found = { 0 };
    struct err                           err;

    if (!credentials_read((struct bytes){ data, size }, &read, &err))
        return 0;
    credentials_find(&read, "registry.example", "team/app", &found);
    if (found.len > 0 && !memchr(found.at, ':', found.len))
        __builtin_trap(); /* what was checked is what is found */
    return 0;
}
