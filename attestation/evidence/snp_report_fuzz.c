#include <stdlib.h>

#include "attestation/evidence/snp_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Promise: a report that parses has a version we know, and its TCBs write back to the bytes they came from. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snp_report r;
    struct err        err;
    uint8_t           tcb[8];

    if (!snp_report_parse((struct bytes){ data, size }, &r, NULL, &err))
        return 0;
    if (r.version < 2 || r.version > 5 || r.raw.len != SNP_REPORT_LEN)
        abort();
    if (r.has_cpuid && r.product == SNP_PRODUCT_UNKNOWN)
        return 0;
    snp_tcb_write(&r.reported_tcb, r.is_turin_layout, tcb);
    if (!bytes_equal(BYTES_OF(tcb), (struct bytes){ data + 0x180, 8 }))
        abort();
    return 0;
}
