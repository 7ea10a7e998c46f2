#include "attestation/attester/attester.h"

#include <string.h>

void attested_free(struct attested *a)
{
    buffer_free(&a->report);
    buffer_free(&a->certificates);
    buffer_free(&a->event_log);
    buffer_free(&a->signature);
    buffer_free(&a->public_key);
    buffer_free(&a->pcrs);
}

void attester_close(struct attester *a)
{
    if (a)
        a->close(a);
}

FALLIBLE report_data_pad(struct bytes value, uint8_t out[static REPORT_DATA_LEN], struct err *err)
{
    if (value.len > REPORT_DATA_LEN)
        return fail_with(err, ERR_LIMIT, "report data of %zu bytes; at most %d fit", value.len, REPORT_DATA_LEN);

    memset(out, 0, REPORT_DATA_LEN);
    if (value.len > 0)
        memcpy(out, value.at, value.len);
    return true;
}
