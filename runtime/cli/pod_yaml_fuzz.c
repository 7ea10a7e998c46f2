#include <string.h>

#include "runtime/cli/pod_yaml.h"

static bool no_digest(void *owner, const char *image, char out[static 72], struct err *err)
{
    (void) owner;
    (void) image;
    (void) out;
    return fail_with(err, ERR_UNSUPPORTED, "no digest");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(pod_yaml) struct pod_yaml out    = { NULL, NULL, NULL };
    struct pod_images              images = { no_digest, NULL };
    struct json_object            *containers;
    struct err                     err;

    if (!pod_yaml_read((struct bytes){ data, size }, &images, &out, &err))
        return 0;
    containers = json_object_object_get(out.policy, "containers");
    if (json_object_array_length(containers) == 0 || json_object_array_length(containers) != json_object_array_length(out.names))
        __builtin_trap(); /* success names at least one container, and each of them */
    return 0;
}
