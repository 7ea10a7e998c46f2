#include "attestation/verifier/event_details.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first four bytes are the event's type. Whatever it says can be written as JSON and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader              r    = reader_over((struct bytes){ data, size });
    struct event               e    = { .type = take_u32le(&r) };
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    e.data = take_rest(&r);
    AUTO(json) struct json_object *details = event_details(&e), *again = NULL;

    json_write(details, &text);
    if (!json_read(buffer_bytes(&text), text.len, &again, &err) || !json_object_equal(details, again))
        __builtin_trap();
    return 0;
}
