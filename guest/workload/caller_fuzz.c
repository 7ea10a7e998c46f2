#include "guest/workload/caller.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t   cgroup = 77;
    struct err err;

    if (!caller_answer_read((struct bytes){ data, size }, &cgroup, &err) && cgroup != 77)
        __builtin_trap(); /* written only on success */
    return 0;
}
