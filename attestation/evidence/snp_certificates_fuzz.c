#include <stdlib.h>

#include "attestation/evidence/snp_certificates.h"
#include "base/auto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Promise: what was read and written again reads the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buffer) struct buffer written = { 0 };
    struct snp_certificates    first, again;
    struct err                 err;

    if (!snp_certificates_parse((struct bytes){ data, size }, &first, &err))
        return 0;
    snp_certificates_write(&first, &written);
    if (written.len > SNP_TABLE_LEN_MAX) /* entries may overlap in what was read, never in what is written */
        return 0;
    if (!snp_certificates_parse(buffer_bytes(&written), &again, &err) || !bytes_equal(first.vcek, again.vcek) ||
        !bytes_equal(first.vlek, again.vlek) || !bytes_equal(first.ask, again.ask) || !bytes_equal(first.ark, again.ark) ||
        !bytes_equal(first.crl, again.crl))
        abort();
    return 0;
}
