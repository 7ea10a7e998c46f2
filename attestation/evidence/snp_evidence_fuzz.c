#include "attestation/evidence/snp_evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted can be written again, and then reads as the same report. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object         *value = NULL;
    AUTO(snp_evidence) struct snp_evidence e     = { 0 };
    AUTO(buffer) struct buffer             json  = { 0 };
    struct err                             err;

    if (!json_read((struct bytes){ data, size }, 1 << 17, &value, &err) || !snp_evidence_read(value, &e, &err))
        return 0;
    if (!snp_evidence_write(BYTES_OF(e.report), e.is_vlek, (struct bytes){ 0 }, (struct bytes){ 0 }, (struct bytes){ 0 },
                            &json, &err))
        __builtin_trap();
    return 0;
}
