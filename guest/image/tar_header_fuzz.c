#include <string.h>

#include "guest/image/tar_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tar_extent extents[TAR_SPARSE_IN_BLOCK];
    struct tar_header h;
    struct bytes      block = { data, size };
    bool              has_more = false;
    size_t            n        = 0;
    struct err        err;

    if (tar_header_read(block, &h, &err) &&
        (size != TAR_BLOCK_LEN || h.mode > 07777 || strlen(h.name) > 256 || strlen(h.link) > 100 ||
         h.n_extents > TAR_SPARSE_IN_HEADER))
        __builtin_trap();
    if (tar_sparse_block_read(block, extents, &n, &has_more, &err) && n > TAR_SPARSE_IN_BLOCK)
        __builtin_trap();
    return 0;
}
