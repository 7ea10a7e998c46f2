#include "keys/broker/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A configuration that is accepted is complete and within its bounds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(config) struct config config = { 0 };
    struct err                 err;

    if (!config_read((struct bytes){ data, size }, &config, &err))
        return 0;
    if (!config.listen || !config.store || !config.store_key || !config.tls_key ||
        config.session_seconds < 10 || config.session_seconds > 86400)
        __builtin_trap();
    return 0;
}
