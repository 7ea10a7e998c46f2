#include "runtime/shim/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(settings) struct settings s = { 0 }, from_input = { 0 };
    struct err                     err;

    if (settings_read((struct bytes){ data, size }, &s, &err) && (s.memory_mib > s.memory_most_mib || (s.initdata && !s.development)))
        __builtin_trap();
    (void) !settings_from_input((struct bytes){ data, size }, "id", "", &from_input, &err); /* only that it ends */
    return 0;
}
