#include "guest/image/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { MEMINFO_MAX = 16 << 10 };

FALLIBLE memory_available_read(struct bytes meminfo, uint64_t *out, struct err *err)
{
    static const char          key[] = "\nMemAvailable:";
    AUTO(buffer) struct buffer text  = { 0 };
    const char                *at;
    uint64_t                   kib;

    buffer_append(&text, meminfo);
    at = strstr(buffer_text(&text), key);
    if (!at || sscanf(at + strlen(key), "%" SCNu64 " kB", &kib) != 1 || kib > UINT64_MAX >> 10)
        return fail_with(err, ERR_MALFORMED, "/proc/meminfo: no MemAvailable");
    *out = kib << 10;
    return true;
}

FALLIBLE memory_available(uint64_t *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    uint64_t                   available;

    if (!file_read("/proc/meminfo", MEMINFO_MAX, &text, err) ||
        !memory_available_read(buffer_bytes(&text), &available, err))
        return false;
    *out = available > MEMORY_RESERVE ? available - MEMORY_RESERVE : 0;
    return true;
}
