#include "attestation/verifier/tcb_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(tcb_info) struct tcb_info out = { 0 };
    struct err                        err;

    if (tcb_info_read((struct bytes){ data, size }, &out, &err) && (out.n_levels > TCB_LEVELS_MAX || out.issued > out.next_update || out.module.levels.n > 0))
        __builtin_trap(); /* a success that broke its promise */
    return 0;
}
