#include "firmware/image/sev_metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sev_metadata m = { .n_sections = 0 };
    struct err          err;

    if (!sev_metadata_read((struct bytes){ data, size }, &m, &err))
        return 0;
    if (m.n_sections > SEV_SECTIONS_MAX)
        __builtin_trap();
    for (size_t i = 0; i < m.n_sections; i++)
        if (m.section[i].size == 0 || (uint64_t) m.section[i].gpa + m.section[i].size > 1ULL << 32)
            __builtin_trap();
    return 0;
}
