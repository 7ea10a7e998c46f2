#include "keys/grpc/keyprovider_service.h"

static bool no_file(void *owner, const char *path, struct secret *out, struct err *err)
{
    (void) owner;
    (void) out;
    return fail_with(err, ERR_NOT_FOUND, "no %.40s", path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the method. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool             is_open;
    struct keyprovider_keys keys  = { .file = no_file };
    struct grpc_reply       reply = { .status = GRPC_OK };
    struct err              err;

    if (!is_open && !secret_heap_open(&err))
        __builtin_trap();
    is_open = true;
    if (size == 0)
        return 0;
    keyprovider_call(&keys, data[0] & 1 ? KEYPROVIDER_UNWRAP : KEYPROVIDER_WRAP, (struct bytes){ data + 1, size - 1 }, &reply);
    if ((reply.status == GRPC_OK) != (reply.messages.len > 0))
        __builtin_trap();
    buffer_free(&reply.messages);
    return 0;
}
