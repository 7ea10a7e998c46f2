#include "attestation/evidence/tpm_quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tpm_quote q;
    struct err       err;

    if (!tpm_quote_parse((struct bytes){ data, size }, &q, &err))
        return 0;
    if (q.n_selections > TPM_SELECTIONS_MAX || q.extra_data.len > TPM_NONCE_LEN_MAX || q.whole.len != size)
        __builtin_trap(); /* a success that broke its promise */
    for (size_t i = 0; i < q.n_selections; i++)
        if (q.selection[i].pcrs >> TPM_PCRS)
            __builtin_trap();
    return 0;
}
