#include <string.h>

#include "guest/registry/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(image_settings) struct image_settings read = { 0 };
    struct err                                 err;

    if (image_settings_read((struct bytes){ data, size }, &read, &err) && read.policy_kid[0] &&
        strncmp(read.policy_kid, "kbs:///", 7) != 0)
        __builtin_trap(); /* the one form */
    return 0;
}
