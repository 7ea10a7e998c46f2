#include <string.h>

#include "base/auto.h"

#include "firmware/stage0/table_loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AREA_LEN = 4096 };

/* Files whose length follows from their name, up to more than there is room for. */
static bool fetch(void *owner, const char *name, uint8_t *into, size_t room, size_t *len, struct err *err)
{
    (void) owner;
    *len = strlen(name) * 100;
    if (*len > room)
        return fail_with(err, ERR_LIMIT, "no room");
    memset(into, 0, *len);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(heap) uint8_t *area   = calloc(1, AREA_LEN);
    struct table_loader loader = { area, AREA_LEN, 0x7fff0000, fetch, NULL };
    uint64_t            rsdp = 0, log = 0;
    struct err          err;

    if (!area)
        __builtin_trap();
    if (table_loader_run(&loader, (struct bytes){ data, size }, &rsdp, &log, &err) && rsdp != 0 &&
        (rsdp < loader.area_gpa || rsdp >= loader.area_gpa + AREA_LEN))
        __builtin_trap();
    return 0;
}
