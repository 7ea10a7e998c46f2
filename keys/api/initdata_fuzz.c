#include "keys/api/initdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A disk when it begins like one, else a document; what it accepts must keep its promises. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buffer) struct buffer                   text     = { 0 };
    AUTO(initdata) struct initdata               initdata = { 0 };
    AUTO(initdata_broker) struct initdata_broker broker   = { 0 };
    struct bytes                                 input    = { data, size };
    struct err                                   err;

    if (initdata_disk_read(input, &text, &err)) {
        if (text.len > KBS_INITDATA_TEXT_MAX || initdata_disk_len(input) == 0 || initdata_disk_len(input) > size)
            __builtin_trap();
        input = buffer_bytes(&text);
    }
    if (!initdata_read(input, &initdata, &err))
        return 0;
    if (initdata.digest_len < 32 || initdata.digest_len > INITDATA_DIGEST_MAX)
        __builtin_trap();
    if (initdata_broker(&initdata, &broker, &err) && broker.ca_pem.len == 0)
        __builtin_trap();
    return 0;
}
