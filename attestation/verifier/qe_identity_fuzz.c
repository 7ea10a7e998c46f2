#include "attestation/verifier/qe_identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(qe_identity) struct qe_identity out = { 0 };
    struct err                              err;

    if (qe_identity_read((struct bytes){ data, size }, &out, &err) && (out.levels.n > MODULE_LEVELS_MAX || out.issued > out.next_update))
        __builtin_trap(); /* a success that broke its promise */
    return 0;
}
