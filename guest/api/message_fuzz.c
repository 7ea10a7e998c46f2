#include "guest/api/agent.pb-c.h"
#include "guest/api/blobs.pb-c.h"
#include "guest/api/message.h"
#include "guest/api/report.pb-c.h"
#include "guest/api/tunnel.pb-c.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &agent__create_container_request__descriptor, &agent__read_output_request__descriptor,
    &agent__write_input_request__descriptor,      &agent__signal_container_request__descriptor,
    &agent__get_timeline_response__descriptor,    &blobs__read_request__descriptor,
    &blobs__read_response__descriptor,            &tunnel__receive_response__descriptor,
    &report__get_response__descriptor,            &agent__configure_network_request__descriptor,
};

/* The first byte chooses the contract. What is accepted must be written back as it came. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(message) ProtobufCMessage *read  = NULL;
    AUTO(buffer) struct buffer      again = { 0 };
    struct err                      err;

    if (size == 0)
        return 0;
    struct bytes wire = { data + 1, size - 1 };
    if (!message_read(types[data[0] % (sizeof types / sizeof *types)], wire, MESSAGE_EXACT, &read, &err))
        return 0;
    message_append(&again, read);
    if (!bytes_equal(buffer_bytes(&again), wire))
        __builtin_trap();
    return 0;
}
