#include "guest/container/rules.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Rules, then their data, then what is asked, each ended by a zero byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes  parts[3] = { { 0 } };
    struct rules *rules    = NULL;
    struct err    err;

    for (size_t i = 0; i < 3; i++) {
        const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
        size_t         len = end ? (size_t) (end - data) : size;

        parts[i] = (struct bytes){ data, len };
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    if (!rules_read(parts[0], parts[1], &rules, &err))
        return 0;
    for (size_t i = 0; i < N_RULES_REQUESTS; i++)
        if (!rules_allow(rules, RULES_REQUESTS[i], parts[2], &err) && err.kind != ERR_DENIED)
            __builtin_trap(); /* whatever is wrong, it is a denial */
    rules_free(rules);
    return 0;
}
