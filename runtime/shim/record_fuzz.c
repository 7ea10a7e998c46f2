#include <string.h>

#include "base/auto.h"
#include "runtime/shim/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record, again;
    uint64_t      start;
    struct err    err;

    if (process_stat_read((struct bytes){ data, size }, &start, &err) && size < 30)
        __builtin_trap(); /* 22 fields are longer */
    if (record_read((struct bytes){ data, size }, &record, &err)) {
        AUTO(buffer) struct buffer wire = { 0 };

        record_write(&record, &wire);
        if (!record_read(buffer_bytes(&wire), &again, &err) || again.vmm.pid != record.vmm.pid || again.shim.start != record.shim.start ||
            strcmp(again.network, record.network) != 0 || again.cgroup.n != record.cgroup.n)
            __builtin_trap();
    }
    return 0;
}
