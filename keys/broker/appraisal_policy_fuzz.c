/* What an attestation policy gives: trust claims and extensions, a zero byte between. */
#include <string.h>

#include "keys/broker/appraisal_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(appraisal_result) struct appraisal_result result = { 0 };
    const uint8_t *zero   = size ? memchr(data, 0, size) : NULL;
    struct bytes   claims = { data, zero ? (size_t) (zero - data) : size };
    struct bytes   rest   = zero ? (struct bytes){ zero + 1, size - claims.len - 1 } : (struct bytes){ 0 };
    struct err     err;

    if (!appraisal_result_read(claims, rest, &result, &err))
        return 0;
    json_object_object_foreach(result.vector, name, value)
    {
        if (json_object_get_int64(value) < -128 || json_object_get_int64(value) > 127 || !name[0])
            __builtin_trap();
    }
    if (!result.status || json_object_object_get_ex(result.extensions, "ear.status", NULL))
        __builtin_trap();
    return 0;
}
