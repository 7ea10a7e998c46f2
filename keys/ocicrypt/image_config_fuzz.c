#include <string.h>

#include "keys/ocicrypt/image_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(image_config) struct image_config config = { 0 };
    struct err                             err;

    if (!image_config_read((struct bytes){ data, size }, &config, &err))
        return 0;
    if (config.env.at[config.env.n] || config.cmd.at[config.cmd.n] || config.entrypoint.at[config.entrypoint.n])
        __builtin_trap(); /* lists end in NULL */
    for (size_t i = 0; i < config.env.n; i++)
        if (!strchr(config.env.at[i], '='))
            __builtin_trap();
    return 0;
}
