#include "runtime/vmm/nbd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes       all = { data, size };
    struct nbd_request request;
    uint32_t           option, len;
    struct err         err;

    if (nbd_request_read(all, &request, &err) && (size != NBD_REQUEST_LEN || request.len > NBD_BLOCK_MAX || request.command > NBD_FLUSH))
        __builtin_trap(); /* no more is received than there is room for */
    if (nbd_option_read(all, &option, &len, &err) && (size != NBD_OPTION_HEAD_LEN || len > NBD_OPTION_LEN_MAX))
        __builtin_trap();
    return 0;
}
