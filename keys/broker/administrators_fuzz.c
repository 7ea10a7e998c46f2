/* The file of administrators and, behind a zero byte, a token that someone shows. */
#include <string.h>

#include "keys/broker/administrators.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(administrators) struct administrators *a      = NULL;
    const uint8_t *zero   = size ? memchr(data, 0, size) : NULL;
    struct bytes   toml   = { data, zero ? (size_t) (zero - data) : size };
    struct bytes   token  = zero ? (struct bytes){ zero + 1, size - toml.len - 1 } : (struct bytes){ 0 };
    struct caller  caller = { 0 };
    struct err     err;

    if (!administrators_read(toml, "/nonexistent", &a, &err))
        return 0;
    if (administrators_by_token(a, token, 1000000, &caller, &err))
        __builtin_trap(); /* no key could be read, so none holds */
    return 0;
}
