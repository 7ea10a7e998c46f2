#include <stdlib.h>

#include "attestation/collateral/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Promise: a bundle that reads has no answer to a URL that was never in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(bundle) struct bundle *bundle = NULL;
    struct err                  err;

    if (bundle_read((struct bytes){ data, size }, &bundle, &err) && bundle_find(bundle, "https://never.invalid/\x7f"))
        abort();
    return 0;
}
