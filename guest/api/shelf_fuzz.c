#include <string.h>

#include "guest/api/shelf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shelf_directory d;
    uint8_t                again[SHELF_DIRECTORY_LEN];
    struct err             err;

    if (!shelf_directory_read((struct bytes){ data, size }, &d, &err))
        return 0;
    shelf_directory_write(&d, again);
    if (size != sizeof again || memcmp(data, again, sizeof again) != 0)
        __builtin_trap(); /* there is one way to write it */
    return 0;
}
