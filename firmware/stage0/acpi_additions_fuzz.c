#include <string.h>

#include "base/auto.h"
#include "firmware/stage0/acpi_additions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AREA_GPA 0x7ff80000ULL
#define ROOM_GPA 0x7fff3000ULL

/* On success the root pointer sums up to zero and leads into the room. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(heap) uint8_t   *area = malloc(size + 1), *room = malloc(ACPI_ADDITIONS_ROOM);
    struct acpi_additions a    = { .area = area, .area_len = size, .area_gpa = AREA_GPA, .room = room, .room_gpa = ROOM_GPA,
                                   .rsdp = AREA_GPA, .mailbox = 0x7fff0000, .log = 0x7ffe0000, .log_len = 65536 };
    struct err            err;

    if (!area || !room)
        __builtin_trap();
    if (size > 0)
        memcpy(area, data, size);
    if (!acpi_additions_make(&a, &err))
        return 0;

    uint8_t sum = 0;

    for (size_t i = 0; i < 20; i++)
        sum = (uint8_t) (sum + area[i]);
    if (sum != 0 || area[18] != (ROOM_GPA >> 16 & 0xff))
        __builtin_trap();
    return 0;
}
