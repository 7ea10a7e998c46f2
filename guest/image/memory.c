#include "guest/image/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { MEMINFO_MAX = 16 << 10 };

static bool find(const char *text, const char *key, uint64_t *out)
{
    const char *at = strstr(text, key);

    return at && sscanf(at + strlen(key), "%" SCNu64 " kB", out) == 1 && *out <= UINT64_MAX >> 11;
}

FALLIBLE memory_available_read(struct bytes meminfo, uint64_t *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    uint64_t                   memory, swap;

    buffer_append(&text, meminfo);
    if (!find(buffer_text(&text), "\nMemAvailable:", &memory))
        return fail_with(err, ERR_MALFORMED, "/proc/meminfo: no MemAvailable");
    if (!find(buffer_text(&text), "\nSwapFree:", &swap))
        swap = 0;
    *out = (memory + swap) << 10;
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
