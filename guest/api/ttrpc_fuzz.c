#include "guest/api/ttrpc.h"

/* A whole connection's input: frame after frame, each read as what its header says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes       left  = { data, size };
    struct ttrpc_frame frame = { 0 };
    size_t             used;
    struct err         err;

    while (ttrpc_frame_read(left, &frame, &used, &err) && used > 0) {
        AUTO(message) ProtobufCMessage *read = NULL;

        if (used > left.len || frame.message.len != used - TTRPC_HEADER_LEN)
            __builtin_trap();
        if (frame.type == TTRPC_REQUEST)
            (void) !ttrpc_request_read(frame.message, &read, &err); /* either outcome will do */
        else
            (void) !ttrpc_response_read(frame.message, &blobs__read_response__descriptor, &read, &err); /* as above */
        left = (struct bytes){ left.at + used, left.len - used };
    }
    return 0;
}
