#include "guest/init/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cmdline out = { 0 };
    struct err     err;

    if (cmdline_read((struct bytes){ data, size }, &out, &err) && out.tee == CMDLINE_TEE_NONE)
        __builtin_trap(); /* a success that broke its promise */
    return 0;
}
