#include "attestation/evidence/hcl_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hcl_report h;
    struct td_report  t;
    struct err        err;

    if (!hcl_report_parse((struct bytes){ data, size }, &h, &err))
        return 0;
    if (!h.hash || h.claims.len > size || h.hardware.len != (h.kind == HCL_SNP ? 1184U : 1024U))
        __builtin_trap(); /* a success that broke its promise */
    if (h.kind == HCL_TDX && td_report_parse(h.hardware, &t, &err) && t.rtmr[3].len != 48)
        __builtin_trap();
    return 0;
}
