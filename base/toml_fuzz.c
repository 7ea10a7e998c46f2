#include "base/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *out = NULL;
    struct err                     err;

    if (toml_read((struct bytes){ data, size }, &out, &err) && !json_object_is_type(out, json_type_object))
        __builtin_trap(); /* a document is a table */
    return 0;
}
