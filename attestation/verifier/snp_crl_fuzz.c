#include <stdlib.h>

#include "attestation/verifier/snp_crl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Judged under AMD's roots. Promise: a list that is accepted has a number, and Genoa's names 020001 and no other of ours. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct snp_trust      *trust; /* made once: parsing the roots would be most of the work */
    static const uint8_t          genoa_ask[] = { 2, 0, 2 };
    AUTO(snp_crl) struct snp_crl *crl = NULL;
    struct verdict                v;
    struct appraisal              a = appraisal_start(&v, NULL);
    size_t                        n = 0;
    const struct snp_root        *roots = snp_amd_roots(&n);
    struct err                    err;

    if (!trust && !snp_trust_new(roots, n, &trust, NULL, &err))
        abort();
    if (!snp_crl_new(trust, (struct bytes){ data, size }, &crl, &a))
        return v.accepted ? 1 : 0;
    if (snp_crl_number(crl) == 0 || snp_crl_lists(crl, BYTES_OF(genoa_ask)))
        abort();
    return 0;
}
