#include "base/auto.h"
#include "firmware/measure/acpi_blobs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buffer) struct buffer loader = { 0 }, rsdp = { 0 };
    struct err                 err;

    if (acpi_blobs_derive((struct bytes){ data, size }, &loader, &rsdp, &err) &&
        (loader.len != 4096 || rsdp.len != ACPI_RSDP_LEN))
        __builtin_trap();
    return 0;
}
