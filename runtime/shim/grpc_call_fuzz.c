#include "runtime/shim/grpc_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message;
    struct err   err;

    if (grpc_body_read((struct bytes){ data, size }, &message, &err) && message.len + 5 != size)
        __builtin_trap();
    return 0;
}
