#include "keys/api/rcar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An attestation that is accepted can be hashed; a path that is accepted has exactly two slashes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(rcar_attestation) struct rcar_attestation a    = { 0 };
    struct bytes                                   body = { data, size };
    uint8_t                                        digest[RCAR_DIGEST_LEN];
    size_t                                         n_slashes = 0;
    struct err                                     err;

    if (rcar_path_is_valid(body)) {
        for (size_t i = 0; i < size; i++)
            n_slashes += data[i] == '/';
        if (n_slashes != 2 || data[0] == '.')
            __builtin_trap();
    }
    if (!rcar_attestation_read(body, &a, &err))
        return 0;
    if (!a.nonce || !a.additional || !a.evidence || !rcar_report_data(a.additional, a.nonce, &a.tee_key, digest, &err))
        __builtin_trap();
    return 0;
}
