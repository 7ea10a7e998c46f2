#include <string.h>

#include "guest/workload/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Path, then three values, each ended by a line end; an empty value is one that is not there. The rest is a body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                    texts[4][1024];
    struct workload_query   query;
    struct workload_request asked;
    struct err              err;

    for (size_t i = 0; i < 4; i++) {
        const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t         len = end ? (size_t) (end - data) : size;
        size_t         cut = len < sizeof texts[i] ? len : sizeof texts[i] - 1;

        memcpy(texts[i], data, cut);
        texts[i][cut] = 0;
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    query = (struct workload_query){ texts[1][0] ? texts[1] : NULL, texts[2][0] ? texts[2] : NULL, texts[3][0] ? texts[3] : NULL };
    if (workload_request_read("POST", texts[0], &query, (struct bytes){ data, size }, &asked, &err) && asked.kind != WORKLOAD_MEASURE)
        __builtin_trap();
    if (workload_request_read("GET", texts[0], &query, (struct bytes){ 0 }, &asked, &err)) {
        if (asked.runtime_data_len > RUNTIME_DATA_MAX)
            __builtin_trap();
        if (asked.kind == WORKLOAD_RESOURCE && (strncmp(asked.resource, "kbs:///", 7) != 0 || strstr(asked.resource, "/..")))
            __builtin_trap(); /* a resource's name stays within its three parts */
    }
    return 0;
}
