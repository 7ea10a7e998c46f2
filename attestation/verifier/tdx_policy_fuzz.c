#include "attestation/verifier/tdx_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(tdx_policy) struct tdx_policy p;
    struct err                         err;

    tdx_policy_default(&p);
    if (tdx_policy_read((struct bytes){ data, size }, &p, &err) && p.status[TCB_REVOKED])
        __builtin_trap(); /* Revoked can never be accepted */
    return 0;
}
