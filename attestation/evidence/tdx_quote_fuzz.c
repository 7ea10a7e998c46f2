#include "attestation/evidence/tdx_quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tdx_quote q;
    struct err       err;

    if (!tdx_quote_parse((struct bytes){ data, size }, &q, &err))
        return err.kind == ERR_NONE ? (__builtin_trap(), 0) : 0;
    if (q.signed_part.at != data || q.signed_part.len < 632 || q.qe_report.report_data.len != 64 ||
        q.pck_chain.len == 0 || q.trailing.len > size || q.body.rtmr[3].len != TDX_MR_LEN)
        __builtin_trap(); /* a success that broke its promise */
    return 0;
}
