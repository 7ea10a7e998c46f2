#include "attestation/verifier/tpm_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(tpm_policy) struct tpm_policy p = { 0 };
    struct err                         err;

    if (tpm_policy_read((struct bytes){ data, size }, &p, &err))
        for (size_t i = 0; i < tpm_policy_n_values(&p); i++)
            if (tpm_policy_value(&p, i).pcr >= TPM_PCRS)
                __builtin_trap(); /* a success that broke its promise */
    return 0;
}
