#include <string.h>

#include "guest/image/tar_pax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(pax) struct pax one = { 0 }, global = { 0 };
    struct bytes         text = { data, size };
    struct err           err;

    if (pax_read(text, PAX_ONE_FILE, &one, &err) &&
        (one.path.len > TAR_PATH_MAX || (one.has_path && memchr(one.path.at, 0, one.path.len)) ||
         one.mtime_ns > 999999999 || one.n_xattrs > TAR_XATTRS_MAX || one.is_extent_open))
        __builtin_trap();
    if (pax_read(text, PAX_GLOBAL, &global, &err) && (global.has_path || global.has_size || global.n_xattrs > 0))
        __builtin_trap(); /* a global header changes nothing */
    return 0;
}
