#include "runtime/shim/container_spec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(container_spec) struct container_spec spec    = { 0 };
    AUTO(json) struct json_object             *document = NULL;
    struct process_spec                        process = { 0 };
    struct spec_limits                         limits;
    struct bytes                               text = { data, size };
    struct err                                 err;

    if (container_spec_read(text, &spec, &err)) {
        if (spec.process.n_args == 0 || spec.process.args[spec.process.n_args] || (spec.role != ROLE_SINGLE) != (spec.sandbox_id != NULL))
            __builtin_trap(); /* what callers rely on */
        if (image_reference_digest(spec.image_name) && strlen(image_reference_digest(spec.image_name)) < 71)
            __builtin_trap();
    }
    if (process_spec_read(text, &document, &process, &err))
        process_spec_free(&process);
    return resources_read(text, &limits, &err) && (limits.cpu_quota_us > 0) != (limits.cpu_period_us > 0) ? (__builtin_trap(), 0) : 0;
}
