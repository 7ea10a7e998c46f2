#include "runtime/cli/pod_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *out    = NULL;
    struct option_list             images = { .n = 0 };
    struct err                     err;

    if (pod_yaml_read((struct bytes){ data, size }, &images, &out, &err) &&
        json_object_array_length(out) == 0)
        __builtin_trap(); /* success names at least one container */
    return 0;
}
