#include <stdlib.h>

#include "attestation/verifier/snp_certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Promise: what reads is whole, has a key of one of the two kinds, and is a VEK only with a HWID or a CSP_ID. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buffer) struct buffer der = { 0 };
    struct snp_certificate     c;
    struct verdict             v;
    struct appraisal           a = appraisal_start(&v, NULL);
    struct err                 err;

    if (!snp_der_of((struct bytes){ data, size }, "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, &der, &err) ||
        !snp_certificate_read(buffer_bytes(&der), "certificate", &c, &a))
        return 0;
    if (c.whole.len != der.len || (c.key_kind == SNP_KEY_P384 ? c.point.len != 97 : c.modulus.len != 512))
        abort();
    for (enum snp_product p = SNP_MILAN; p < N_SNP_PRODUCTS; p++) {
        if (snp_certificate_is_vek(&c, false, p, &a) && c.vek.hwid.len == 0)
            abort();
        if (snp_certificate_is_vek(&c, true, p, &a) && c.vek.csp_id.len == 0)
            abort();
        if (snp_certificate_is_intermediate(&c, false, p, &a) && !c.is_ca)
            abort();
    }
    return snp_certificate_is_root(&c, &a) && !c.is_ca ? 1 : 0;
}
