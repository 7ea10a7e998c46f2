#include "keys/jose/jcs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The canonical text is JSON, and is its own canonical text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *value = NULL;
    AUTO(json) struct json_object *again = NULL;
    AUTO(buffer) struct buffer     one   = { 0 };
    AUTO(buffer) struct buffer     two   = { 0 };
    struct err                     err;

    if (!json_read((struct bytes){ data, size }, 1 << 16, &value, &err) || !jcs_append(value, &one, &err))
        return 0;
    if (!json_read(buffer_bytes(&one), 1 << 20, &again, &err) || !jcs_append(again, &two, &err) ||
        !bytes_equal(buffer_bytes(&one), buffer_bytes(&two)))
        __builtin_trap();
    return 0;
}
