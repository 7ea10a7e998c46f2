#include "firmware/stage0/linux_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct linux_image image;
    struct linux_start start = { .cmdline = 0x1000 };
    struct memory_map  map   = { .n = 1, .at = { { 0, 0x80000000, MEMORY_RAM } } };
    uint8_t            params[LINUX_PARAMS_LEN];
    struct err         err;

    if (!linux_image_read((struct bytes){ data, size }, &image, &err))
        return 0;
    if (image.setup_len > size || image.init_size < size - image.setup_len)
        __builtin_trap();
    if (!linux_params_write(&image, &start, &map, params, &err))
        __builtin_trap();
    return 0;
}
