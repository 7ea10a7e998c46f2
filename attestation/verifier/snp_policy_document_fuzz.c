#include <stdlib.h>

#include "attestation/verifier/snp_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Promise: what reads only names versions that exist, and every listed value has its field's length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(snp_policy_document) struct snp_policy_document *document = NULL;
    struct snp_policy                                     strict   = snp_policy_strict();
    const struct snp_policy                              *p;
    struct err                                            err;

    if (!snp_policy_read((struct bytes){ data, size }, &strict, &document, &err))
        return 0;
    p = snp_policy_of(document);
    if (p->versions[0] || p->versions[1] || p->products[SNP_PRODUCT_UNKNOWN])
        abort();
    for (size_t i = 0; p->measurement.kind == FIELD_LISTED && i < p->measurement.n; i++)
        if (p->measurement.at[i].len != SNP_MEASUREMENT_LEN)
            abort();
    return 0;
}
